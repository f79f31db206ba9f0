//! One server of the control plane as a child process with a log file.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use crate::wait;

const TAIL_LINES: usize = 25;

/// A child process that is killed when dropped.
#[derive(Debug)]
pub(crate) struct Component {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Component {
    /// Starts `program` in a process group. Appends to `log`, so that a restart keeps what was there.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        args: impl IntoIterator<Item = String>,
        group: i32,
        log: PathBuf,
    ) -> Result<Self> {
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("cannot open `{}`", log.display()))?;
        let child = Command::new(program)
            .args(args)
            .process_group(group)
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("cannot share the log file")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start `{}`", program.display()))?;
        Ok(Self { name, child, log })
    }

    /// Why it ended, when it has ended.
    pub(crate) fn failure(&mut self) -> Option<anyhow::Error> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(anyhow!("{} ended: {status}; {}", self.name, self.log_tail()))
    }

    /// Returns when the port accepts connections; an error when the program ends before.
    pub(crate) async fn wait_for_port(&mut self, port: u16, deadline: Duration) -> Result<()> {
        let what = format!("{} to listen", self.name);
        let listening = wait::until_within(deadline, &what, async || {
            if let Some(failure) = self.failure() {
                return Ok(Err(failure));
            }
            TcpStream::connect(("127.0.0.1", port)).await.map(|_| Ok(()))
        });
        let listening = listening.await;
        listening.with_context(|| self.log_tail())?
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("impossible process id")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// The last lines of its log, with a headline.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().rev().take(TAIL_LINES).collect();
        let lines: Vec<_> = lines.into_iter().rev().collect();
        format!("the end of `{}`:\n{}\n", self.log.display(), lines.join("\n"))
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
