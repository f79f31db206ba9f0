//! `cargo xtask record-machine`: what the collectors look at on a machine, as a small root file system for
//! the tests.

mod identifiers;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use node_annotator_core::context::Access;
use node_annotator_core::{Context, HostRoot, Outcome, Registry, Report, Runner, Selection};

use self::identifiers::Identifiers;

/// A read that hangs does not hang the recording.
const BUDGET: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder to write, such as `collectors/fixtures/my-machine`; it must not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The root of the machine
    #[arg(long, value_name = "PATH", default_value = "/")]
    root: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { folder, root } = options;
    ensure!(!folder.exists(), "`{}` exists already\nhint: name a folder that does not", folder.display());
    let host = HostRoot::new(root);
    let report = look(&host)?;
    let facts = report.entries().iter().filter_map(|entry| match &entry.outcome {
        Outcome::Collected(facts) => Some(facts.iter().map(|(_, value)| value)),
        _ => None,
    });
    let identifiers = Identifiers::new(facts.flatten());
    let mut recording = Recording { host: &host, root, folder, identifiers, skipped: Vec::new() };
    let accesses = host.accesses();
    // What is read behind a link is written behind it.
    let (links, others): (Vec<_>, Vec<_>) =
        accesses.iter().partition(|access| matches!(access, Access::Link(_)));
    for access in links.into_iter().chain(others) {
        recording.write(access)?;
    }
    eprintln!("written: {}, of {} places that the collectors looked at", folder.display(), accesses.len());
    for skipped in &recording.skipped {
        eprintln!("left out: {skipped}");
    }
    eprintln!(
        "read it before you give it away: serial numbers, UUIDs, addresses and values of boot parameters were replaced, \
         but only where they look like such"
    );
    Ok(())
}

/// Runs all collectors without any network, for what they look at.
fn look(host: &HostRoot) -> Result<Report> {
    let selection = Selection::parse("all", &Registry::from_inventory()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let context = Arc::new(Context::offline(host.clone()));
    let report = runtime.block_on(Runner::new(BUDGET).run(&selection, context));
    // A thread whose read never returns is not waited for.
    runtime.shutdown_background();
    Ok(report)
}

struct Recording<'a> {
    host: &'a HostRoot,
    root: &'a Path,
    folder: &'a Path,
    identifiers: Identifiers,
    /// What could not be recorded, and why.
    skipped: Vec<String>,
}

impl Recording<'_> {
    fn write(&mut self, access: &Access) -> Result<()> {
        match access {
            // It has no identifiers, and its text is not what it holds.
            Access::Text(path) if Path::new(path).extension().is_some_and(|extension| extension == "gz") => {
                self.copy(path)
            }
            Access::Text(path) => match self.host.text(path) {
                Ok(Some(text)) => {
                    let text = self.identifiers.replace(path, &text);
                    self.file(path, &text)
                }
                Ok(None) => Ok(()),
                Err(error) => self.skip(&error),
            },
            // What was not read of a binary file may be anything, and is not recorded.
            Access::Bytes(path, offset, length) => match self.host.bytes(path, *offset, *length) {
                Ok(Some(bytes)) => self.bytes(path, *offset, &bytes),
                Ok(None) => Ok(()),
                Err(error) => self.skip(&error),
            },
            Access::List(path) => match self.host.list(path) {
                Ok(Some(names)) => {
                    create_folder(&self.place(path))?;
                    names.iter().try_for_each(|name| self.entry(&format!("{path}/{name}")))
                }
                Ok(None) => Ok(()),
                Err(error) => self.skip(&error),
            },
            Access::Link(path) => match self.host.link(path) {
                Ok(Some(target)) => self.link(path, &target),
                Ok(None) => Ok(()),
                Err(error) => self.skip(&error),
            },
            Access::Exists(path) => match self.host.exists(path) {
                Ok(true) => self.entry(path),
                Ok(false) => Ok(()),
                Err(error) => self.skip(&error),
            },
        }
    }

    fn place(&self, path: &str) -> PathBuf {
        self.folder.join(path.trim_start_matches('/'))
    }

    /// Something that is there and is not read: a directory, or an empty file.
    fn entry(&self, path: &str) -> Result<()> {
        let place = self.place(path);
        if place.symlink_metadata().is_ok() {
            return Ok(());
        }
        if self.root.join(path.trim_start_matches('/')).is_dir() {
            create_folder(&place)
        } else {
            self.file(path, "")
        }
    }

    fn file(&self, path: &str, text: impl AsRef<[u8]>) -> Result<()> {
        let place = self.place(path);
        if let Some(folder) = place.parent() {
            create_folder(folder)?;
        }
        fs::write(&place, text).with_context(|| format!("cannot write `{}`", place.display()))
    }

    fn copy(&self, path: &str) -> Result<()> {
        match fs::read(self.root.join(path.trim_start_matches('/'))) {
            Ok(bytes) => self.file(path, bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot read `{path}`")),
        }
    }

    /// Some bytes of a file that has zeros around them.
    fn bytes(&self, path: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        let place = self.place(path);
        if let Some(folder) = place.parent() {
            create_folder(folder)?;
        }
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&place);
        file.and_then(|file| file.write_all_at(bytes, offset))
            .with_context(|| format!("cannot write `{}`", place.display()))
    }

    /// A link as it is, with the directory that it leads to.
    fn link(&self, path: &str, target: &str) -> Result<()> {
        let place = self.place(path);
        if place.symlink_metadata().is_ok() {
            return Ok(());
        }
        if let Some(folder) = place.parent() {
            create_folder(folder)?;
        }
        symlink(target, &place).with_context(|| format!("cannot write `{}`", place.display()))?;
        if self.root.join(path.trim_start_matches('/')).is_dir() {
            create_folder(&self.folder.join(behind(path, target)))?;
        }
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "ends an arm of `write`")]
    fn skip(&mut self, error: &node_annotator_core::context::HostError) -> Result<()> {
        self.skipped.push(error.to_string());
        Ok(())
    }
}

