//! How long a pod tries again what failed.

use std::fmt;
use std::time::Duration;

/// When a collector that keeps failing is given up, counted from the start of the process.
///
/// What waiting does not mend is given up sooner, unless it is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUpAfter {
    /// It is tried again for as long as the pod lives.
    Never,
    /// It is given up at the first failure after this time.
    Time(Duration),
}

impl Default for GiveUpAfter {
    fn default() -> Self {
        Self::Time(Duration::from_hours(1))
    }
}

/// As the command line takes it.
impl fmt::Display for GiveUpAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Time(time) => match (time.as_secs(), time.subsec_nanos()) {
                (seconds, 0) if seconds.is_multiple_of(3600) => write!(f, "{}h", seconds / 3600),
                (seconds, 0) if seconds.is_multiple_of(60) => write!(f, "{}m", seconds / 60),
                _ => write!(f, "{time:?}"),
            },
        }
    }
}
