//! The last line of the deadline: a thread that ends the process if the runtime itself is stuck.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use tracing::error;

/// While this lives, the process ends at the deadline. Dropping it calls the watchdog off.
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

/// Longest time for the last line of the log: what is stuck may well be the pipe that it goes to.
const PATIENCE: Duration = Duration::from_millis(200);

impl Watchdog {
    /// Runs `last_words`, logs them and ends the process with their code, unless dropped within `deadline`.
    ///
    /// A collector that blocks the runtime thread against the rules stops every timer there is; this one has a thread of its own.
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
                // Whether the line is out or not, this is the end.
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
