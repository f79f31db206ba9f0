//! Where a task runs: exactly where its input would, and it is not done.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, PodSpec};
use node_annotator_deploy::once::Options;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{made, one, pod, refusal, task};

type Labels = BTreeMap<String, String>;

const KEYS: [&str; 3] = ["pool", "zone", "size"];
const VALUES: [&str; 4] = ["a", "b", "1", "7"];

/// By the rules of Kubernetes for a pod that a DaemonSet makes.
fn admits(pod: &PodSpec, name: &str, node: &Labels) -> bool {
    let selected = pod.node_selector.iter().flatten().all(|(key, value)| node.get(key) == Some(value));
    let affinity = pod.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|it| it.node_selector_terms.iter().any(|term| matches(term, name, node)))
}

fn matches(term: &NodeSelectorTerm, name: &str, node: &Labels) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let of_name = Labels::from([("metadata.name".to_owned(), name.to_owned())]);
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|it| holds(it, node))
        && fields.iter().all(|it| holds(it, &of_name))
}

fn holds(NodeSelectorRequirement { key, operator, values }: &NodeSelectorRequirement, node: &Labels) -> bool {
    let value = node.get(key);
    let listed = value.is_some_and(|value| values.iter().flatten().any(|listed| listed == value));
    let number = |text: Option<&String>| text.and_then(|text| text.parse::<i64>().ok());
    let bound = number(values.iter().flatten().next());
    match operator.as_str() {
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "In" => listed,
        "NotIn" => !listed,
        "Gt" => number(value).zip(bound).is_some_and(|(value, bound)| value > bound),
        "Lt" => number(value).zip(bound).is_some_and(|(value, bound)| value < bound),
        other => panic!("no operator is called {other}"),
    }
}

fn requirement() -> impl Strategy<Value = Value> {
    let any = (select(&KEYS[..]), select(&["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"][..]));
    (any, vec(select(&VALUES[..]), 1..3)).prop_map(|((key, operator), values)| match operator {
        "In" | "NotIn" => json!({"key": key, "operator": operator, "values": values}),
        "Gt" | "Lt" => json!({"key": key, "operator": operator, "values": ["3"]}),
        _ => json!({"key": key, "operator": operator}),
    })
}

fn term() -> impl Strategy<Value = Value> {
    let field = select(&["n1", "n2"][..])
        .prop_map(|name| json!([{"key": "metadata.name", "operator": "In", "values": [name]}]));
    (vec(requirement(), 0..3), proptest::option::weighted(0.2, field)).prop_map(|(expressions, fields)| {
        let mut term = json!({"matchExpressions": expressions});
        if let Some(fields) = fields {
            term["matchFields"] = fields;
        }
        term
    })
}

fn template() -> impl Strategy<Value = Value> {
    let selector = btree_map(select(&KEYS[..]), select(&VALUES[..]), 0..2);
    (selector, proptest::option::of(vec(term(), 1..4))).prop_map(|(selector, terms)| {
        let mut spec = one(&json!({}));
        spec["nodeSelector"] = json!(selector);
        if let Some(terms) = terms {
            spec["affinity"] = json!({"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
            }});
        }
        spec
    })
}

fn node() -> impl Strategy<Value = (Labels, Mark)> {
    let labels = btree_map(select(&KEYS[..]), select(&VALUES[..]), 0..4);
    let mark = select(&[Mark::None, Mark::Done, Mark::Earlier, Mark::GivenUp, Mark::OptedOut][..]);
    (labels, mark).prop_map(|(labels, mark)| {
        let mut labels: Labels =
            labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        labels.insert("kubernetes.io/os".to_owned(), "linux".to_owned());
        (labels, mark)
    })
}

/// What stands on a node of the task.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mark {
    None,
    Done,
    /// Of another input.
    Earlier,
    GivenUp,
    OptedOut,
}

proptest! {
    #[test]
    fn a_task_runs_where_its_input_would_and_is_not_done(
        spec in template(),
        nodes in vec(node(), 1..6),
        name in select(&["n1", "n2", "n3"][..]),
    ) {
        let input = pod(&spec);
        let Ok(settings) = task(&input, &Options::default()) else {
            // Every term is empty: no node is admitted at all.
            let spec: PodSpec = serde_json::from_value(spec).unwrap();
            prop_assert!(nodes.iter().all(|(node, _)| !admits(&spec, name, node)));
            return Ok(());
        };
        let made = made(&input, &Options::default());
        let given: PodSpec = serde_json::from_value(spec).unwrap();
        let generation = settings.mark.label_value(1);
        for (labels, mark) in nodes {
            let mut marked = labels.clone();
            let mut set = |key: &str, value: &str| drop(marked.insert(key.to_owned(), value.to_owned()));
            match mark {
                Mark::None => {}
                Mark::Done => set("k8s.haim.dev/tune", &generation),
                Mark::Earlier => set("k8s.haim.dev/tune", "h0"),
                Mark::GivenUp => set("k8s.haim.dev/tune.failed", &generation),
                Mark::OptedOut => set("k8s.haim.dev/opt-out", ""),
            }
            let is_due = [Mark::None, Mark::Earlier].contains(&mark);
            prop_assert_eq!(admits(&made, name, &marked), admits(&given, name, &labels) && is_due, "{:?}", marked);
        }
    }
}

#[test]
fn an_affinity_without_a_condition_is_refused() {
    let mut spec = one(&json!({}));
    spec["affinity"] = json!({"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]},
    }});
    assert!(refusal(&pod(&spec)).contains("no node matches"));
}

#[test]
fn a_held_task_waits_for_a_label_of_this_input() {
    let input = pod(&one(&json!({})));
    let options = Options { is_held: true, ..Options::default() };
    let generation = task(&input, &options).unwrap().mark.label_value(1);
    assert_eq!(generation, task(&input, &Options::default()).unwrap().mark.label_value(1));
    let made = made(&input, &options);
    assert_eq!(made.node_selector.unwrap()["k8s.haim.dev/tune.released"], generation);
}

#[test]
fn tolerations_are_the_inputs() {
    let mut spec = one(&json!({}));
    assert_eq!(made(&pod(&spec), &Options::default()).tolerations, None);
    let tolerations = json!([{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]);
    spec["tolerations"] = tolerations.clone();
    assert_eq!(json!(made(&pod(&spec), &Options::default()).tolerations), tolerations);
}
