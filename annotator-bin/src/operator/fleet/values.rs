//! The facts of many nodes, turned around: which value is on which nodes.

use std::collections::BTreeMap;

use node_annotator_core::fact::Cardinality;
use node_annotator_core::key::RESERVED_FACTS;
use node_annotator_core::{Fact, Kind, Prefix, Registry};

use super::node::Node;

/// The facts on a node: names such as `kernel.major`, their collectors, and their values. What else a
/// collector writes is none.
pub(crate) fn facts<'a>(
    node: &'a Node,
    prefix: &'a Prefix,
) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    let start = prefix.as_str().len() + 1;
    node.annotations().iter().filter_map(move |(key, value)| {
        let (collector, fact) = prefix.parts(key)?;
        let is_fact = fact.is_none_or(|fact| !RESERVED_FACTS.contains(&fact));
        is_fact.then(|| (&key[start..], collector, value.as_str()))
    })
}

/// Whether a collector has told what it can of a node: where it has no value there, there is none.
pub(crate) fn is_told(node: &Node, collector: &str, prefix: &Prefix) -> bool {
    node.label(&prefix.done(collector)).is_some()
}

/// What this binary knows of a fact.
pub(crate) fn declared(name: &str, registry: &Registry) -> Option<&'static Fact> {
    let (collector, fact) = name.split_once('.').map_or((name, None), |(name, fact)| (name, Some(fact)));
    registry.iter().find(|known| known.name == collector)?.fact(fact)
}

/// Some nodes, and which of them have which value of each fact that nodes can be compared by: those that are
/// declared to be unique to a node, or free text, are left out.
#[derive(Debug, Default)]
pub(crate) struct Values {
    nodes: Vec<String>,
    /// By collector, the nodes of which it has told what it can.
    told: BTreeMap<String, Vec<u32>>,
    facts: BTreeMap<String, OfFact>,
}

#[derive(Debug)]
struct OfFact {
    collector: String,
    kind: Option<Kind>,
    /// Whether nodes can be compared by it.
    is_shared: bool,
    nodes: BTreeMap<String, Vec<u32>>,
}

/// One fact on some nodes.
#[derive(Debug)]
pub(crate) struct Spread<'a> {
    pub(crate) fact: &'a str,
    pub(crate) collector: &'a str,
    pub(crate) kind: Option<Kind>,
    /// Each value with its nodes; none where the collector is done and has no such value. The most frequent
    /// one comes first.
    pub(crate) values: Vec<(Option<&'a str>, Vec<&'a str>)>,
}

impl Values {
    /// Adds a node with those of its facts that are of these collectors.
    pub(crate) fn add(
        &mut self,
        node: &Node,
        prefix: &Prefix,
        registry: &Registry,
        is_wanted: impl Fn(&str) -> bool,
    ) {
        let number = u32::try_from(self.nodes.len()).expect("a cluster has fewer nodes");
        self.nodes.push(node.name().to_owned());
        for (collector, mark) in node.labels().keys().filter_map(|key| prefix.parts(key)) {
            if mark.is_none() && is_wanted(collector) && is_told(node, collector, prefix) {
                entry(&mut self.told, collector).push(number);
            }
        }
        for (name, collector, value) in facts(node, prefix).filter(|(_, name, _)| is_wanted(name)) {
            if !self.facts.contains_key(name) {
                let declared = declared(name, registry);
                let is_shared = declared.is_none_or(|fact| fact.cardinality == Cardinality::Shared);
                let (collector, kind) = (collector.to_owned(), declared.map(|fact| fact.kind));
                let fact = OfFact { collector, kind, is_shared, nodes: BTreeMap::new() };
                self.facts.insert(name.to_owned(), fact);
            }
            let fact = self.facts.get_mut(name).expect("it was just put there");
            if fact.is_shared {
                entry(&mut fact.nodes, value).push(number);
            }
        }
    }

    /// How many nodes there are.
    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Each fact with its values, in order of name.
    pub(crate) fn spreads(&self) -> impl Iterator<Item = Spread<'_>> {
        self.facts.iter().filter(|(_, fact)| fact.is_shared).map(|(name, fact)| self.spread(name, fact))
    }

    fn spread<'a>(&'a self, name: &'a str, fact: &'a OfFact) -> Spread<'a> {
        let named = |numbers: &[u32]| -> Vec<&str> {
            numbers.iter().map(|number| self.nodes[*number as usize].as_str()).collect()
        };
        let mut has_value = vec![false; self.nodes.len()];
        for number in fact.nodes.values().flatten() {
            has_value[*number as usize] = true;
        }
        let told = self.told.get(&fact.collector).map(Vec::as_slice).unwrap_or_default();
        let without: Vec<_> = told.iter().copied().filter(|number| !has_value[*number as usize]).collect();
        let mut values: Vec<_> =
            fact.nodes.iter().map(|(value, nodes)| (Some(value.as_str()), named(nodes))).collect();
        if !without.is_empty() {
            values.push((None, named(&without)));
        }
        values.sort_by_key(|(_, nodes)| std::cmp::Reverse(nodes.len()));
        Spread { fact: name, collector: &fact.collector, kind: fact.kind, values }
    }
}

impl Spread<'_> {
    /// On how many nodes it is known what there is.
    pub(crate) fn known(&self) -> usize {
        self.values.iter().map(|(_, nodes)| nodes.len()).sum()
    }

    /// Whether the first value is the one that most of these nodes have.
    pub(crate) fn has_usual_value(&self) -> bool {
        self.values.first().is_some_and(|(_, nodes)| nodes.len() * 2 > self.known())
    }
}

/// Allocates for a key that is new alone.
fn entry<'a, T: Default>(map: &'a mut BTreeMap<String, T>, key: &str) -> &'a mut T {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), T::default());
    }
    map.get_mut(key).expect("it was just put there")
}

#[cfg(test)]
mod tests {
    use node_annotator_collectors as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fact_is_unknown_absent_or_there() {
        let registry = Registry::from_inventory().unwrap();
        let mut values = Values::default();
        for (name, labels, annotations) in [
            (
                "has",
                json!({ "k8s.haim.dev/virt": "saved" }),
                json!({ "k8s.haim.dev/virt": "kvm", "k8s.haim.dev/kernel": "6.9" }),
            ),
            ("none", json!({ "k8s.haim.dev/virt": "saved" }), json!({ "k8s.haim.dev/virt.error": "x" })),
            ("unknown", json!({}), json!({ "k8s.haim.dev/kernel": "6.8" })),
            (
                "left",
                json!({ "k8s.haim.dev/virt.failed": "saved", "k8s.haim.dev/opt-out": "" }),
                json!({ "k8s.haim.dev/virt": "kvm", "k8s.haim.dev/dns-name": "a.example" }),
            ),
        ] {
            let metadata = json!({ "name": name, "labels": labels, "annotations": annotations });
            let node: Node = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
            values.add(&node, &Prefix::default(), &registry, |_| true);
        }
        let usual: Vec<_> = values.spreads().map(|spread| spread.has_usual_value()).collect();
        assert_eq!(usual, [false, true], "half is not most");
        let spreads: Vec<_> = values.spreads().map(|spread| (spread.fact, spread.values)).collect();
        assert_eq!(
            spreads,
            [
                ("kernel", vec![(Some("6.8"), vec!["unknown"]), (Some("6.9"), vec!["has"])]),
                ("virt", vec![(Some("kvm"), vec!["has", "left"]), (None, vec!["none"])]),
            ],
            "what is unique to a node is left out"
        );
    }
}
