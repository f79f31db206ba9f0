//! One command as a container would run it: its output passed on, its signals too, and nothing of it left
//! when it ends.

use std::ffi::OsString;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, wait};
use tokio::signal::unix::{self, SignalKind};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::tail::Tail;
use crate::process::children;

/// Between SIGTERM at a time-out and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// The longest wait for processes that were sent SIGKILL: one may hang in the kernel.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// It took too long, and was ended.
    TimedOut,
    /// It could not be started.
    NotStarted(String),
    /// The pod is taken away.
    Stopped,
}

/// The signals that are passed on, as they come.
#[derive(Debug)]
pub struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Hears them from now on. As the first process of a container this one would ignore them otherwise.
    pub fn start() -> io::Result<Self> {
        // What the command leaves behind is ours to end. Pods run on Linux alone.
        #[cfg(target_os = "linux")]
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let all = [
            (Signal::TERM, SignalKind::terminate()),
            (Signal::INT, SignalKind::interrupt()),
            (Signal::HUP, SignalKind::hangup()),
            (Signal::QUIT, SignalKind::quit()),
            (Signal::USR1, SignalKind::user_defined1()),
            (Signal::USR2, SignalKind::user_defined2()),
        ];
        let heard = all.into_iter().map(|(signal, kind)| Ok((signal, unix::signal(kind)?)));
        heard.collect::<io::Result<_>>().map(Self)
    }

    /// The next one.
    async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            let heard = self
                .0
                .iter_mut()
                .find_map(|(signal, heard)| heard.poll_recv(cx).is_ready().then_some(*signal));
            heard.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Waits until the pod is taken away.
    pub async fn stop(&mut self) {
        while !asks_to_stop(self.next().await) {}
    }

    /// Waits that long; whether the pod is taken away meanwhile.
    pub async fn stop_within(&mut self, time: Duration) -> bool {
        timeout(time, self.stop()).await.is_ok()
    }
}

fn asks_to_stop(signal: Signal) -> bool {
    [Signal::TERM, Signal::INT].contains(&signal)
}

/// Runs a command, for no longer than `limit`. Returns how it ended, and what it has printed last.
pub async fn run(words: &[OsString], limit: Duration, signals: &mut Signals) -> (Ending, String) {
    let tail = Arc::new(Mutex::new(Tail::default()));
    let ending = match spawn(words, &tail) {
        Err(error) => {
            let program = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
            Ending::NotStarted(format!("`{program}` cannot be started: {error}"))
        }
        Ok((pid, readers)) => {
            let ending = ended(pid, limit, signals).await;
            end_all_below().await;
            // Nobody is left who could write; a reader that hangs is not waited for.
            let read = spawn_blocking(move || readers.into_iter().for_each(|it| drop(it.join())));
            let _ = timeout(PATIENCE, read).await;
            ending
        }
    };
    let text = tail.lock().unwrap_or_else(PoisonError::into_inner).text();
    (ending, text)
}

fn spawn(words: &[OsString], tail: &Arc<Mutex<Tail>>) -> io::Result<(Pid, [JoinHandle<()>; 2])> {
    let (program, arguments) = words.split_first().ok_or_else(|| io::Error::other("there is no command"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Signals reach what a shell has started as well.
        .process_group(0)
        .spawn()?;
    let stdout = pass_on(child.stdout.take().expect("it is piped"), io::stdout(), tail);
    let stderr = pass_on(child.stderr.take().expect("it is piped"), io::stderr(), tail);
    // Waited for below, with the orphans that come to this process.
    Ok((Pid::from_child(&child), [stdout, stderr]))
}

/// Copies an output to ours, so that `kubectl logs` shows it, and keeps its end.
fn pass_on(
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    tail: &Arc<Mutex<Tail>>,
) -> JoinHandle<()> {
    let tail = Arc::clone(tail);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            tail.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..read]);
            // Whether anybody reads ours is not the command's concern.
            let _ = to.write_all(&buffer[..read]).and_then(|()| to.flush());
        }
    })
}

async fn ended(pid: Pid, limit: Duration, signals: &mut Signals) -> Ending {
    let mut reaped = spawn_blocking(move || reap(pid));
    let deadline = Instant::now() + limit;
    let (mut is_late, mut is_stopping) = (false, false);
    loop {
        let next = if is_late { deadline + GRACE } else { deadline };
        tokio::select! {
            status = &mut reaped => return match status.ok().flatten() {
                _ if is_stopping => Ending::Stopped,
                _ if is_late => Ending::TimedOut,
                Some(status) => match status.terminating_signal() {
                    Some(signal) => Ending::Signaled(signal),
                    None => Ending::Exited(status.exit_status().unwrap_or_default()),
                },
                None => Ending::NotStarted("the command was lost".to_owned()),
            },
            signal = signals.next() => {
                is_stopping |= asks_to_stop(signal);
                // It may have ended meanwhile.
                let _ = kill_process_group(pid, signal);
            }
            () = sleep_until(next) => {
                if is_late {
                    return Ending::TimedOut;
                }
                is_late = true;
                let _ = kill_process_group(pid, Signal::TERM);
            }
        }
    }
}

/// Waits for a process, and takes leave of all others that end meanwhile.
fn reap(pid: Pid) -> Option<WaitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == pid => return Some(status),
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Ends what a command has left behind, as the end of a container does.
async fn end_all_below() {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        children::end();
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
}
