//! Whether the labels of facts on the Nodes are those that the installation names, and say what the facts
//! say.

use std::collections::{BTreeMap, BTreeSet};

use node_annotator_core::key::nfd_name;
use node_annotator_core::label::label_value;
use node_annotator_core::{Collector, Prefix, Registry};
use node_annotator_deploy::policy::Scope;

use super::check::{Conclusion, Outcome};
use crate::operator::fleet::demand::{Mark, Rule};
use crate::operator::fleet::node::BESIDE_NFD;
use crate::operator::fleet::node::Node;
use crate::trouble::Trouble;

/// Holds what the Nodes carry against what the policy tells; without such a policy it is not known which
/// labels are meant.
pub(super) fn conclude(nodes: &[Node], scope: Option<&Scope>, prefix: &Prefix) -> Outcome {
    let found = labels_of_facts(nodes, scope, prefix);
    let Some(scope) = scope else {
        return match found.first_key_value() {
            None => Ok(Conclusion::pass("no node has labels of facts")),
            Some((key, _)) => Err(Trouble::new(
                format!("nodes have labels of facts, such as `{key}`, and no policy tells which are meant"),
                "see `policy`: it names them once it is there",
            )),
        };
    };
    let mut with_nfd = nodes.iter().filter(|node| node.has_nfd()).map(Node::name);
    if let Some(first) = with_nfd.next().filter(|_| scope.labels.has_nfd()) {
        let count = with_nfd.count() + 1;
        return Ok(Conclusion::fail(
            format!(
                "Node Feature Discovery runs on {count} nodes, such as `{first}`, and takes labels of ours for its own"
            ),
            BESIDE_NFD,
        ));
    }
    let named = scope.keys().fact_labels;
    let left_over: Vec<_> = found.iter().filter(|(key, _)| !named.contains(**key)).collect();
    let differing = differing(nodes, scope);
    let (mut findings, mut hints) = (Vec::new(), Vec::new());
    if !left_over.is_empty() {
        let told = left_over.iter().map(|(key, count)| format!("`{key}` on {count}"));
        findings.push(format!(
            "left over of facts that --labels does not name: {}",
            told.collect::<Vec<_>>().join(", ")
        ));
        let keys = left_over.iter().map(|(key, _)| format!("{key}-"));
        hints.push(format!(
            "`clean` takes them away with everything else, and kubectl alone: kubectl label nodes --all {}",
            keys.collect::<Vec<_>>().join(" ")
        ));
    }
    if let Some((collector, (count, first))) = differing.first_key_value() {
        findings.push(format!("not as the facts: those of `{collector}` on {count}, such as `{first}`"));
        let collectors: Vec<_> = differing.keys().copied().collect();
        hints.push(format!(
            "nodes that were done before get their labels with the next run: rerun --collectors {}",
            collectors.join(",")
        ));
    }
    if findings.is_empty() {
        return Ok(Conclusion::pass(match named.len() {
            0 => "no fact is a label in this installation".to_owned(),
            count => format!("{count} facts are labels, and none is left over or missing"),
        }));
    }
    Ok(Conclusion::warn(format!("labels of facts: {}", findings.join("; ")), hints.join("; ")))
}

/// The labels that could be those of facts, each with the number of nodes that have it.
fn labels_of_facts<'a>(
    nodes: &'a [Node],
    scope: Option<&Scope>,
    prefix: &Prefix,
) -> BTreeMap<&'a str, usize> {
    let linked = Registry::from_inventory();
    let linked = linked.iter().flat_map(Registry::iter);
    let collectors = linked.chain(scope.into_iter().flat_map(|scope| scope.collectors.iter().copied()));
    let names: BTreeSet<_> = collectors.map(|collector| collector.name).collect();
    let mut found = BTreeMap::new();
    for node in nodes {
        let of_nfd = |key: &str| nfd_name(key).is_some() && node.metadata.labels_of_runs.contains(key);
        for key in node.labels().keys() {
            let is_ours = prefix.parts_of_label(key).is_some_and(|(collector, _)| names.contains(collector));
            if is_ours || of_nfd(key) {
                *found.entry(key.as_str()).or_default() += 1;
            }
        }
    }
    found
}

/// The collectors whose labels are missing or say something else where they are done, each with the number
/// of nodes and the first of them.
fn differing<'a>(nodes: &'a [Node], scope: &Scope) -> BTreeMap<&'static str, (usize, &'a str)> {
    let mut differing = BTreeMap::new();
    for node in nodes {
        for collector in scope.collectors.iter().filter(|collector| differs(node, collector, scope)) {
            differing.entry(collector.name).or_insert((0, node.name())).0 += 1;
        }
    }
    differing
}

