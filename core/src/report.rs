//! What became of each collector in one run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::context::BootId;
use crate::error::{FailureKind, MAX_ERROR_BYTES};
use crate::fact::{MAX_RUN_BYTES, clean};
use crate::facts::LeftOut;
use crate::key::fact_name;
use crate::write::UNKNOWN;
use crate::{CollectError, Collector, Facts};

/// All outcomes of one run, in order of the collectors' names.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Report {
    entries: Vec<Entry>,
    #[serde(skip)]
    boot_id: Option<BootId>,
    #[serde(skip)]
    day: Option<String>,
}

impl Report {
    /// The entries in order of name.
    pub fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_by_key(|entry| entry.collector.name);
        Self { entries, boot_id: None, day: None }
    }

    /// Says in which boot the facts were read.
    #[must_use]
    pub fn in_boot(self, boot_id: Option<BootId>) -> Self {
        Self { boot_id, ..self }
    }

    /// Says on which day, by UTC, the facts were read, as `2026-11-25`: it is written beside them.
    #[must_use]
    pub fn on_day(self, day: Option<String>) -> Self {
        Self { day, ..self }
    }

    /// The boot in which the facts were read, if it is known.
    pub fn boot_id(&self) -> Option<&BootId> {
        self.boot_id.as_ref()
    }

    /// The day on which the facts were read, if it is to be written.
    pub fn day(&self) -> Option<&str> {
        self.day.as_deref()
    }

    /// Holds all values together, and what earlier tries of the run have found, to [`MAX_RUN_BYTES`]:
    /// collectors beyond it count as failed.
    #[must_use]
    pub fn bounded(mut self, found_earlier: usize) -> Self {
        let mut bytes = found_earlier;
        for entry in &mut self.entries {
            if let Outcome::Collected(facts) = &entry.outcome {
                if bytes + facts.bytes() > MAX_RUN_BYTES {
                    let message =
                        format!("the facts of all collectors together exceed {MAX_RUN_BYTES} bytes");
                    let error = CollectError::new(message).with_hint("select fewer collectors").lasting();
                    entry.outcome = Outcome::failed(&error);
                } else {
                    bytes += facts.bytes();
                }
            }
        }
        self
    }

    /// The entries in order of name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The same, with the newer entries of some of its collectors.
    #[must_use]
    pub fn updated(mut self, newer: Self) -> Self {
        self.entries
            .retain(|entry| newer.entries.iter().all(|new| new.collector.name != entry.collector.name));
        let Self { entries, boot_id, day } = newer;
        self.entries.extend(entries);
        Self::new(self.entries).in_boot(boot_id).on_day(day)
    }

    /// Some of its entries, of the same boot and day.
    #[must_use]
    pub fn with_entries(&self, entries: Vec<Entry>) -> Self {
        Self::new(entries).in_boot(self.boot_id.clone()).on_day(self.day.clone())
    }

    /// The size of all values together.
    pub fn bytes(&self) -> usize {
        let facts = self.entries.iter().filter_map(|entry| match &entry.outcome {
            Outcome::Collected(facts) => Some(facts.bytes()),
            _ => None,
        });
        facts.sum()
    }

    /// The entries of collectors that are not done.
    pub fn failures(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.outcome.is_done())
    }
}

/// One collector's part of a report.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who ran.
    pub collector: &'static Collector,
    /// What became of it.
    pub outcome: Outcome,
    /// How often it was started.
    pub attempts: u32,
    /// How long it took, retries included.
    pub duration: Duration,
}

/// What became of a collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There are facts.
    Collected(Facts),
    /// The facts do not exist on this node, and why. A success.
    NotApplicable(String),
    /// What was found has a name that this version does not know, and which. A success without facts, too.
    Unknown(String),
    /// It said what went wrong.
    Failed {
        /// The error and its causes.
        error: String,
        /// What the operator can do.
        hint: Option<String>,
        /// Whether waiting may mend it.
        kind: FailureKind,
    },
    /// It did not answer in time. The limit is the configured one, so that the text is the same each time.
    TimedOut(TimeLimit),
    /// It has a defect.
    Panicked(String),
}

/// The bound that ended a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeLimit {
    /// Its own timeout.
    Timeout(Duration),
    /// The time that a run has for collecting.
    CollectBudget(Duration),
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(limit) => write!(f, "timed out after {limit:?}"),
            Self::CollectBudget(limit) => {
                write!(f, "not finished when the collect budget of {limit:?} ended")
            }
        }
    }
}

