//! What others do to a node between two runs.

use node_annotator_deploy::policy::{Keys, Scope};
use serde_json::{Value, json};

use crate::startup_taint::OTHER_TAINT;

/// What others do to a node before a run writes on it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Between {
    Nothing,
    LabelsAway,
    GivenUp,
    FactsByHand,
    KeysOfNobody,
    RecordCleared,
    Tainted,
    BornAnew,
}

/// A cleared record stays so: the API server keeps none for such a node.
pub(super) const BETWEEN: [Between; 18] = [
    Between::Tainted,
    Between::Tainted,
    Between::BornAnew,
    Between::BornAnew,
    Between::BornAnew,
    Between::BornAnew,
    Between::Nothing,
    Between::Nothing,
    Between::LabelsAway,
    Between::LabelsAway,
    Between::LabelsAway,
    Between::GivenUp,
    Between::GivenUp,
    Between::FactsByHand,
    Between::FactsByHand,
    Between::KeysOfNobody,
    Between::KeysOfNobody,
    Between::RecordCleared,
];

impl Between {
    pub(super) fn patch(self, scope: &Scope) -> Value {
        let Keys { labels, fact_labels, annotations, .. } = scope.keys();
        match self {
            Self::Nothing => json!({}),
            Self::LabelsAway => {
                let labels = labels.keys().map(|key| (key.clone(), Value::Null));
                json!({"metadata": {"labels": labels.collect::<serde_json::Map<_, _>>()}})
            }
            Self::GivenUp => {
                let labels = labels.into_iter().filter(|(key, _)| scope.prefix.is_failed(key));
                let labels = labels.map(|(key, value)| (key, json!(value)));
                json!({"metadata": {"labels": labels.collect::<serde_json::Map<_, _>>()}})
            }
            Self::FactsByHand => {
                let facts = annotations.keys().map(|key| (key.clone(), json!("x".repeat(5000))));
                let facts = facts.take(10).collect::<serde_json::Map<_, _>>();
                let labels = labels.keys().chain(&fact_labels).map(|key| (key.clone(), json!("by-hand")));
                json!({"metadata": {"annotations": facts, "labels": labels.collect::<serde_json::Map<_, _>>()}})
            }
            Self::KeysOfNobody => {
                let many =
                    (0..600).map(|index| (format!("{}/left-{index}", scope.prefix), json!("x".repeat(200))));
                let labels = (0..200).map(|index| (format!("{}/left-{index}", scope.prefix), json!("x")));
                json!({"metadata": {
                    "annotations": many.collect::<serde_json::Map<_, _>>(),
                    "labels": labels.collect::<serde_json::Map<_, _>>(),
                }})
            }
            Self::RecordCleared => json!({"metadata": {"managedFields": [{}]}}),
            Self::Tainted => {
                let keys = [Some(OTHER_TAINT), scope.startup_taint.as_ref().map(|taint| taint.key.as_str())];
                let taints =
                    keys.into_iter().flatten().map(|key| json!({"key": key, "effect": "NoSchedule"}));
                json!({"spec": {"taints": taints.collect::<Vec<_>>()}})
            }
            Self::BornAnew => {
                let mut patch = Self::LabelsAway.patch(scope);
                patch["spec"] = Self::Tainted.patch(scope)["spec"].clone();
                patch
            }
        }
    }
}
