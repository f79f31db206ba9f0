//! Nodes that are born with a taint, and lose it with their last done label.

mod failing;
mod left_behind;
mod pending;
mod race;
mod unready;

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;
use node_annotator_deploy::startup_taint::OnFailure;
use node_annotator_deploy::{Settings, StartupTaint};
use node_annotator_tests::Cluster;

use crate::support::{COLLECTORS, labels, ours, settings};

/// The taint of the default installation.
pub(crate) const TAINT: &str = "startup-taint.cluster-autoscaler.kubernetes.io/node-annotator";

/// A taint of somebody else.
pub(crate) const OTHER_TAINT: &str = "example.com/reserved";

/// The three collectors with a DaemonSet for each, in both privilege classes.
pub(crate) fn tainting() -> Settings {
    let startup_taint = Some(StartupTaint { key: TAINT.to_owned(), on_failure: OnFailure::Keep });
    Settings { startup_taint, host_network: true, ..settings(&COLLECTORS.join(",")) }
}

pub(crate) fn taints(node: &Node) -> Vec<&str> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    taints.into_iter().flatten().map(|taint| taint.key.as_str()).collect()
}

pub(crate) async fn wait_for_taint_to_go(cluster: &Cluster, node: &str) -> Result<Node> {
    cluster
        .wait_for_node(node, "the startup taint to go", |node| {
            if taints(node).contains(&TAINT) { Err(format!("{:?}", ours(node))) } else { Ok(node.clone()) }
        })
        .await
}

fn is_done(node: &Node, collector: &str) -> bool {
    labels(node).contains_key(&crate::support::key(collector))
}
