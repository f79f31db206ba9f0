//! The machine is as it was: network, mounts, cgroups and settings, also when the test process is killed.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use node_annotator_tests::guardian::KEEP_VARIABLE;
use node_annotator_tests::wait;

use crate::world::{World, settings};

/// With this argument the test executable starts a world, and waits to be killed.
pub(crate) const UNTIL_KILLED: &str = "--until-killed";

/// A world is there after seconds, or after minutes when it has to be built.
const STARTED_WITHIN: Duration = Duration::from_mins(30);

/// What the kernel counts, and what it makes up.
const COUNTERS: [&str; 9] = [
    "fs/aio-nr",
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/quota/",
    "kernel/ns_last_pid",
    "kernel/pty/nr",
    "kernel/random/",
];

/// What is in the names of a node's cgroups.
const OURS: [&str; 3] = ["/node-annotator-", "-for-node-annotator", "/kubepods"];

const CONTROLLERS: &str = "/sys/fs/cgroup/cgroup.subtree_control";

/// Everything that a node could have left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine(BTreeMap<String, String>);

impl Machine {
    /// As it is now.
    pub(crate) fn look() -> Result<Self> {
        let mut found = BTreeMap::new();
        for arguments in [["-brief", "link"], ["-brief", "address"], ["route", "show"], ["rule", "show"]] {
            let output = Command::new("ip").args(arguments).output().context("cannot run ip")?;
            found.insert(
                format!("ip {}", arguments.join(" ")),
                String::from_utf8_lossy(&output.stdout).into(),
            );
        }
        found.insert("mounts".to_owned(), fs::read_to_string("/proc/self/mountinfo")?);
        walk(Path::new("/sys/fs/cgroup"), &mut |path, is_folder| {
            // Others come and go as the machine pleases.
            let name = path.display().to_string();
            if is_folder && OURS.iter().any(|part| name.contains(part)) {
                found.insert(name, "a cgroup".to_owned());
            }
        });
        // With version 2: a node switches controllers on at the top.
        if let Ok(controllers) = fs::read_to_string(CONTROLLERS) {
            found.insert(CONTROLLERS.to_owned(), format!("a cgroup with {controllers}"));
        }
        let settings = Path::new("/proc/sys");
        walk(settings, &mut |path, is_folder| {
            let name = path.strip_prefix(settings).unwrap_or(path).to_string_lossy().into_owned();
            if !is_folder && !COUNTERS.iter().any(|counter| name.starts_with(counter)) {
                // Some can be written only.
                found.insert(name, fs::read_to_string(path).unwrap_or_default());
            }
        });
        Ok(Self(found))
    }

    /// What is different from what was before, a line each.
    pub(crate) fn changes_since(&self, before: &Self) -> Vec<String> {
        let keys = self.0.keys().chain(before.0.keys());
        let mut changed: Vec<_> = keys.filter(|it| self.0.get(*it) != before.0.get(*it)).collect();
        changed.sort_unstable();
        changed.dedup();
        changed
            .into_iter()
            .map(|it| format!("{it}: {:?}, was {:?}", self.0.get(it), before.0.get(it)))
            .collect()
    }
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path, bool)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|it| it.is_dir());
        visit(&entry.path(), is_folder);
        if is_folder {
            walk(&entry.path(), visit);
        }
    }
}

/// A process with a node on which a container runs is killed by SIGKILL, and can clean nothing up itself.
pub(crate) async fn is_as_before_after_sigkill(before: &Machine) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let report = scratch.path().join("report");
    let mut child = Command::new(env::current_exe()?)
        .arg(UNTIL_KILLED)
        .arg(&report)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let started =
        wait::until_within(STARTED_WITHIN, "the child to start a node", async || fs::read_to_string(&report));
    let started = started.await;
    let meanwhile = Machine::look();
    child.kill()?;
    child.wait()?;
    let folder = started?;
    let cgroups = meanwhile?.changes_since(before);
    // Otherwise there would be nothing to see afterwards either.
    ensure!(!cgroups.is_empty(), "a node without cgroups");
    ensure!(cgroups.iter().all(|it| it.contains("a cgroup")), "{cgroups:#?}");
    wait::until("the machine to be as before", async || {
        let changes = Machine::look()?.changes_since(before);
        ensure!(changes.is_empty(), "{changes:#?}");
        let kept = env::var_os(KEEP_VARIABLE).is_some();
        ensure!(kept || !Path::new(&folder).exists(), "{folder} is still there");
        Ok(())
    })
    .await
}

/// The child of [`is_as_before_after_sigkill`].
pub(crate) async fn wait_to_be_killed(report: &Path) -> Result<()> {
    let world = World::start().await?;
    world.lingering_pod(&settings("kernel")?).await?;
    fs::write(report.with_extension("new"), world.cluster().folder().display().to_string())?;
    fs::rename(report.with_extension("new"), report)?;
    std::future::pending().await
}
