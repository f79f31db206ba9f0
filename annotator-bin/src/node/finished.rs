//! How a try of a run ended.

use node_annotator_core::{Plan, Report};

use super::publish::Published;
use crate::exit::Exit;
use crate::trouble::Trouble;

/// How a try ended.
#[derive(Debug)]
pub enum Finished {
    /// The first one was stopped while it collected.
    Stopped(Trouble),
    /// It collected.
    Ran {
        /// The latest outcome of each collector.
        report: Report,
        /// What was to be written.
        plan: Plan,
        /// What became of the plan.
        written: Written,
    },
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It was to be shown alone.
    DryRun,
    /// No outcome differs from what is on the Node.
    Unchanged,
    /// It is on the Node.
    Stored(Published),
    /// It is not on the Node.
    Failed {
        /// Why.
        trouble: Trouble,
        /// Whether the API server may take the same later.
        passes: bool,
    },
}

impl Finished {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Stopped(_) | Self::Ran { written: Written::Failed { .. }, .. } => Exit::Unfinished,
            Self::Ran { report, .. } if report.failures().next().is_some() => Exit::Failures,
            Self::Ran { .. } => Exit::Done,
        }
    }

    /// The outcomes, if it collected.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Stopped(_) => None,
            Self::Ran { report, .. } => Some(report),
        }
    }

    /// Why nothing is written.
    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Stopped(trouble) | Self::Ran { written: Written::Failed { trouble, .. }, .. } => {
                Some(trouble)
            }
            Self::Ran { .. } => None,
        }
    }
}
