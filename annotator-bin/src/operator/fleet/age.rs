//! Whether the facts on a Node are of the boot and of the machine that the Node is.

use node_annotator_core::context::BootId;
use node_annotator_core::{Collector, Fact, NodeField, Prefix};

use super::node::Node;

/// Why the facts of a collector that is done are not the node's. What does not tell is unknown, and never
/// stale.
///
/// Of a collector that this binary does not have, the boot alone tells.
pub(crate) fn why(node: &Node, name: &str, collector: Option<&Collector>, prefix: &Prefix) -> Option<String> {
    if is_of_another_boot(node, name, prefix) {
        return Some("another boot".to_owned());
    }
    collector?.facts.iter().find_map(|fact| {
        let told = node.annotation(&prefix.fact(name, fact.name))?;
        let (what, now) = counterpart(node, fact)?;
        (told != now).then(|| format!("{what} was `{told}` and is `{now}`"))
    })
}

/// The boot that the facts of a collector say they are of, and that of the node.
pub(crate) fn boots(node: &Node, name: &str, prefix: &Prefix) -> Option<(String, BootId)> {
    let told = node.annotation(&prefix.boot_id(name))?;
    Some((told.to_owned(), BootId::parse(&node.status.node_info.boot_id)?))
}

fn is_of_another_boot(node: &Node, name: &str, prefix: &Prefix) -> bool {
    boots(node, name, prefix).is_some_and(|(told, now)| told != now.as_str())
}

/// What Kubernetes itself says in the place of a fact.
fn counterpart<'a>(node: &'a Node, fact: &Fact) -> Option<(&'static str, &'a str)> {
    let (what, now) = match fact.also_in? {
        NodeField::KernelVersion => ("the kernel", node.status.node_info.kernel_version.as_str()),
        NodeField::ProviderId(cloud) => {
            let id = node.spec.provider_id.as_deref()?;
            let path = id.strip_prefix(cloud)?.strip_prefix("://")?;
            ("the machine", path.rsplit('/').next()?)
        }
        _ => return None,
    };
    (!now.is_empty()).then_some((what, now))
}
