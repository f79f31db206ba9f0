//! The pure result of a report: which annotations and labels of the Node are set, and which are deleted.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::{Collector, DoneMark, LabelFacts, Outcome, Prefix, Report};

/// Key to value; `None` deletes the key, which is harmless where it does not exist.
pub type Changes = BTreeMap<String, Option<String>>;

/// What one run writes on its Node.
///
/// A collector that is done sets the facts it yielded (an empty one is none: a task need not have any), and
/// with them the boot and the day that they are of, deletes what it may have written earlier and did not
/// yield, deletes its error (or tells in its place what is unknown to it), and sets its done label, all in
/// the same patch. A collector that failed sets its error and touches nothing else; one that is given up gets
/// its failed label beside it, which the next success takes away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    annotations: Changes,
    labels: Changes,
}

impl Plan {
    /// The changes that a report calls for.
    pub fn new(report: &Report, prefix: &Prefix, mark: &DoneMark) -> Self {
        let mut plan = Self::default();
        for entry in report.entries() {
            let name = entry.collector.name;
            plan.annotations.insert(prefix.error(name), entry.outcome.written_error());
            let facts = match &entry.outcome {
                Outcome::Collected(facts) => Some(facts),
                Outcome::NotApplicable(_) | Outcome::Unknown(_) => None,
                Outcome::Failed { .. } | Outcome::TimedOut(_) | Outcome::Panicked(_) => continue,
            };
            for fact in facts_ever(entry.collector) {
                let value = facts.and_then(|facts| facts.get(fact)).filter(|value| !value.is_empty());
                plan.annotations.insert(prefix.fact(name, fact), value.map(str::to_owned));
            }
            if entry.collector.holds_per_boot() {
                let boot_id = facts.and(report.boot_id()).map(ToString::to_string);
                plan.annotations.insert(prefix.boot_id(name), boot_id);
            }
            let day = facts.and(report.day()).map(str::to_owned);
            plan.annotations.insert(prefix.collected_at(name), day);
            plan.labels.insert(prefix.done(name), Some(mark.label_value(entry.collector.revision)));
            plan.labels.insert(prefix.failed(name), None);
        }
        plan
    }

    /// The same with the labels of facts: set where the collector is done and has the fact, deleted where it
    /// is done and has not.
    #[must_use]
    pub fn labelling(mut self, report: &Report, labels: &LabelFacts, prefix: &Prefix) -> Self {
        let values = labels.of(report, prefix).into_iter();
        self.labels.extend(values.map(|(key, value)| (key, value.ok())));
        self
    }

    /// The same with collectors that are given up: their DaemonSets leave the node alone, as if they were
    /// done.
    #[must_use]
    pub fn giving_up<'a>(
        mut self,
        collectors: impl IntoIterator<Item = &'a Collector>,
        prefix: &Prefix,
        mark: &DoneMark,
    ) -> Self {
        for collector in collectors {
            self.labels.insert(prefix.failed(collector.name), Some(mark.label_value(collector.revision)));
        }
        self
    }

    /// The annotations that change.
    pub fn annotations(&self) -> &Changes {
        &self.annotations
    }

    /// The labels that change.
    pub fn labels(&self) -> &Changes {
        &self.labels
    }

    /// The body of the merge patch.
    pub fn patch(&self) -> Value {
        let mut metadata = json!({ "annotations": self.annotations });
        if !self.labels.is_empty() {
            metadata["labels"] = json!(self.labels);
        }
        json!({ "metadata": metadata })
    }

    /// Holds the plan against what the API server says it stored: anything else was changed on the way, by a
    /// mutating webhook or policy.
    pub fn compare(
        &self,
        annotations: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
    ) -> Vec<Difference> {
        let differs = |kind, planned: &Changes, stored: &BTreeMap<String, String>| -> Vec<Difference> {
            planned
                .iter()
                .filter(|(key, value)| stored.get(*key) != value.as_ref())
                .map(|(key, value)| Difference { kind, key: key.clone(), planned: value.clone() })
                .collect()
        };
        let mut differences = differs(KeyKind::Label, &self.labels, labels);
        differences.extend(differs(KeyKind::Annotation, &self.annotations, annotations));
        differences
    }
}

/// Every fact that any version of the collector may have written.
fn facts_ever(collector: &Collector) -> impl Iterator<Item = Option<&'static str>> {
    std::iter::once(None).chain(collector.named_facts().map(Some))
}

/// A key that is not on the Node as it was planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where the key belongs.
    pub kind: KeyKind,
    /// The key.
    pub key: String,
    /// The value that was planned; `None` if the key was to be deleted.
    pub planned: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            KeyKind::Annotation => "annotation",
            KeyKind::Label => "label",
        };
        let state = if self.planned.is_some() { "was not stored as sent" } else { "was not deleted" };
        write!(f, "{kind} `{}` {state}", self.key)
    }
}

/// The two maps of an object's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// In `metadata.annotations`.
    Annotation,
    /// In `metadata.labels`.
    Label,
}
