//! The last line of the deadline: a thread that ends the process if the runtime itself is stuck.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// While this lives, the process ends at the deadline. Dropping it calls the watchdog off.
#[derive(Debug)]
pub(crate) struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    /// Runs `last_words` and ends the process with the code that they return, unless dropped within `deadline`.
    ///
    /// A collector that blocks the runtime thread against the rules stops every timer there is; this one has a thread of its own.
    pub(crate) fn start(deadline: Duration, last_words: impl FnOnce() -> u8 + Send + 'static) -> Self {
        let (alive, gone) = channel::<()>();
        thread::spawn(move || {
            if gone.recv_timeout(deadline) == Err(RecvTimeoutError::Timeout) {
                let code = last_words();
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
