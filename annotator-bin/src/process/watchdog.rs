//! A thread that ends the process at its deadline if the runtime itself is stuck.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use tracing::error;

/// Ends the process at the deadline. Dropping it calls the watchdog off.
#[derive(Debug)]
pub(crate) struct Watchdog {
    _alive: Sender<()>,
}

/// What a stuck process leaves behind.
#[derive(Debug)]
pub(crate) struct LastWords {
    /// The exit code.
    pub(crate) code: u8,
    /// For the log.
    pub(crate) message: &'static str,
}

/// Longest time for the last line of the log. The pipe that it goes to may be the thing that is stuck.
const PATIENCE: Duration = Duration::from_millis(200);

impl Watchdog {
    /// Runs `last_words`, logs them and ends the process with their code, unless dropped within `deadline`.
    ///
    /// A collector that blocks the runtime thread stops every timer of the runtime. The watchdog has a thread
    /// of its own.
    pub(crate) fn start(deadline: Duration, last_words: impl FnOnce() -> LastWords + Send + 'static) -> Self {
        let (alive, gone) = channel::<()>();
        thread::spawn(move || {
            if gone.recv_timeout(deadline) == Err(RecvTimeoutError::Timeout) {
                let LastWords { code, message } = last_words();
                let (logging, logged) = channel::<()>();
                thread::spawn(move || {
                    error!("{message}");
                    drop(logging);
                });
                // The process ends, whether the line is out or not.
                let _ = logged.recv_timeout(PATIENCE);
                #[expect(
                    clippy::disallowed_methods,
                    reason = "nothing else in this process is able to end it"
                )]
                std::process::exit(i32::from(code));
            }
        });
        Self { _alive: alive }
    }
}
