//! On which nodes a DaemonSet has pods: those where one of its collectors is neither done nor given up.

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm,
};
use node_annotator_core::{Collector, DoneMark};

use crate::{Settings, Workload, placement};

/// The required node affinity of a DaemonSet: one term per collector, and each says all that must hold.
///
/// One matching term is enough, so that pods run while any collector is missing. The DaemonSet controller deletes the pod of a node that
/// matches none of them any more.
pub fn affinity(workload: &Workload, settings: &Settings) -> Affinity {
    let mut common = vec![without(settings.prefix.opt_out())];
    common.extend(placement::requirements(settings));
    let term = |collector: &&Collector| {
        let done = settings.prefix.done(collector.name);
        let missing = match &settings.mark {
            DoneMark::Saved => without(done),
            // Matches nodes without the label too: one expression for new nodes and for those of another generation.
            DoneMark::Generation(generation) => other_than(done, generation.as_str()),
        };
        // One of another value was given up by another generation or version, which tells nothing of this one.
        let not_given_up = other_than(settings.prefix.failed(collector.name), settings.mark.label_value());
        let match_expressions = [missing, not_given_up].into_iter().chain(common.iter().cloned()).collect();
        NodeSelectorTerm { match_expressions: Some(match_expressions), match_fields: None }
    };
    let required = NodeSelector { node_selector_terms: workload.collectors().iter().map(term).collect() };
    Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(required),
            ..NodeAffinity::default()
        }),
        ..Affinity::default()
    }
}

fn without(key: impl Into<String>) -> NodeSelectorRequirement {
    NodeSelectorRequirement { key: key.into(), operator: "DoesNotExist".to_owned(), values: None }
}

fn other_than(key: impl Into<String>, value: &str) -> NodeSelectorRequirement {
    NodeSelectorRequirement {
        key: key.into(),
        operator: "NotIn".to_owned(),
        values: Some(vec![value.to_owned()]),
    }
}
