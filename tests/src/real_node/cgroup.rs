//! The cgroups of a node: one below our own in each hierarchy of version 1, one at the top of version 2.
//!
//! A shell outside of everything else removes them, in whatever way this process ends.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::ports::random;

/// What a kubelet wants to limit.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// The processes of a node that are in no pod; with version 2 a cgroup with processes can have no children
/// with limits.
const SYSTEM: &str = "system";

const PROCESSES: &str = "cgroup.procs";

/// Remembers, as an empty cgroup at the top, which controllers a node switched on there: whichever node is
/// the last switches them off. Their names follow, each after a dot.
const SWITCHED_ON: &str = "switched-on-for-node-annotator";

/// Of the cgroups of nodes.
const PREFIX: &str = "node-annotator-";

/// How often processes that are forked meanwhile are looked for.
const LOOKS: usize = 100;

/// First argument: the top of the hierarchy of version 2, if that is in use; the others are cgroups.
const SWEEPER: &str = r#"
while read -r _; do :; done
top=$1
shift
i=0
while [ "$i" -lt 200 ]; do
    left=
    for folder; do
        [ -d "$folder" ] || continue
        find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null
        [ -d "$folder" ] && left=yes
    done
    [ -n "$left" ] || break
    sleep 0.05
    i=$((i + 1))
done
[ -n "$top" ] || exit 0
for other in "$top"/node-annotator-*; do
    [ -d "$other" ] && exit 0
done
for memory in "$top"/switched-on-for-node-annotator.*; do
    [ -d "$memory" ] || continue
    echo "${memory#*/switched-on-for-node-annotator}" | sed 's/\./ -/g' > "$top/cgroup.subtree_control"
    rmdir "$memory"
done
"#;

/// The cgroups of one node, removed when dropped and when this process ends.
#[derive(Debug)]
pub(super) struct Cgroups {
    /// The node's cgroup in each hierarchy, by its controllers.
    folders: Vec<(String, PathBuf)>,
    version: Version,
    sweeper: Child,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// A cgroup hierarchy as this process sees it.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    /// Comma-separated; empty for version 2.
    controllers: String,
    /// Where it is mounted.
    mount: PathBuf,
    /// The cgroup of this process.
    own: PathBuf,
}

impl Cgroups {
    pub(super) fn create() -> Result<Self> {
        let hierarchies = hierarchies(
            &fs::read_to_string("/proc/self/cgroup").context("cannot read our cgroups")?,
            &fs::read_to_string("/proc/self/mountinfo").context("cannot read our mounts")?,
        )?;
        let name = format!("{PREFIX}{:016x}", random());
        let version =
            if hierarchies.iter().any(|it| !it.controllers.is_empty()) { Version::One } else { Version::Two };
        match version {
            Version::One => {
                let folders =
                    hierarchies.iter().map(|it| (it.controllers.clone(), it.own.join(&name))).collect();
                let cgroups = Self::new(folders, version, Path::new(""))?;
                for hierarchy in &hierarchies {
                    hierarchy.create_child(&name)?;
                }
                Ok(cgroups)
            }
            Version::Two => {
                // Ours has processes in it; that at the top is the only one that may have both processes and
                // limits.
                let [Hierarchy { mount, .. }] = &hierarchies[..] else {
                    bail!("no cgroup hierarchy is mounted")
                };
                let folder = mount.join(&name);
                let cgroups = Self::new(vec![(String::new(), folder.clone())], version, mount)?;
                create(&folder.join(SYSTEM))?;
                let missing = missing_controllers(mount)?;
                if !missing.is_empty() {
                    create(&mount.join(format!("{SWITCHED_ON}.{}", missing.join("."))))?;
                    let on = missing.iter().map(|it| format!("+{it}")).collect::<Vec<_>>().join(" ");
                    write(&mount.join("cgroup.subtree_control"), &on)?;
                }
                Ok(cgroups)
            }
        }
    }

    /// Starts the sweeper before there is anything to sweep.
    fn new(folders: Vec<(String, PathBuf)>, version: Version, top: &Path) -> Result<Self> {
        let sweeper = Command::new("sh")
            .args(["-c", SWEEPER, "node-annotator-sweeper"])
            .arg(top)
            .args(folders.iter().map(|(_, folder)| folder))
            // Nobody's terminal, no pipe that somebody waits on to end, and not killed with the node.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start a shell")?;
        Ok(Self { folders, version, sweeper })
    }

    /// Moves a process to the top of the node's cgroups, where it has to be when it makes a cgroup namespace.
    pub(super) fn enter_top(&self, pid: u32) -> Result<()> {
        self.folders.iter().try_for_each(|(_, folder)| write(&folder.join(PROCESSES), &pid.to_string()))
    }

    /// Leaves nobody at the top where that is not possible.
    pub(super) fn clear_top(&self) -> Result<()> {
        if self.version == Version::One {
            return Ok(());
        }
        self.folders.iter().try_for_each(|(_, folder)| {
            // Whoever is forked while its parent is moved is left behind.
            for _ in 0..LOOKS {
                let processes = fs::read_to_string(folder.join(PROCESSES)).context("cannot read a cgroup")?;
                if processes.is_empty() {
                    return Ok(());
                }
                for pid in processes.lines() {
                    let moved = write(&folder.join(SYSTEM).join(PROCESSES), pid);
                    // Whoever has ended meanwhile need not be moved.
                    if Path::new("/proc").join(pid).exists() {
                        moved?;
                    }
                }
            }
            bail!("processes stay in the cgroup `{}`", folder.display())
        })
    }

