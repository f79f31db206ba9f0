//! What the exit status says. The numbers are documented and stable.

use std::process::ExitCode;

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All selected collectors are done, and that is written on the Node; or there was nothing to write. `doctor`: all holds.
    Done = 0,
    /// A defect, or a local failure such as an unwritable output.
    Unexpected = 1,
    /// The command line is wrong. Nothing was run.
    Usage = 2,
    /// Written on the Node, but some collectors failed, panicked or timed out. `doctor`: something does not hold.
    SomeFailed = 3,
    /// Nothing was written on the Node. `doctor`: something could not be checked, and what could holds.
    NotPublished = 4,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
