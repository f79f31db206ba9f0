//! On which nodes a DaemonSet has pods: those where one of its collectors is neither done nor given up.

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm,
};
use node_annotator_core::{Collector, DoneMark, Prefix};

use crate::{Settings, Workload, placement};

/// The required node affinity of a DaemonSet: one or two terms per collector, and each says all that must
/// hold. A task has that of its input with it.
///
/// One matching term is enough, so that pods run while any collector is missing. The DaemonSet controller
/// deletes the pod of a node that matches none of them any more.
pub fn affinity(workload: &Workload, settings: &Settings) -> Affinity {
    let mut common = vec![without(settings.prefix.opt_out())];
    common.extend(placement::requirements(settings));
    let terms = |collector: &&'static Collector| {
        let not_given_up = not_given_up(collector, &settings.prefix, &settings.mark);
        let of = |missing| {
            let match_expressions =
                [missing, not_given_up.clone()].into_iter().chain(common.iter().cloned()).collect();
            NodeSelectorTerm { match_expressions: Some(match_expressions), match_fields: None }
        };
        missing(collector, &settings.prefix, &settings.mark).into_iter().map(of).collect::<Vec<_>>()
    };
    let ours = workload.collectors().iter().flat_map(terms).collect();
    let of_input = settings.task.as_ref().map_or(&[][..], |task| task.terms());
    let required = NodeSelector { node_selector_terms: both(ours, of_input) };
    Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(required),
            ..NodeAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// The terms of both lists together: one of each must hold, and those of a term all do.
fn both(ours: Vec<NodeSelectorTerm>, theirs: &[NodeSelectorTerm]) -> Vec<NodeSelectorTerm> {
    if theirs.is_empty() {
        return ours;
    }
    let joined = |one: &NodeSelectorTerm, other: &NodeSelectorTerm| {
        let all = |a: &Option<Vec<_>>, b: &Option<Vec<_>>| {
            let list: Vec<_> = a.iter().chain(b).flatten().cloned().collect();
            (!list.is_empty()).then_some(list)
        };
        NodeSelectorTerm {
            match_expressions: all(&one.match_expressions, &other.match_expressions),
            match_fields: all(&one.match_fields, &other.match_fields),
        }
    };
    ours.iter().flat_map(|one| theirs.iter().map(move |other| joined(one, other))).collect()
}

/// What holds of the failed label where a collector is not given up. One of another value was given up by
/// another generation or version, which tells nothing of this one.
pub fn not_given_up(collector: &Collector, prefix: &Prefix, mark: &DoneMark) -> NodeSelectorRequirement {
    other_than(prefix.failed(collector.name), &mark.label_value(collector.revision))
}

/// What holds of the done label where a collector has not run; one of them is enough.
pub fn missing(collector: &Collector, prefix: &Prefix, mark: &DoneMark) -> Vec<NodeSelectorRequirement> {
    let done = prefix.done(collector.name);
    match mark {
        // Older values by name. `NotIn` the newest would run again after a step back to an older version, and
        // a DaemonSet that is left over from one would run for ever against its successor.
        DoneMark::Saved => {
            let older = mark.older_values(collector.revision);
            let outdated = (!older.is_empty()).then(|| one_of(&done, older));
            std::iter::once(without(&done)).chain(outdated).collect()
        }
        // Matches nodes without the label too: one expression for new nodes and for those of another
        // generation.
        DoneMark::Generation(_) => vec![other_than(done, &mark.label_value(collector.revision))],
    }
}

fn without(key: impl Into<String>) -> NodeSelectorRequirement {
    NodeSelectorRequirement { key: key.into(), operator: "DoesNotExist".to_owned(), values: None }
}

fn one_of(key: &str, values: Vec<String>) -> NodeSelectorRequirement {
    NodeSelectorRequirement { key: key.to_owned(), operator: "In".to_owned(), values: Some(values) }
}

fn other_than(key: impl Into<String>, value: &str) -> NodeSelectorRequirement {
    NodeSelectorRequirement {
        key: key.into(),
        operator: "NotIn".to_owned(),
        values: Some(vec![value.to_owned()]),
    }
}