/// Where a link leads, below the root and never out of it.
fn behind(path: &str, target: &str) -> PathBuf {
    let start =
        if target.starts_with('/') { "" } else { path.rsplit_once('/').map_or("", |(above, _)| above) };
    let mut place = PathBuf::new();
    for part in start.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(place.pop()),
            part => place.push(part),
        }
    }
    place
}

fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(root: &Path) -> Vec<String> {
        let report = look(&HostRoot::new(root)).unwrap();
        report
            .entries()
            .iter()
            .map(|entry| format!("{}: {:?}", entry.collector.name, entry.outcome))
            .collect()
    }

    #[test]
    fn collectors_see_the_same_on_a_recording() {
        let fixtures = xtask_workspace::root().join("collectors/fixtures");
        for machine in ["amd-epyc", "big-little", "droplet", "vm-generic"] {
            let folder = tempfile::tempdir().unwrap();
            let copy = folder.path().join("copy");
            let root = fixtures.join(machine);
            run(&Options { folder: copy.clone(), root: root.clone() }).unwrap();
            let (recorded, original) = (outcomes(&copy), outcomes(&root));
            assert_eq!(recorded, original, "{machine}");
        }
    }

    #[test]
    fn identifiers_are_not_in_a_recording() {
        let folder = tempfile::tempdir().unwrap();
        let (root, copy) = (folder.path().join("root"), folder.path().join("copy"));
        let write = |path: &str, text: &str| {
            let place = root.join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
        };
        write("proc/cpuinfo", "processor\t: 0\nmodel name\t: A CPU\nSerial\t\t: 10000000abcdef01\n");
        write("proc/cmdline", "quiet root=UUID=2f1c6c2a-9d0e-4b61-9c3a-1f0e8a7d5b21 password=hunter2\n");
        write("proc/sys/kernel/osrelease", "6.8.0-45-generic\n");
        run(&Options { folder: copy.clone(), root }).unwrap();
        let cpuinfo = fs::read_to_string(copy.join("proc/cpuinfo")).unwrap();
        assert!(cpuinfo.contains("model name\t: A CPU") && !cpuinfo.contains("abcdef01"), "{cpuinfo}");
        let cmdline = fs::read_to_string(copy.join("proc/cmdline")).unwrap();
        assert!(cmdline.starts_with("quiet root=") && !cmdline.contains("2f1c6c2a"), "{cmdline}");
        assert!(!cmdline.contains("hunter2"), "{cmdline}");
    }

    #[test]
    fn links_lead_where_they_led_below_the_root() {
        for (path, target, place) in [
            (
                "/sys/block/vda",
                "../devices/pci0000:00/virtio1/block/vda",
                "sys/devices/pci0000:00/virtio1/block/vda",
            ),
            ("/sys/a", "/proc/./b", "proc/b"),
            ("/sys/a", "../../../etc", "etc"),
        ] {
            assert_eq!(behind(path, target), Path::new(place), "{path} -> {target}");
        }
    }

    #[test]
    fn a_recording_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { folder: folder.path().to_owned(), root: PathBuf::from("/nonexistent") };
        let error = run(&options).unwrap_err().to_string();
        assert!(error.ends_with("exists already\nhint: name a folder that does not"), "{error}");
    }
}
