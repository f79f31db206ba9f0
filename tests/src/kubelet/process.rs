//! Containers as processes: the real binary, with nothing between it and the kernel.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::{env, thread};

use anyhow::{Context, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::oneshot;

use super::runtime::{ContainerSpec, Exit, Running, Runtime, Stop};
use crate::target;

/// Starts each container as a process of this user. Images, users, limits and mounts are ignored.
///
/// SIGTERM and SIGKILL reach the process itself and none that it started: those end with the cluster.
#[derive(Debug)]
pub struct Process {
    group: i32,
    entrypoint: Option<PathBuf>,
}

impl Process {
    /// Runs processes in a group; `entrypoint` is what a container without a command runs (by default, the
    /// binary under test).
    pub fn new(group: i32, entrypoint: Option<PathBuf>) -> Self {
        Self { group, entrypoint }
    }

    fn program(&self, spec: &ContainerSpec) -> Result<PathBuf> {
        match spec.command.first().filter(|program| !program.is_empty()) {
            Some(program) => Ok(PathBuf::from(program)),
            None => self.entrypoint.clone().map_or_else(target::annotator_binary, Ok),
        }
    }
}

impl Runtime for Process {
    fn start(&self, spec: ContainerSpec) -> Result<Running> {
        let program = self.program(&spec)?;
        let mut child = Command::new(&program)
            .args(spec.command.iter().skip(1))
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin")))
            .envs(spec.env)
            .current_dir(&spec.working_directory)
            .process_group(self.group)
            .stdin(Stdio::null())
            .stdout(create(&spec.stdout)?)
            .stderr(create(&spec.stderr)?)
            .spawn()
            .with_context(|| format!("cannot start `{}`", program.display()))?;
        let pid = child.id();
        // Opened before anybody reaps the child: no other process can ever get our signals.
        let descriptor = i32::try_from(pid).ok().and_then(Pid::from_raw).context("impossible process id");
        let descriptor = descriptor.and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
        let descriptor = descriptor.inspect_err(|_| abandon(&mut child))?;
        let stopper = move |stop| {
            let signal = if stop == Stop::Kill { Signal::KILL } else { Signal::TERM };
            let _ = pidfd_send_signal(&descriptor, signal);
        };

        let (sender, exited) = oneshot::channel();
        // A thread and not the async runtime reaps: no zombie stays, whichever of them ends first.
        thread::Builder::new()
            .name(format!("wait-{pid}"))
            .stack_size(64 * 1024)
            .spawn(move || {
                let exit = child.wait().map_or(Exit { code: 137, signal: Some(9) }, exit);
                let _ = sender.send(exit);
            })
            .context("cannot start a thread")?;
        Ok(Running::new(Some(pid), exited, Arc::new(stopper)))
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot create `{}`", path.display()))
}

fn abandon(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn exit(status: ExitStatus) -> Exit {
    let signal = status.signal();
    Exit { code: status.code().or_else(|| signal.map(|signal| 128 + signal)).unwrap_or(-1), signal }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guardian::Guardian;

    fn spec(folder: &Path, script: &str) -> ContainerSpec {
        ContainerSpec {
            node: "n1".into(),
            namespace: "default".into(),
            pod: "p".into(),
            container: "c".into(),
            image: String::new(),
            restart: 0,
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec![("ONE".into(), "1".into())],
            working_directory: "/".into(),
            stdout: folder.join("stdout"),
            stderr: folder.join("stderr"),
            termination_message: folder.join("termination-message"),
        }
    }

    #[tokio::test]
    async fn runs_with_its_own_environment_only() {
        let guardian = Guardian::start().unwrap();
        let runtime = Process::new(guardian.group(), None);
        let script = "echo $ONE; env | grep -c CARGO; exit 7";
        let mut running = runtime.start(spec(guardian.folder(), script)).unwrap();
        assert_eq!(running.exited().await, Exit { code: 7, signal: None });
        let text = std::fs::read_to_string(guardian.folder().join("stdout")).unwrap();
        assert_eq!(text, "1\n0\n");
    }

    #[tokio::test]
    async fn terminates_and_kills() {
        let guardian = Guardian::start().unwrap();
        let runtime = Process::new(guardian.group(), None);
        for (stop, code) in [(Stop::Terminate, 143), (Stop::Kill, 137)] {
            let mut running = runtime.start(spec(guardian.folder(), "exec sleep 1000")).unwrap();
            (running.stopper())(stop);
            assert_eq!(running.exited().await, Exit { code, signal: Some(code - 128) });
        }
    }
}
