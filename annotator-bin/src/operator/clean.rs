//! `clean`: takes every key of ours off the nodes.

use std::collections::{BTreeMap, BTreeSet};

use node_annotator_core::key::nfd_name;
use node_annotator_core::{Prefix, Registry};

use super::fleet::kept::Kept;
use super::fleet::node::Node;
use super::fleet::removal::{Removal, Seen};
use super::fleet::selection::{Collectors, Nodes};
use super::lists::{Form as ListForm, Reader};
use crate::trouble::Trouble;

/// What there is to be taken away.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) removals: Vec<Removal>,
    /// How many keys of each collector there are.
    pub(crate) counts: BTreeMap<String, usize>,
    /// The same of collectors that are neither in this binary nor installed, and are left alone.
    pub(crate) unknown: BTreeMap<String, usize>,
}

impl Keys {
    /// Reads the metadata of the nodes, and finds the keys. The label that opts a node out was set by the
    /// operator, and stays. So does a label of Node Feature Discovery that no run of ours has set, or that it
    /// looks after itself.
    pub(crate) async fn read(
        reader: &Reader,
        nodes: &Nodes,
        collectors: &Collectors,
        prefix: &Prefix,
        registry: &Registry,
        installed: &BTreeSet<String>,
        all_under_prefix: bool,
    ) -> Result<Self, Trouble> {
        let mut keys = Self::default();
        let opt_out = prefix.opt_out();
        let mut texts = Kept::<str>::default();
        let take = |node: Node| {
            let mut pick = |map: &BTreeMap<String, String>| -> Seen {
                let ours = map.iter().filter(|(key, _)| **key != opt_out).filter(|(key, _)| {
                    let ours = prefix.parts(key).map(|(collector, _)| collector);
                    let Some(collector) = ours.or_else(|| collector_of_nfd(key, &node, registry)) else {
                        return false;
                    };
                    if !collectors.include(collector) {
                        return false;
                    }
                    let is_known = registry.find(collector).is_ok() || installed.contains(collector);
                    let counts =
                        if is_known || all_under_prefix { &mut keys.counts } else { &mut keys.unknown };
                    *counts.entry(collector.to_owned()).or_default() += 1;
                    is_known || all_under_prefix
                });
                ours.map(|(key, value)| (texts.keep(key), texts.keep(value))).collect()
            };
            let (labels, annotations) = (pick(node.labels()), pick(node.annotations()));
            let removal = Removal { node: node.name().to_owned(), labels, annotations, ..Removal::default() };
            if removal.keys() > 0 {
                keys.removals.push(removal);
            }
        };
        nodes.visit(reader, ListForm::Metadata, prefix, take).await?;
        Ok(keys)
    }

    /// How many keys, of which collectors, on how many nodes.
    pub(crate) fn told(&self) -> String {
        let keys: usize = self.counts.values().sum();
        format!("{keys} keys on {} nodes: {}", self.removals.len(), counted(&self.counts))
    }

    /// What is left alone.
    pub(crate) fn told_unknown(&self) -> Option<String> {
        (!self.unknown.is_empty()).then(|| {
            format!("left alone, since no collector here has these names: {}", counted(&self.unknown))
        })
    }
}

/// The collector whose run has set a label of Node Feature Discovery.
fn collector_of_nfd(key: &str, node: &Node, registry: &Registry) -> Option<&'static str> {
    let name = nfd_name(key).filter(|_| node.metadata.labels_of_runs.contains(key) && !node.has_nfd())?;
    registry.iter().find(|collector| collector.nfd.names.contains(&name)).map(|collector| collector.name)
}

fn counted(counts: &BTreeMap<String, usize>) -> String {
    counts.iter().map(|(name, count)| format!("{name} ({count})")).collect::<Vec<_>>().join(", ")
}
