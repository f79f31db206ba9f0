//! `check`: what is expected of nodes, held against their facts.

pub(crate) mod expectations;
mod render;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node as K8sNode;
use node_annotator_core::{Prefix, Registry};
use serde::Serialize;

use self::expectations::Expectation;
use super::fleet::node::Node;
use super::fleet::selection::Nodes;
use super::lists::{Form as ListForm, Query, Reader};
use crate::trouble::Trouble;

pub(crate) use self::render::CheckForm;

/// Whether a node is as it is expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// It is not.
    Failed,
    /// It cannot be told, since a collector is not done there.
    Unknown,
    /// It is.
    Passed,
}

impl Verdict {
    const ALL: [Self; 3] = [Self::Passed, Self::Failed, Self::Unknown];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Passed => "passed",
        }
    }
}

/// How many nodes there are of each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals([usize; Verdict::ALL.len()]);

impl Totals {
    pub(crate) fn of(self, verdict: Verdict) -> usize {
        self.0[verdict as usize]
    }

    /// Whether everything is as it is expected to be.
    pub(crate) fn is_passed(self) -> bool {
        self.of(Verdict::Failed) + self.of(Verdict::Unknown) == 0
    }

    fn line(self) -> String {
        let parts = Verdict::ALL.map(|verdict| format!("{} {}", self.of(verdict), verdict.as_str()));
        parts.join(", ")
    }
}

impl Serialize for Totals {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Verdict::ALL.map(|verdict| (verdict, self.of(verdict))))
    }
}

/// A fleet, and how it stands to what is expected of it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    node_count: usize,
    pub(crate) totals: Totals,
    expectations: Vec<Outcome>,
}

/// What came of one expectation.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    expect: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<String>,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    totals: Totals,
    pub(crate) nodes: Vec<OfNode>,
}

#[derive(Debug, Serialize)]
pub(crate) struct OfNode {
    name: String,
    result: Verdict,
    /// What the expectation looks at, as it is on the node, where that is not as expected.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    facts: BTreeMap<String, Option<String>>,
}

impl Check {
    /// Reads the metadata of the nodes: once, and once more for each selector that an expectation has.
    pub(crate) async fn read(
        reader: &Reader,
        nodes: &Nodes,
        expectations: &[Expectation],
        prefix: &Prefix,
    ) -> Result<Self, Trouble> {
        let mut check =
            Self { expectations: expectations.iter().map(Outcome::none_of).collect(), ..Self::default() };
        let mut by_selector: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
        for (at, expectation) in expectations.iter().enumerate() {
            by_selector.entry(expectation.selector.as_deref()).or_default().push(at);
        }
        let of_all = by_selector.remove(&None).unwrap_or_default();
        let take = |node: Node| {
            check.node_count += 1;
            check.add(&node, expectations, &of_all, prefix);
        };
        nodes.visit(reader, ListForm::Metadata, prefix, take).await?;
        for (selector, of_some) in by_selector {
            let labels = nodes.labels.as_deref().into_iter().chain(selector).collect::<Vec<_>>().join(",");
            let query = Query { labels: Some(&labels), ..Query::default() };
            let take = |node: Node| {
                if nodes.include(&node, prefix) {
                    check.add(&node, expectations, &of_some, prefix);
                }
            };
            let read = reader.visit::<K8sNode, Node>(query, ListForm::Metadata, take).await;
            read.map_err(|trouble| {
                let (selector, line) = (selector.unwrap_or_default(), expectations[of_some[0]].line);
                let what = format!("nodes of `{selector}` (line {line} of the file): {}", trouble.what);
                Trouble { what, ..trouble }
            })?;
        }
        Ok(check)
    }

    /// Holds a node against some of the expectations.
    fn add(&mut self, node: &Node, expectations: &[Expectation], some: &[usize], prefix: &Prefix) {
        for at in some {
            let verdict = self.expectations[*at].add(node, &expectations[*at], prefix);
            if let Some(verdict) = verdict {
                self.totals.0[verdict as usize] += 1;
            }
        }
    }

    /// Expectations of no node: a selector is probably not what was meant.
    pub(crate) fn of_no_node(&self) -> impl Iterator<Item = &Outcome> {
        self.expectations.iter().filter(|outcome| outcome.nodes.is_empty())
    }
}

impl Outcome {
    fn none_of(expectation: &Expectation) -> Self {
        Self {
            name: expectation.name.clone(),
            expect: expectation.expect.clone(),
            selector: expectation.selector.clone(),
            of: expectation.of.as_ref().map(|(text, _)| text.clone()),
            totals: Totals::default(),
            nodes: Vec::new(),
        }
    }

    fn add(&mut self, node: &Node, expectation: &Expectation, prefix: &Prefix) -> Option<Verdict> {
        let Expectation { condition, of, .. } = expectation;
        // Of a node of which it is unknown whether the expectation is about it, nothing is known.
        let result = match of.as_ref().map_or(Some(true), |(_, of)| of.told(node, prefix)) {
            Some(false) => return None,
            Some(true) => match condition.told(node, prefix) {
                Some(true) => Verdict::Passed,
                Some(false) => Verdict::Failed,
                None => Verdict::Unknown,
            },
            None => Verdict::Unknown,
        };
        let mut facts = BTreeMap::new();
        if result != Verdict::Passed {
            for key in condition.keys() {
                facts.insert(key.as_str().to_owned(), key.value(node, prefix).map(str::to_owned));
            }
        }
        self.totals.0[result as usize] += 1;
        self.nodes.push(OfNode { name: node.name().to_owned(), result, facts });
        Some(result)
    }
}

/// Reads what is expected from a file, or from stdin.
pub(crate) fn expectations(path: &str, registry: &Registry) -> Result<Vec<Expectation>, Trouble> {
    let (text, name) = match path {
        "-" => (std::io::read_to_string(std::io::stdin()), "stdin"),
        path => (std::fs::read_to_string(path), path),
    };
    let text = text.map_err(|error| Trouble::plain(format_args!("cannot read `{name}`: {error}")))?;
    expectations::parse(&text, name, registry)
}
