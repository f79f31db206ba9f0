//! A thread that hears the signals, and ends the process when the runtime that should is stuck.
//!
//! A collector, a log that nobody reads or a hung disk may block the thread of the runtime, and with it each
//! of its timers and signals. Nothing in here waits for what may be stuck for longer than [`PATIENCE`].

use std::io;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::error;

use super::stop::{self, Stop, Stopper};
use crate::exit::Exit;

/// Ends the process at a deadline, and a while after a signal. Dropping it calls it off.
#[derive(Debug)]
pub(crate) struct Watchdog {
    work: watch::Sender<Work>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// It has to be done by then.
    Until(Instant),
    /// Nothing has to be done by any time.
    Done,
}

/// What a stuck process leaves behind.
#[derive(Debug)]
pub(crate) struct LastWords {
    /// The exit code.
    pub(crate) code: u8,
    /// For the log.
    pub(crate) message: &'static str,
}

/// How long a process has to end by itself after a signal. The answer to a PATCH in flight is awaited for 3
/// s.
const GRACE: Duration = Duration::from_secs(5);

/// Longest time for each of the last words. What they are written to may be the thing that is stuck.
const PATIENCE: Duration = Duration::from_millis(500);

impl Watchdog {
    /// Hears SIGTERM and SIGINT from now on. Unless dropped, it runs `last_words`, logs them and ends the
    /// process with their code: [`GRACE`] after a signal, and at the deadline of work that is not done.
    ///
    /// PID 1 ignores a signal without a handler, so this comes first in a process that runs as a container.
    pub(crate) fn start(last_words: impl FnOnce() -> LastWords + Send + 'static) -> io::Result<(Self, Stop)> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?]
        };
        let (work, watched) = watch::channel(Work::Done);
        let (stopper, stop) = stop::channel();
        thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            if is_stuck(&runtime, signals, &stopper, watched) {
                end(last_words);
            }
        })?;
        Ok((Self { work }, stop))
    }

    /// Work begins that has to be done within this time.
    pub(crate) fn work_begins(&self, limit: Duration) {
        self.work.send_replace(Work::Until(Instant::now() + limit));
    }

    /// What had to be done by the deadline is done. Signals are still heard.
    pub(crate) fn work_is_done(&self) {
        self.work.send_replace(Work::Done);
    }
}

/// Waits until the process is to be ended, or the watchdog is dropped.
fn is_stuck(
    runtime: &Runtime,
    [mut terminate, mut interrupt]: [Signal; 2],
    stopper: &Stopper,
    watched: watch::Receiver<Work>,
) -> bool {
    let mut work = watched.clone();
    let mut dropped = watched;
    runtime.block_on(async {
        tokio::select! {
            () = async {
                tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
                stopper.stop();
                sleep(GRACE).await;
            } => true,
            () = overdue(&mut work) => true,
            () = async { while dropped.changed().await.is_ok() {} } => false,
        }
    })
}

/// Waits until the deadline of some work passes.
async fn overdue(work: &mut watch::Receiver<Work>) {
    loop {
        let now = *work.borrow_and_update();
        let late = async {
            match now {
                Work::Until(deadline) => sleep_until(deadline).await,
                Work::Done => std::future::pending().await,
            }
        };
        tokio::select! {
            () = late => return,
            changed = work.changed() => {
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

fn end(last_words: impl FnOnce() -> LastWords + Send + 'static) {
    let (told, words) = channel();
    thread::spawn(move || told.send(last_words()));
    let LastWords { code, message } = words
        .recv_timeout(PATIENCE)
        .unwrap_or(LastWords { code: Exit::Unfinished.code(), message: "stuck: the last words, too" });
    let (logging, logged) = channel::<()>();
    thread::spawn(move || {
        error!("{message}");
        drop(logging);
    });
    // The process ends, whether the line is out or not.
    let _ = logged.recv_timeout(PATIENCE);
    #[expect(clippy::disallowed_methods, reason = "nothing else in this process is able to end it")]
    std::process::exit(i32::from(code));
}
