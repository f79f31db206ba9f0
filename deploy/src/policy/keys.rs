//! Every key that a run of an installation can write, with what it can write there: the policy allows that
//! and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use node_annotator_core::context::BootId;
use node_annotator_core::error::MAX_ERROR_BYTES;
use node_annotator_core::fact::MAX_RUN_BYTES;
use node_annotator_core::{Collector, DoneMark, LabelFacts, Prefix};

/// The length of a day, `2026-11-25`.
const DAY_BYTES: usize = 10;

/// The keys of all collectors of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The labels, each with its one value: of each collector the done label and the failed label.
    pub labels: BTreeMap<String, String>,
    /// The labels that hold facts: of any value, and taken away where the fact is gone.
    pub fact_labels: BTreeSet<String>,
    /// The annotations, each with the most bytes that its value has; `None` for those that are only deleted
    /// any more.
    pub annotations: BTreeMap<String, Option<usize>>,
    /// The most bytes that all values of one write have.
    pub max_bytes: usize,
}

impl Keys {
    /// What [`Plan`](node_annotator_core::Plan) can contain for these collectors, with the day beside the
    /// facts or without it, and with these facts as labels.
    pub fn new(
        collectors: &[&'static Collector],
        prefix: &Prefix,
        mark: &DoneMark,
        stamp_day: bool,
        facts_as_labels: &LabelFacts,
    ) -> Self {
        let (mut labels, mut annotations) = (BTreeMap::new(), BTreeMap::new());
        let (mut facts_bytes, mut other_bytes) = (0, 0);
        for collector in collectors {
            let Collector { name, facts, retired, revision, .. } = collector;
            if collector.holds_per_boot() {
                annotations.insert(prefix.boot_id(name), Some(BootId::BYTES));
                other_bytes += BootId::BYTES;
            }
            annotations.insert(prefix.collected_at(name), stamp_day.then_some(DAY_BYTES));
            other_bytes += if stamp_day { DAY_BYTES } else { 0 };
            for label in [prefix.done(name), prefix.failed(name)] {
                labels.insert(label, mark.label_value(*revision));
            }
            for fact in *retired {
                annotations.insert(prefix.fact(name, Some(fact)), None);
            }
            for fact in *facts {
                annotations.insert(prefix.fact(name, fact.name), Some(fact.max_bytes));
                facts_bytes += fact.max_bytes;
            }
            annotations.insert(prefix.error(name), Some(MAX_ERROR_BYTES));
            other_bytes += MAX_ERROR_BYTES;
        }
        let fact_labels =
            collectors.iter().flat_map(|collector| facts_as_labels.keys(collector, prefix)).collect();
        Self { labels, fact_labels, annotations, max_bytes: facts_bytes.min(MAX_RUN_BYTES) + other_bytes }
    }

    /// What a policy lists, by whatever version: what it allows is that, and not what it tells of itself.
    /// Nothing if it lists its keys in another way. That all values together are bounded is left out.
    pub fn listed(policy: &ValidatingAdmissionPolicy) -> Option<Self> {
        let variables = policy.spec.as_ref()?.variables.as_ref()?;
        let expression = |name: &str| {
            let variable = variables.iter().find(|variable| variable.name == name)?;
            Some(variable.expression.as_str())
        };
        let entries = |name: &str| entries(expression(name)?);
        let label = |(key, value): (&str, &str)| {
            let value = value.strip_prefix('\'')?.strip_suffix('\'')?;
            Some((key.to_owned(), value.to_owned()))
        };
        let annotation = |(key, bytes): (&str, &str)| {
            let bytes: i64 = bytes.parse().ok()?;
            Some((key.to_owned(), usize::try_from(bytes).ok()))
        };
        let annotations: BTreeMap<_, _> =
            entries("annotations")?.into_iter().map(annotation).collect::<Option<_>>()?;
        let fact_labels = match expression(FACT_LABELS) {
            None => BTreeSet::new(),
            Some(list) => items(list)?.into_iter().map(str::to_owned).collect(),
        };
        Some(Self {
            fact_labels,
            labels: entries("labels")?.into_iter().map(label).collect::<Option<_>>()?,
            max_bytes: annotations.values().flatten().sum(),
            annotations,
        })
    }

    /// Whether values that are each within their bounds can be too much together.
    pub(super) fn exceed_a_run(&self) -> bool {
        self.annotations.values().flatten().sum::<usize>() > self.max_bytes
    }
}

/// The variable that lists the labels of facts, where there are any.
pub(super) const FACT_LABELS: &str = "factLabels";

/// A list of keys in CEL.
pub(super) fn list<'a>(keys: impl IntoIterator<Item = &'a String>) -> String {
    let lines: Vec<_> = keys.into_iter().map(|key| format!("  '{key}'")).collect();
    format!("[\n{}\n]", lines.join(",\n"))
}

/// The keys in such a list.
fn items(list: &str) -> Option<Vec<&str>> {
    let lines = list.strip_prefix("[\n")?.strip_suffix("\n]")?.split(",\n");
    lines.map(|line| line.strip_prefix("  '")?.strip_suffix('\'')).collect()
}

/// A map in CEL. Keys and label values are of characters that need no escape.
pub(super) fn literal<'a>(entries: impl Iterator<Item = (&'a String, String)>) -> String {
    let lines: Vec<_> = entries.map(|(key, value)| format!("  '{key}': {value}")).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// The entries of such a map.
fn entries(literal: &str) -> Option<Vec<(&str, &str)>> {
    let lines = literal.strip_prefix("{\n")?.strip_suffix("\n}")?.split(",\n");
    lines.map(|line| line.strip_prefix("  '")?.split_once("': ")).collect()
}