fn differs(node: &Node, collector: &Collector, Scope { prefix, mark, labels, .. }: &Scope) -> bool {
    let name = collector.name;
    let is_unlike = labels.facts(collector).any(|fact| {
        let told = node.annotation(&prefix.fact(name, fact.name));
        let value = told.and_then(|told| label_value(fact, told).ok());
        node.label(&prefix.label(name, fact.name)) != value.as_deref()
    });
    is_unlike && Rule::generated(collector, prefix, mark).mark(node) == Mark::Done
}

#[cfg(test)]
mod tests {
    use node_annotator_collectors as _;
    use node_annotator_core::LabelFacts;
    use serde_json::{Value, json};

    use super::super::Settings;
    use super::super::check::Verdict;
    use super::*;

    fn scope(labels: &[&str]) -> Scope {
        let mut scope = Settings::default().all_collectors(&[]);
        scope.labels = LabelFacts::parse(labels.iter().copied(), &scope.collectors).unwrap();
        scope
    }

    fn concluded(nodes: &[(&str, Value, Value)], scope: Option<&Scope>) -> Outcome {
        let nodes: Vec<Node> = nodes
            .iter()
            .map(|(name, labels, annotations)| {
                let metadata = json!({ "name": name, "labels": labels, "annotations": annotations });
                serde_json::from_value(json!({ "metadata": metadata })).unwrap()
            })
            .collect();
        conclude(&nodes, scope, &Settings::default().prefix)
    }

    #[test]
    fn labels_as_they_are_meant_pass() {
        let labels = json!({ "k8s.haim.dev/virt": "saved", "k8s.haim.dev/virt.value": "kvm" });
        let facts = json!({ "k8s.haim.dev/virt": "kvm" });
        let nodes =
            [("n1", labels, facts.clone()), ("new", json!({}), json!({})), ("gone", json!({}), facts)];
        let passed = concluded(&nodes, Some(&scope(&["virt"]))).unwrap();
        assert_eq!(passed.verdict(), Verdict::Pass, "{passed:?}");
        assert_eq!(passed.finding(), "1 facts are labels, and none is left over or missing");
        let none =
            [("n1", json!({ "k8s.haim.dev/virt.failed": "saved", "k8s.haim.dev/x.y": "" }), json!({}))];
        assert_eq!(concluded(&none, None).unwrap().verdict(), Verdict::Pass);
        assert_eq!(concluded(&none, Some(&scope(&[]))).unwrap().verdict(), Verdict::Pass);
    }

    #[test]
    fn what_is_left_over_or_says_something_else_is_named() {
        let done = |labels: Value| {
            let mut all = json!({ "k8s.haim.dev/virt": "saved" });
            all.as_object_mut().unwrap().extend(labels.as_object().cloned().unwrap());
            all
        };
        let facts = json!({ "k8s.haim.dev/virt": "kvm" });
        let left_over = [("n1", done(json!({ "k8s.haim.dev/virt.value": "kvm" })), facts.clone())];
        let warned = concluded(&left_over, Some(&scope(&[]))).unwrap();
        assert_eq!(warned.verdict(), Verdict::Warn);
        assert_eq!(
            warned.finding(),
            "labels of facts: left over of facts that --labels does not name: `k8s.haim.dev/virt.value` on 1"
        );
        assert!(
            warned.hint().unwrap().ends_with("kubectl label nodes --all k8s.haim.dev/virt.value-"),
            "{warned:?}"
        );
        assert!(concluded(&left_over, None).is_err(), "nothing tells which are meant");

        for labels in [json!({}), json!({ "k8s.haim.dev/virt.value": "xen" })] {
            let warned = concluded(&[("n1", done(labels), facts.clone())], Some(&scope(&["virt"]))).unwrap();
            assert_eq!(
                warned.finding(),
                "labels of facts: not as the facts: those of `virt` on 1, such as `n1`"
            );
            assert!(warned.hint().unwrap().ends_with("rerun --collectors virt"), "{warned:?}");
        }
        let stale = done(json!({ "k8s.haim.dev/virt.value": "kvm" }));
        let warned = concluded(&[("n1", stale, json!({}))], Some(&scope(&["virt"]))).unwrap();
        assert_eq!(warned.verdict(), Verdict::Warn, "a label without its fact");
    }
}
