//! Mount, network, PID, UTS, IPC and cgroup namespaces of one node, and the way into them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::cgroup::{Cgroups, Version};

/// Where a node's programs find others.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

const INIT: &str = include_str!("init.sh");

/// Waits until it was moved to where it belongs, and becomes what it is to be.
const LAUNCHER: &str = r#"read -r _ && exec "$@" < /dev/null"#;

/// What the machine shows of a node that runs. Everything in it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Namespaces {
    // Before its cgroups, which cannot be removed while it runs.
    unshare: Child,
    init: u32,
    group: i32,
    cgroups: Cgroups,
}

/// What PID 1 has to know.
#[derive(Debug)]
pub(super) struct Init<'a> {
    pub(super) name: &'a str,
    /// The folder that lasts over a reboot.
    pub(super) storage: &'a Path,
    /// Of the node, with the length of its prefix.
    pub(super) address: &'a str,
    /// Others that the node answers to.
    pub(super) addresses: &'a [&'a str],
    pub(super) log: &'a Path,
}

impl Namespaces {
    /// Returns when everything is mounted and the network is up. Blocks for a fraction of a second.
    pub(super) fn start(group: i32, init: &Init) -> Result<Self> {
        let cgroups = Cgroups::create()?;
        let mut command = launcher(group, "unshare");
        command
            .args(["--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup"])
            // Whoever kills unshare kills PID 1, and with it everything else.
            .args(["--fork", "--kill-child", "--mount-proc", "sh", "-c", INIT, "init", init.name])
            .arg(init.storage)
            .arg(init.address)
            .args(init.addresses)
            .stdout(Stdio::piped())
            .stderr(append(init.log)?);
        let mut unshare = command.spawn().context("cannot start a shell")?;
        let ready = (|| {
            cgroups.enter_top(unshare.id())?;
            release(&mut unshare)?;
            let stdout = unshare.stdout.take().context("no pipe")?;
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).context("cannot read from PID 1")?;
            if line != "ready\n" {
                let log = fs::read_to_string(init.log).unwrap_or_default();
                bail!("cannot set up the node's namespaces: {}", log.trim_end());
            }
            cgroups.clear_top()?;
            only_child(unshare.id())
        })();
        match ready {
            Ok(init) => Ok(Self { unshare, init, group, cgroups }),
            Err(error) => {
                let _ = unshare.kill();
                let _ = unshare.wait();
                Err(error)
            }
        }
    }

    /// PID 1, as the machine numbers it.
    pub(super) fn init(&self) -> u32 {
        self.init
    }

    /// A path of the node, as the machine sees it.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        Path::new("/proc")
            .join(self.init.to_string())
            .join("root")
            .join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(super) fn cgroups(&self) -> &Cgroups {
        &self.cgroups
    }

    /// Runs a program in the namespaces until it ends, and returns what it printed.
    pub(super) fn run(&self, program: &Path, arguments: &[&OsStr]) -> Result<String> {
        let mut command = self.command(program, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start a shell")?;
        self.cgroups.enter(child.id())?;
        release(&mut child)?;
        let output = child.wait_with_output().context("cannot wait for a program")?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            bail!("{}: {}: {}", program.display(), output.status, text.trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts a program in the namespaces.
    pub(super) fn start_program(&self, program: &Path, arguments: &[&OsStr], log: &Path) -> Result<Daemon> {
        let mut command = self.command(program, arguments);
        command.stdout(append(log)?).stderr(append(log)?);
        let mut nsenter = command.spawn().context("cannot start a shell")?;
        self.cgroups.enter(nsenter.id())?;
        release(&mut nsenter)?;
        Ok(Daemon { nsenter, name: program.display().to_string(), log: log.to_owned() })
    }

    fn command(&self, program: &Path, arguments: &[&OsStr]) -> Command {
        let mut command = launcher(self.group, "nsenter");
        // Nothing of what this process was told, proxies least of all.
        command.env_clear().env("PATH", PATH);
        command
            .arg(format!("--target={}", self.init))
            .args(["--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--wd=/", "--"])
            .arg(program)
            .args(arguments);
        command
    }
}

/// Does something in the network of a process: a socket that is made there stays there.
///
/// A thread can be in another network namespace than the rest of its process; this one ends with the work.
pub(super) fn in_network_of<T: Send>(pid: u32, work: impl FnOnce() -> io::Result<T> + Send) -> Result<T> {
    let namespace = File::open(format!("/proc/{pid}/ns/net")).context("the node is not there")?;
    let done = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        });
        thread.join()
    });
    Ok(done.map_err(|_| anyhow!("a thread in the node's network panicked"))??)
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// A program that runs in the namespaces until it is stopped.
#[derive(Debug)]
pub(super) struct Daemon {
    nsenter: Child,
    name: String,
    log: PathBuf,
}

impl Daemon {
    /// Why it ended, when it has ended.
    pub(super) fn failure(&mut self) -> Option<anyhow::Error> {
        let status = self.nsenter.try_wait().ok().flatten()?;
        Some(anyhow!("{} ended: {status}\nhint: its log is `{}`", self.name, self.log.display()))
    }

    /// Sends the signal that a service manager would send first, and waits for the end.
    pub(super) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(only_child(self.nsenter.id())?).context("impossible process id")?;
        let pid = Pid::from_raw(pid).context("impossible process id")?;
        kill_process(pid, Signal::TERM).context("cannot stop a program")?;
        self.nsenter.wait().context("cannot wait for a program")?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // What it started is in the PID namespace, and ends with that.
        let _ = self.nsenter.kill();
        let _ = self.nsenter.wait();
    }
}

fn launcher(group: i32, program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", LAUNCHER, "launcher", program]).process_group(group).stdin(Stdio::piped());
    command
}

fn release(child: &mut Child) -> Result<()> {
    let mut stdin = child.stdin.take().context("no pipe")?;
    stdin.write_all(b"\n").context("cannot release a program")
}

fn append(log: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(log);
    file.with_context(|| format!("cannot open `{}`", log.display()))
}

fn only_child(pid: u32) -> Result<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
    let child = children.split_whitespace().next().and_then(|it| it.parse().ok());
    child.with_context(|| format!("process {pid} has no child"))
}

/// Whether this process may make such namespaces; `Err` says why not.
pub(super) fn probe() -> Result<Version, String> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--mount-proc"]);
    command.args(["mount", "-t", "tmpfs", "tmpfs", "/run"]).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("cannot run unshare: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("no namespaces of its own can be made here: {}", text.trim_end()));
    }
    // Made, and removed at once.
    Cgroups::create().map(|cgroups| cgroups.version()).map_err(|error| format!("{error:#}"))
}
