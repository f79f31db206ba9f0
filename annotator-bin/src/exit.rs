//! The exit codes: their numbers, which are stable, and what each means for each command.

use std::fmt::Write as _;
use std::process::ExitCode;

/// How the process ended. The table of meanings says what that is for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command did its work, and all is well.
    Done = 0,
    /// A defect, or a local failure such as an output that cannot be written.
    Unexpected = 1,
    /// The command line is wrong. Nothing was done.
    Usage = 2,
    /// The command did its work, and has failures to show for it.
    Failures = 3,
    /// The command could not do its work.
    Unfinished = 4,
}

/// Commands, and what each code means for them.
pub type Meanings = (&'static [&'static str], [(Exit, &'static str); 5]);

/// The meanings of the codes, by command. Any other command has [`OTHERS`].
const MEANINGS: [Meanings; 6] = [
    (
        &["run"],
        [
            (Exit::Done, "done, and written on the Node unless --dry-run"),
            (Exit::Unexpected, UNEXPECTED),
            (Exit::Usage, "the command line is wrong; nothing was run"),
            (Exit::Failures, "written, but some collectors failed, timed out or were given up"),
            (Exit::Unfinished, "nothing was written on the Node"),
        ],
    ),
    (
        &["doctor"],
        [
            (Exit::Done, "everything holds; there may be warnings"),
            (Exit::Unexpected, UNEXPECTED),
            (Exit::Usage, "the command line is wrong; nothing was checked"),
            (Exit::Failures, "something does not hold"),
            (Exit::Unfinished, "something could not be checked, such as for want of rights; the rest holds"),
        ],
    ),
    (
        &["status", "get", "diff", "drift", "report"],
        [
            (Exit::Done, "printed"),
            (Exit::Unexpected, UNEXPECTED),
            (Exit::Usage, "the command line is wrong; the cluster was not asked"),
            (
                Exit::Failures,
                "with --exit-code: something is pending, failed, given up or stale; nodes differ",
            ),
            (Exit::Unfinished, "the cluster could not be read, or no node is selected"),
        ],
    ),
    (
        &["check"],
        [
            (Exit::Done, "everything is as expected"),
            (Exit::Unexpected, UNEXPECTED),
            (Exit::Usage, "the command line or the file is wrong; the cluster was not asked"),
            (Exit::Failures, "something is not as expected, or not known"),
            (Exit::Unfinished, "the cluster could not be read, or no node is selected"),
        ],
    ),
    (
        &["wait"],
        [
            (Exit::Done, "everything is done"),
            (Exit::Unexpected, UNEXPECTED),
            (Exit::Usage, "the command line is wrong; the cluster was not asked"),
            (Exit::Failures, "not everything was done in time, or what is left was given up"),
            (Exit::Unfinished, "the cluster could not be read, or no node is selected"),
        ],
    ),
    (
        &["rerun", "expire", "clean"],
        [
            (Exit::Done, "everything is removed that was to be"),
            (Exit::Unexpected, UNEXPECTED),
            (Exit::Usage, "the command line is wrong; nothing was changed"),
            (
                Exit::Failures,
                "removed, but there are nodes that failed, still differ, or were written meanwhile",
            ),
            (Exit::Unfinished, "not everything was removed; the same command goes on where this one ended"),
        ],
    ),
];

/// For commands that print something and do nothing else.
const OTHERS: [(Exit, &str); 3] = [
    (Exit::Done, "printed"),
    (Exit::Unexpected, UNEXPECTED),
    (Exit::Usage, "the command line is wrong; nothing was printed"),
];

const UNEXPECTED: &str = "unexpected: a defect, or an output that cannot be written";

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

/// The commands whose codes have a meaning of their own, those that share it together, with that of every
/// code.
pub fn meanings() -> impl Iterator<Item = Meanings> {
    MEANINGS.into_iter()
}

/// The codes of a command, as its help shows them.
pub fn help(command: &str) -> String {
    let rows =
        MEANINGS.iter().find(|(names, _)| names.contains(&command)).map_or(&OTHERS[..], |(_, rows)| rows);
    let mut text = "Exit codes:".to_owned();
    for (exit, meaning) in rows {
        write!(text, "\n  {}  {meaning}", exit.code()).expect("a string takes what is written to it");
    }
    text
}
