//! The nodes that requests are tried on.

use crate::operator::fleet;
use crate::trouble::Trouble;

/// The node that is tried, and the name of another one.
#[derive(Debug, Clone)]
pub(super) struct Nodes {
    pub(super) own: String,
    pub(super) uid: String,
    pub(super) other: String,
}

impl Nodes {
    /// Picks two nodes. In a cluster of one, the other is a name without a node: it only has to differ.
    pub(super) fn pick(nodes: &[fleet::node::Node]) -> Result<Self, Trouble> {
        let mut nodes = nodes.iter().map(|node| node.metadata.clone());
        let Some((own, uid)) = nodes.next().map(|node| (node.name, node.uid)) else {
            return Err(Trouble::new("there are no nodes to try it on", "add a node, and run it again"));
        };
        let other = nodes.next().map_or_else(|| format!("not-{own}"), |node| node.name);
        Ok(Self { own, uid, other })
    }
}
