//! Progress on stderr: one line that changes on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::Instant;

use super::table;

/// How often a line is written where no terminal reads it.
const PAUSE: Duration = Duration::from_secs(10);

/// The end of a line that changes.
#[derive(Debug)]
pub(crate) struct Progress {
    is_terminal: bool,
    told: Option<(Instant, String)>,
}

impl Progress {
    /// On this process's stderr.
    pub(crate) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), told: None }
    }

    /// Tells how far it is.
    pub(crate) fn tell(&mut self, line: &str) {
        let is_new = self
            .told
            .as_ref()
            .is_none_or(|(when, told)| told != line && (self.is_terminal || when.elapsed() >= PAUSE));
        if is_new {
            // Nobody has to read it.
            let _ = if self.is_terminal {
                // What goes on in a second line would stay there.
                let shown: String = line.chars().take(table::width_of_progress() - 1).collect();
                write!(io::stderr(), "\r\x1b[K{shown}")
            } else {
                writeln!(io::stderr(), "{line}")
            };
            self.told = Some((Instant::now(), line.to_owned()));
        }
    }

    /// Ends the line, for what comes after it.
    pub(crate) fn end(&mut self) {
        if self.told.take().is_some() && self.is_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
