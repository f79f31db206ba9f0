//! On which nodes a task runs: where its input would, and is not done.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorTerm, PodSpec};

use crate::Error;

/// Takes the required node affinity out of a pod. One of its terms must hold; no term asks for nothing.
pub(super) fn terms(pod: &mut PodSpec) -> Result<Vec<NodeSelectorTerm>, Error> {
    let affinity = pod.affinity.take().and_then(|affinity| affinity.node_affinity);
    let required = affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution);
    let Some(required) = required else { return Ok(Vec::new()) };
    let is_empty = |term: &NodeSelectorTerm| {
        let expressions = term.match_expressions.as_ref().is_none_or(Vec::is_empty);
        expressions && term.match_fields.as_ref().is_none_or(Vec::is_empty)
    };
    // Kubernetes takes a term without a condition for one that no node matches.
    let terms: Vec<_> = required.node_selector_terms.into_iter().filter(|term| !is_empty(term)).collect();
    if terms.is_empty() {
        return Err(Error::refused(
            "the affinity",
            "nodeSelectorTerms",
            "no term has a condition: no node matches",
        ));
    }
    Ok(terms)
}

/// Takes the node selector out of a pod, and puts the operator's with it.
pub(super) fn node_selector(
    pod: &mut PodSpec,
    of_operator: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut all = pod.node_selector.take().unwrap_or_default();
    for (key, value) in of_operator {
        if let Some(other) = all.insert(key.clone(), value.clone()).filter(|other| *other != value) {
            let reason = format!("the input selects nodes with `{key}={other}`: no node would be left");
            return Err(Error::refused("node selector", format!("{key}={value}"), reason));
        }
    }
    Ok(all)
}
