//! `diff`: in which facts two nodes differ.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Node as K8sNode;
use node_annotator_core::fact::Cardinality;
use node_annotator_core::{Kind, Prefix, Registry};
use serde::Serialize;

use super::condition::value;
use super::fleet::node::Node;
use super::fleet::selection::Collectors;
use super::fleet::values::{declared, facts, is_told};
use super::lists::{Form as ListForm, Query, Reader};
use super::table::{self, Form, NONE, Table, cell};
use crate::trouble::Trouble;

/// What stands in a table where a collector is not done.
const UNKNOWN: &str = "?";

/// Two nodes, and the facts in which they differ.
#[derive(Debug, Serialize)]
pub(crate) struct Difference {
    nodes: [String; 2],
    /// How many facts are alike.
    alike: usize,
    facts: Vec<FactDifference>,
}

#[derive(Debug)]
struct FactDifference {
    fact: String,
    kind: Option<&'static str>,
    values: [Value; 2],
}

/// What is known of a fact on a node.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Is(String),
    /// The collector is done, and there is no such value.
    Absent,
    /// The collector is not done.
    Unknown,
}

impl Serialize for FactDifference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told<'a> {
            fact: &'a str,
            kind: Option<&'static str>,
            values: [Option<&'a str>; 2],
            known: [bool; 2],
        }
        let [one, other] = &self.values;
        let known = [one, other].map(|value| *value != Value::Unknown);
        let values = [one.text(), other.text()];
        Told { fact: &self.fact, kind: self.kind, values, known }.serialize(serializer)
    }
}

impl Value {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Is(text) => Some(text),
            Self::Absent | Self::Unknown => None,
        }
    }
}

impl Difference {
    /// Reads the metadata of both nodes.
    pub(crate) async fn read(
        reader: &Reader,
        names: [&str; 2],
        collectors: &Collectors,
        prefix: &Prefix,
        registry: &Registry,
    ) -> Result<Self, Trouble> {
        let [one, other] = [node(reader, names[0]).await?, node(reader, names[1]).await?];
        Ok(Self::of([&one, &other], collectors, prefix, registry))
    }

