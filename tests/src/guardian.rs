//! Ends what a cluster started and removes its folder, even when this process is killed and can do nothing
//! itself.
//!
//! Two small shells read a pipe whose other end this process holds. The pipe ends in whatever way this
//! process does. The first shell leads the process group in which everything else runs, and kills that group;
//! the second stands outside of it, waits until the group is gone, kills what has left the group and has the
//! folder in its environment, such as the command of a task, and removes the folder. Both groups are none
//! that a terminal sends Ctrl-C to.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// When set to anything, folders (with all logs in them) are left behind, and named on stderr.
pub const KEEP_VARIABLE: &str = "NODE_ANNOTATOR_TEST_KEEP";

const LEADER: &str = "while read -r _; do :; done; kill -s KILL 0";

// A zombie counts as a member until it is reaped, and in a container nobody may do that: hence the bound.
const REMOVER: &str = r#"
while read -r _; do :; done
i=0
while kill -s 0 -- "-$1" 2>/dev/null && [ "$i" -lt 100 ]; do sleep 0.05; i=$((i + 1)); done
for environment in /proc/[0-9]*/environ; do
    grep -qsF -- "$2" "$environment" || continue
    process=${environment#/proc/}
    kill -s KILL "${process%/environ}" 2>/dev/null
done
[ -n "$3" ] || rm -rf -- "$2" || { sleep 1; rm -rf -- "$2"; }
"#;

/// The folder and the process group of one cluster, both of which end with it.
#[derive(Debug)]
pub struct Guardian {
    leader: Child,
    remover: Child,
    group: i32,
    folder: PathBuf,
}

impl Guardian {
    /// Makes the folder and starts the two shells.
    pub fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("node-annotator-").tempdir();
        // Until the second shell runs, this process removes the folder.
        let folder = folder.context("cannot make a folder for temporary files")?;
        let keep = std::env::var_os(KEEP_VARIABLE).is_some();
        if keep {
            eprintln!("files are kept: {}", folder.path().display());
        }
        let leader = shell(LEADER, []).spawn().context("cannot start a shell")?;
        let group = i32::try_from(leader.id()).context("impossible process id")?;
        let arguments = [
            OsStr::new(&group.to_string()).to_owned(),
            folder.path().into(),
            if keep { "keep" } else { "" }.into(),
        ];
        let remover =
            shell(REMOVER, arguments.iter().map(AsRef::as_ref)).spawn().context("cannot start a shell")?;
        Ok(Self { leader, remover, group, folder: folder.keep() })
    }

    /// The folder, removed when this is dropped or this process ends.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process group: what is started with it is killed when this is dropped or this process ends.
    pub fn group(&self) -> i32 {
        self.group
    }

    /// A command that runs in the group, and reads nothing.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.process_group(self.group).stdin(Stdio::null());
        command
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        for shell in [&mut self.leader, &mut self.remover] {
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
    }
}

fn shell<'a>(script: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "node-annotator-guardian"]).args(arguments);
    // Nobody's terminal, and no pipe that somebody waits on to end (`cargo test | tee`).
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_ends_the_group_and_removes_the_folder() {
        let guardian = Guardian::start().unwrap();
        std::fs::write(guardian.folder().join("file"), "text").unwrap();
        let mut child = guardian.command("sleep").arg("1000").spawn().unwrap();
        let folder = guardian.folder().to_owned();
        let mut leaver = Command::new("sleep");
        leaver.arg("1000").env("FACTS", folder.join("facts")).process_group(0);
        let mut leaver = leaver.spawn().unwrap();
        // As the container runtime does: without a reaper the group would outlive its killing.
        let reaper = std::thread::spawn(move || child.wait());
        drop(guardian);
        assert!(!folder.exists());
        assert_eq!(reaper.join().unwrap().unwrap().code(), None);
        assert_eq!(leaver.wait().unwrap().code(), None);
    }
}
