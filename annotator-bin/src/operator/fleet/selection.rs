//! Which nodes and which collectors a command is about: the same for all commands.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node as K8sNode;
use node_annotator_core::{Prefix, Registry, Selected};

use super::installed::Installed;
use super::names;
use super::node::Node;
use crate::operator::condition::Condition;
use crate::operator::lists::{Form, Query, Reader};
use crate::trouble::Trouble;

/// Names of nodes, as they were given: plain, or folded.
#[derive(Debug, Clone)]
pub(crate) struct Names(BTreeSet<String>);

impl std::str::FromStr for Names {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        names::parse_list(text).map(Self)
    }
}

/// Which nodes. Each part that is there has to hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nodes {
    pub(crate) names: Option<Names>,
    /// A selector of labels, as kubectl takes it: the API server applies it.
    pub(crate) labels: Option<String>,
    pub(crate) condition: Option<Condition>,
}

impl Nodes {
    /// Whether they are all that there are.
    pub(crate) fn are_all(&self) -> bool {
        self.names.is_none() && self.labels.is_none() && self.condition.is_none()
    }

    /// Whether a node is one of them, apart from the selector of labels.
    pub(crate) fn include(&self, node: &Node, prefix: &Prefix) -> bool {
        self.names.as_ref().is_none_or(|names| names.0.contains(node.name()))
            && self.condition.as_ref().is_none_or(|condition| condition.holds(node, prefix))
    }

    /// Hands over each of them, in order of name. Returns the resource version of the list.
    ///
    /// That none is there is an error: what was meant is another selection.
    pub(crate) async fn visit(
        &self,
        reader: &Reader,
        form: Form,
        prefix: &Prefix,
        mut take: impl FnMut(Node),
    ) -> Result<String, Trouble> {
        let query = Query { labels: self.labels.as_deref(), ..Query::default() };
        let mut count = 0;
        let mut missing = self.names.clone().map(|names| names.0).unwrap_or_default();
        let visit = |node: Node| {
            missing.remove(node.name());
            if self.include(&node, prefix) {
                count += 1;
                take(node.without_foreign_annotations(prefix));
            }
        };
        let version = reader.visit::<K8sNode, Node>(query, form, visit).await?;
        if !missing.is_empty() {
            eprintln!(
                "note: there is no such node: {}",
                names::fold(missing.iter().map(String::as_str)).join(", ")
            );
        }
        if count == 0 {
            return Err(Trouble::new(
                "no node is selected",
                "see `kubectl get nodes --show-labels`, and --nodes, --selector and --where",
            ));
        }
        Ok(version)
    }
}

/// Which collectors: all that are installed unless some are named.
#[derive(Debug, Clone, Default)]
pub(crate) struct Collectors {
    added: Option<BTreeSet<String>>,
    removed: BTreeSet<String>,
}

impl Collectors {
    /// Reads a list with commas: names, `default`, `all`; `-NAME` takes away.
    pub(crate) fn parse(text: &str, registry: &Registry) -> Result<Self, String> {
        let words = || text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let removed: BTreeSet<_> =
            words().filter_map(|word| word.strip_prefix('-')).map(str::to_owned).collect();
        let mut added = BTreeSet::new();
        let mut all = false;
        for word in words().filter(|word| !word.starts_with('-')) {
            match word {
                "all" => all = true,
                "default" => {
                    let enabled =
                        registry.iter().filter(|collector| collector.selected == Selected::ByDefault);
                    added.extend(enabled.map(|collector| collector.name.to_owned()));
                }
                name => drop(added.insert(name.to_owned())),
            }
        }
        if words().next().is_none() {
            return Err("no collector is named".to_owned());
        }
        Ok(Self { added: (!all && !added.is_empty()).then_some(added), removed })
    }

    /// Whether a collector is one of them.
    pub(crate) fn include(&self, name: &str) -> bool {
        self.added.as_ref().is_none_or(|added| added.contains(name)) && !self.removed.contains(name)
    }

    /// Those that are installed; an error names one that is not.
    pub(crate) fn of<'a>(&self, installed: &'a Installed) -> Result<BTreeSet<&'a str>, Trouble> {
        let there = installed.collectors();
        let named = self.added.iter().flatten().chain(&self.removed);
        for name in named {
            if !there.contains(name.as_str()) {
                let installed = there.iter().copied().collect::<Vec<_>>().join(", ");
                return Err(Trouble::new(
                    format!("the collector `{name}` is not installed: no DaemonSet runs it"),
                    format!("installed: {installed}"),
                ));
            }
        }
        let chosen: BTreeSet<_> = there.into_iter().filter(|name| self.include(name)).collect();
        if chosen.is_empty() {
            return Err(Trouble::new("no collector is selected", "see --collectors"));
        }
        Ok(chosen)
    }
}