    fn of(nodes: [&Node; 2], collectors: &Collectors, prefix: &Prefix, registry: &Registry) -> Self {
        let told = nodes.map(|node| -> BTreeMap<_, _> {
            facts(node, prefix).map(|(name, _, value)| (name, value)).collect()
        });
        let all: BTreeSet<_> = nodes
            .iter()
            .flat_map(|node| facts(node, prefix))
            .filter(|(_, collector, _)| collectors.include(collector))
            .map(|(name, collector, _)| (name, collector))
            .collect();
        let mut difference =
            Self { nodes: nodes.map(|node| node.name().to_owned()), alike: 0, facts: Vec::new() };
        for (name, collector) in all {
            let declared = declared(name, registry);
            // Of these no two need be alike.
            if declared.is_some_and(|fact| fact.cardinality != Cardinality::Shared) {
                continue;
            }
            let kind = declared.map(|fact| fact.kind);
            let values = [0, 1].map(|at| match told[at].get(name) {
                Some(value) => Value::Is((*value).to_owned()),
                None if is_told(nodes[at], collector, prefix) => Value::Absent,
                None => Value::Unknown,
            });
            if are_alike(kind, &values) {
                difference.alike += 1;
            } else {
                let kind = kind.map(Kind::as_str);
                difference.facts.push(FactDifference { fact: name.to_owned(), kind, values });
            }
        }
        difference
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// As it is printed.
    pub(crate) fn render(&self, form: Form, width: Option<u16>) -> anyhow::Result<String> {
        Ok(match form {
            Form::Table | Form::Wide => self.text(form == Form::Wide, width),
            Form::Json | Form::Yaml => table::document("NodeDifference", self, form == Form::Yaml)?,
            Form::Csv => self.rows(true, ["", ""]).csv()?,
            Form::Name if self.is_empty() => String::new(),
            Form::Name => table::names(self.nodes.iter().map(String::as_str)),
        })
    }

    fn text(&self, is_wide: bool, width: Option<u16>) -> String {
        let line = format!("facts that differ: {}, that are alike: {}\n", self.facts.len(), self.alike);
        if self.is_empty() {
            return line;
        }
        format!("{}\n{line}", self.rows(is_wide, [NONE, UNKNOWN]).text(is_wide, width))
    }

    fn rows(&self, is_whole: bool, missing: [&str; 2]) -> Table {
        let mut table = Table::new(["fact", &self.nodes[0], &self.nodes[1]]);
        for FactDifference { fact, kind, values } in &self.facts {
            let whole = |value: &Value| match value {
                Value::Is(text) => cell(Some(text), missing[0]),
                Value::Absent => missing[0].to_owned(),
                Value::Unknown => missing[1].to_owned(),
            };
            let cells = match values {
                [Value::Is(one), Value::Is(other)] if *kind == Some(Kind::List.as_str()) && !is_whole => {
                    [beyond(one, other), beyond(other, one)]
                }
                values => [whole(&values[0]), whole(&values[1])],
            };
            table.rows.push([fact.clone()].into_iter().chain(cells).collect());
        }
        table
    }
}

fn are_alike(kind: Option<Kind>, values: &[Value; 2]) -> bool {
    match values {
        [Value::Is(one), Value::Is(other)] => {
            one == other || value::compare(kind, one, other) == Some(Ordering::Equal)
        }
        [one, other] => one == other,
    }
}

/// What a list has that another one lacks, and how much both have: of a hundred words two may differ.
fn beyond(list: &str, other: &str) -> String {
    let (words, common) = value::beyond(list, other);
    let words = cell(Some(&words.join(",")), NONE);
    match common {
        0 if words.is_empty() => cell(Some(list), NONE),
        0 => words,
        _ if words.is_empty() => format!("(the same {common})"),
        _ => format!("{words} (and the same {common})"),
    }
}

async fn node(reader: &Reader, name: &str) -> Result<Node, Trouble> {
    let field = format!("metadata.name={name}");
    let query = Query { fields: Some(&field), ..Query::default() };
    let mut found = None;
    reader.visit::<K8sNode, Node>(query, ListForm::Metadata, |node| found = Some(node)).await?;
    found.ok_or_else(|| Trouble::new(format!("there is no node `{name}`"), "see `kubectl get nodes`"))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use node_annotator_collectors as _;
    use serde_json::json;

    use super::*;

    fn difference() -> Difference {
        let registry = Registry::from_inventory().unwrap();
        let features = (0..40).map(|number| format!("f{number}")).collect::<Vec<_>>().join(",");
        let node = |name: &str, done: &str, facts: serde_json::Value| -> Node {
            let prefixed = |facts: &serde_json::Value| -> BTreeMap<_, _> {
                let facts = facts.as_object().unwrap().iter();
                facts.map(|(name, value)| (format!("k8s.haim.dev/{name}"), value.clone())).collect()
            };
            let labels: BTreeMap<_, _> =
                done.split(',').map(|name| (format!("k8s.haim.dev/{name}"), "saved")).collect();
            let metadata = json!({ "name": name, "labels": labels, "annotations": prefixed(&facts) });
            serde_json::from_value(json!({ "metadata": metadata })).unwrap()
        };
        let one = node(
            "worker-1",
            "kernel,cpu-features,gpu,dns-name",
            json!({
                "kernel": "6.8.0-45-generic", "kernel.major": "6", "kernel.build": "#45-Ubuntu", "kernel.features": "none",
                "cpu-features": format!("avx512f,{features},amx"), "dns-name": "a.example",
                "site-rack": "r\u{1b}[31m7", "kernel.boot-id": "1bd2a6f4",
            }),
        );
        let other = node(
            "worker-2",
            "kernel,cpu-features,dns-name",
            json!({
                "kernel": "6.8.0-40-generic", "kernel.major": "6", "kernel.build": "#40-Ubuntu",
                "kernel.taints": "O", "kernel.features": "bpf", "cpu-features": features, "dns-name": "b.example", "virt": "kvm",
            }),
        );
        Difference::of([&one, &other], &Collectors::default(), &Prefix::default(), &registry)
    }

    #[test]
    fn what_differs_is_told_and_what_is_unique_anyway_is_not() {
        let difference = difference();
        for width in [80, 120, 200] {
            let text = difference.render(Form::Table, Some(width)).unwrap();
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{text}");
            assert!(!text.contains('\u{1b}'), "nothing from the cluster moves the cursor");
            assert_snapshot!(format!("diff-{width}"), text);
        }
        assert_snapshot!("diff-json", difference.render(Form::Json, None).unwrap());
        assert_snapshot!("diff-csv", difference.render(Form::Csv, None).unwrap());
        assert_eq!(difference.render(Form::Name, None).unwrap(), "node/worker-1\nnode/worker-2\n");
    }
}