    /// Moves a process to where those of the node itself are. What it starts afterwards is there too.
    pub(super) fn enter(&self, pid: u32) -> Result<()> {
        match self.version {
            Version::One => self.enter_top(pid),
            Version::Two => self
                .folders
                .iter()
                .try_for_each(|(_, folder)| write(&folder.join(SYSTEM).join(PROCESSES), &pid.to_string())),
        }
    }

    /// The node's cgroup with this controller, as the machine sees it.
    pub(super) fn folder(&self, controller: &str) -> Result<&Path> {
        let found = self.folders.iter().find(|(controllers, _)| {
            self.version == Version::Two || controllers.split(',').any(|it| it == controller)
        });
        let (_, folder) = found.with_context(|| format!("no cgroup with the controller `{controller}`"))?;
        Ok(folder)
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        let _ = self.sweeper.wait();
    }
}

impl Hierarchy {
    fn create_child(&self, name: &str) -> Result<()> {
        let child = self.own.join(name);
        create(&child)?;
        if self.controllers.split(',').any(|it| it == "cpuset") {
            // Nothing can be put into a cgroup of version 1 without processors and memory.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let inherited = fs::read_to_string(self.own.join(file)).context("cannot read our cpuset")?;
                write(&child.join(file), inherited.trim())?;
            }
        }
        Ok(())
    }
}

/// The hierarchies of `/proc/self/cgroup`, found in `/proc/self/mountinfo`.
fn hierarchies(cgroups: &str, mounts: &str) -> Result<Vec<Hierarchy>> {
    let mut found = Vec::new();
    for line in cgroups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            bail!("unknown format of /proc/self/cgroup: `{line}`");
        };
        // A hierarchy that is mounted nowhere is one that nothing here can use.
        let Some((root, mount)) = mounts.lines().find_map(|line| mounted(line, controllers)) else {
            continue;
        };
        let below = Path::new(path).strip_prefix(&root).unwrap_or(Path::new(""));
        let own = mount.join(below);
        found.push(Hierarchy { controllers: controllers.to_owned(), mount, own });
    }
    ensure!(!found.is_empty(), "no cgroup hierarchy is mounted");
    Ok(found)
}

/// Root and place of a mount, when it is that of these controllers.
fn mounted(line: &str, controllers: &str) -> Option<(PathBuf, PathBuf)> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, place) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let (kind, options) = (after.next()?, after.nth(1)?);
    let wanted = match controllers {
        "" => kind == "cgroup2",
        _ => {
            kind == "cgroup" && controllers.split(',').all(|it| options.split(',').any(|option| option == it))
        }
    };
    wanted.then(|| (root.into(), place.into()))
}

fn missing_controllers(top: &Path) -> Result<Vec<String>> {
    let read = |name: &str| {
        let path = top.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))
    };
    let (available, enabled) = (read("cgroup.controllers")?, read("cgroup.subtree_control")?);
    let has = |list: &str, name: &str| list.split_whitespace().any(|it| it == name);
    for controller in CONTROLLERS {
        ensure!(has(&available, controller), "the cgroup controller `{controller}` is not there");
    }
    Ok(CONTROLLERS.into_iter().filter(|it| !has(&enabled, it)).map(str::to_owned).collect())
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create the cgroup `{}`", folder.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write `{text}` to `{}`", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_hierarchies_of_version_1_beside_version_2() {
        let cgroups = "4:memory:/a/b\n2:cpu,cpuacct:/\n1:name=systemd:/c\n0::/\n";
        let mounts = "\
            25 20 0:21 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            26 20 0:22 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:1 - cgroup cgroup rw,cpu,cpuacct\n\
            27 20 0:23 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            28 20 0:24 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = hierarchies(cgroups, mounts).unwrap();
        let own: Vec<_> = found.iter().map(|it| it.own.to_str().unwrap()).collect();
        assert_eq!(
            own,
            [
                "/sys/fs/cgroup/memory/a/b",
                "/sys/fs/cgroup/cpu,cpuacct/",
                "/sys/fs/cgroup/systemd/c",
                "/sys/fs/cgroup/unified/"
            ]
        );
    }

    #[test]
    fn a_container_sees_its_own_cgroup_as_the_mounts_root() {
        let mounts = "30 20 0:24 /docker/1 /sys/fs/cgroup ro shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let found = hierarchies("0::/docker/1/init\n", mounts).unwrap();
        assert_eq!(found[0].own, Path::new("/sys/fs/cgroup/init"));
        assert_eq!(found[0].mount, Path::new("/sys/fs/cgroup"));
    }

    #[test]
    fn no_hierarchy_is_said() {
        hierarchies("0::/\n", "20 1 8:1 / / rw - ext4 /dev/vda rw\n").unwrap_err();
    }
}
