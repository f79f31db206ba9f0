//! Which nodes are meant to be alike.

use node_annotator_core::Prefix;

use super::node::Node;
use crate::operator::condition::Key;

/// The labels by which clouds and autoscalers name the pool that a node was made for.
const POOLS: [&str; 12] = [
    "karpenter.sh/nodepool",
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "alpha.eksctl.io/nodegroup-name",
    "kubernetes.azure.com/agentpool",
    "doks.digitalocean.com/node-pool",
    "hcloud/node-group",
    "k8s.scaleway.com/pool-name",
    "lke.linode.com/pool-id",
    "vke.vultr.com/node-pool",
    "kops.k8s.io/instancegroup",
    "pool",
];

/// What nodes have in common that are compared with each other.
#[derive(Debug, Clone)]
pub(crate) enum Grouping {
    /// The pool that their cloud or autoscaler puts them into.
    Pool,
    /// Nothing: all are compared.
    None,
    /// The values of these facts and labels.
    Keys(Vec<Key>),
}

impl Grouping {
    /// What the parts of a group are called.
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::Pool => vec!["pool"],
            Self::None => Vec::new(),
            Self::Keys(keys) => keys.iter().map(Key::as_str).collect(),
        }
    }

    /// The group of a node: a value for each part.
    pub(crate) fn of(&self, node: &Node, prefix: &Prefix) -> Vec<Option<String>> {
        match self {
            Self::Pool => vec![POOLS.iter().find_map(|key| node.label(key)).map(str::to_owned)],
            Self::None => Vec::new(),
            Self::Keys(keys) => keys.iter().map(|key| key.value(node, prefix).map(str::to_owned)).collect(),
        }
    }
}
