//! Which labels a write may set and take away: those that mark collectors have one value each, and those of
//! facts any.

use std::collections::BTreeSet;

use node_annotator_core::Prefix;

use super::keys::{FACT_LABELS, list};
use super::rule::{Rule, failed_end};

/// The variables with the done labels and failed labels that a write sets and removes.
pub(super) struct Marks {
    pub(super) set: &'static str,
    pub(super) removed: &'static str,
}

impl Marks {
    /// All labels that may be written, unless facts are labels too.
    pub(super) fn among_labels(with_facts: bool) -> Self {
        if with_facts {
            Self { set: "setMarks", removed: "removedMarks" }
        } else {
            Self { set: "setLabels", removed: "removedLabels" }
        }
    }
}

/// The further variables where facts are labels too.
pub(super) fn variables(fact_labels: &BTreeSet<String>) -> Vec<(&'static str, String)> {
    if fact_labels.is_empty() {
        return Vec::new();
    }
    let marks = |labels: &str| format!("variables.{labels}.filter(k, !(k in variables.{FACT_LABELS}))");
    vec![
        (FACT_LABELS, list(fact_labels)),
        ("setMarks", marks("setLabels")),
        ("removedMarks", marks("removedLabels")),
    ]
}

/// What holds of labels.
pub(super) fn rules(prefix: &Prefix, with_facts: bool) -> [Rule; 2] {
    let failed = failed_end(prefix);
    let done_of_k = format!("k.substring(0, size(k) - {})", failed.len());
    let Marks { set, removed } = Marks::among_labels(with_facts);
    let (and_facts_are_set, and_facts_go) = if with_facts {
        (", and the labels of facts that were", ", and the labels of facts that were installed")
    } else {
        ("", "")
    };
    [
        Rule {
            id: "labels",
            expression: format!(
                "variables.{set}.all(k, k in variables.labels && variables.newLabels[k] == variables.labels[k])"
            ),
            message: format!(
                "of labels only `{prefix}/<collector>` and `{prefix}/<collector>{failed}` may be set, for the collectors and to \
                 the values that were installed{and_facts_are_set}"
            ),
        },
        Rule {
            id: "labels-kept",
            expression: format!(
                "variables.{removed}.all(k, k.endsWith('{failed}'))\n\
                 && variables.{removed}.all(k, k in variables.labels)\n\
                 && variables.{removed}.all(k, variables.newLabels[?{done_of_k}] == variables.labels[?{done_of_k}])"
            ),
            message: format!(
                "no label may be removed but `{prefix}/<collector>{failed}` where the collector is done{and_facts_go}"
            ),
        },
    ]
}