impl Outcome {
    /// A failure as the collector described it.
    pub fn failed(error: &CollectError) -> Self {
        Self::Failed {
            error: clean(&error.chain(), MAX_ERROR_BYTES),
            hint: error.hint().map(|hint| clean(hint, MAX_ERROR_BYTES)),
            kind: error.kind(),
        }
    }

    /// A success without facts. The reason may quote firmware, and is cleaned like a value.
    pub fn not_applicable(reason: &str) -> Self {
        Self::NotApplicable(clean(reason, MAX_ERROR_BYTES))
    }

    /// A success without facts: this version does not know what it found.
    pub fn unknown(reason: &str) -> Self {
        Self::Unknown(clean(&format!("{UNKNOWN}{reason}"), MAX_ERROR_BYTES))
    }

    /// A success without facts: what could be read is that of a sandbox, and not the node's.
    pub fn of_sandbox(evidence: &str) -> Self {
        Self::not_applicable(&format!(
            "this is a sandbox's kernel ({evidence}); --trust-sandbox publishes its facts all the same"
        ))
    }

    /// A defect, with what the panic said.
    pub fn panicked(message: &str) -> Self {
        Self::Panicked(clean(message, MAX_ERROR_BYTES))
    }

    /// Whether the node is done with this collector.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Collected(_) | Self::NotApplicable(_) | Self::Unknown(_))
    }

    /// Whether waiting may mend it; `None` for a success.
    pub fn failure(&self) -> Option<FailureKind> {
        match self {
            Self::Collected(_) | Self::NotApplicable(_) | Self::Unknown(_) => None,
            Self::Failed { kind, .. } => Some(*kind),
            Self::TimedOut(_) => Some(FailureKind::Passing),
            Self::Panicked(_) => Some(FailureKind::Lasting),
        }
    }

    /// Whether it is an outcome of the same kind as another, whatever its text is.
    pub fn is_like(&self, other: &Self) -> bool {
        self.as_str() == other.as_str() && self.failure() == other.failure()
    }

    /// The word for the outcome in reports and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Collected(_) => "collected",
            Self::NotApplicable(_) | Self::Unknown(_) => "not-applicable",
            Self::Failed { .. } => "failed",
            Self::TimedOut(_) => "timed-out",
            Self::Panicked(_) => "panicked",
        }
    }

    /// What is written on the Node as the error: that of a failure, or what this version does not know.
    pub fn written_error(&self) -> Option<String> {
        match self {
            Self::Unknown(reason) => Some(reason.clone()),
            outcome => outcome.error(),
        }
    }

    /// The text of a failure, bounded; `None` for a success.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Collected(_) | Self::NotApplicable(_) | Self::Unknown(_) => None,
            Self::Failed { error, .. } => Some(error.clone()),
            Self::TimedOut(limit) => Some(limit.to_string()),
            Self::Panicked(message) => Some(clean(&format!("panicked: {message}"), MAX_ERROR_BYTES)),
        }
    }

    /// What the operator can do about a failure.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Failed { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entry = serializer.serialize_map(None)?;
        entry.serialize_entry("collector", self.collector.name)?;
        entry.serialize_entry("outcome", self.outcome.as_str())?;
        match &self.outcome {
            Outcome::Collected(facts) => {
                let named = facts.iter().map(|(name, value)| (fact_name(self.collector.name, name), value));
                entry.serialize_entry("facts", &named.collect::<BTreeMap<_, _>>())?;
                if !facts.left_out().is_empty() {
                    let left_out = facts.left_out().iter();
                    let named = left_out
                        .map(|LeftOut { fact, reason }| (fact_name(self.collector.name, *fact), reason));
                    entry.serialize_entry("leftOut", &named.collect::<BTreeMap<_, _>>())?;
                }
            }
            Outcome::NotApplicable(reason) | Outcome::Unknown(reason) => {
                entry.serialize_entry("reason", reason)?;
            }
            Outcome::Failed { .. } | Outcome::TimedOut(_) | Outcome::Panicked(_) => {
                entry.serialize_entry("error", &self.outcome.error())?;
            }
        }
        if let Some(hint) = self.outcome.hint() {
            entry.serialize_entry("hint", hint)?;
        }
        entry.serialize_entry("attempts", &self.attempts)?;
        entry.serialize_entry("milliseconds", &self.duration.as_millis())?;
        entry.end()
    }
}
