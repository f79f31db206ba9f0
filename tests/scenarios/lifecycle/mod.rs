//! What happens to an installation after the first run: re-runs, other selections, upgrades, removal.

mod applying;
mod clash;
mod full_nodes;
pub(crate) mod kubectl;
mod kustomize;
mod names;
mod other_policies;
mod overlay;
mod policy_order;
mod removal;
mod rerun;
mod seed;
mod selection;
mod upgrade;

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use node_annotator_core::DoneMark;
use node_annotator_deploy::{Layout, Settings};
use node_annotator_tests::Cluster;

use crate::support::{NAMESPACE, ours, settings, starts, wait_until_gone};

/// Settings of one DaemonSet for all collectors.
fn combined(collectors: &str) -> Settings {
    Settings { layout: Layout::Combined, ..settings(collectors) }
}

/// The same with a generation.
fn of_generation(generation: &str, settings: Settings) -> Settings {
    let mark = DoneMark::Generation(generation.parse().expect("a valid generation"));
    Settings { mark, ..settings }
}

/// Waits until DaemonSets want no pod and have none, and checks that each node has started as many as it must
/// have.
async fn ensure_starts(cluster: &Cluster, daemon_sets: &[String], nodes: &[(&str, usize)]) -> Result<()> {
    wait_until_gone(cluster, daemon_sets).await?;
    for (node, expected) in nodes {
        let events = cluster.events().on_node(node);
        ensure!(starts(&events) == *expected, "{node} was to start {expected}: {events:#?}");
    }
    Ok(())
}

/// Waits until a label of a node has a value.
async fn wait_for_value(cluster: &Cluster, node: &str, label: &str, value: &str) -> Result<()> {
    cluster
        .wait_for_node(node, &format!("{label}={value}"), |node| {
            let found = node.metadata.labels.as_ref().and_then(|labels| labels.get(label));
            if found.is_some_and(|found| found == value) { Ok(()) } else { Err(format!("{:?}", ours(node))) }
        })
        .await
}

/// The names of all DaemonSets in our namespace, in order.
async fn daemon_sets(cluster: &Cluster) -> Result<Vec<String>> {
    let api: Api<DaemonSet> = Api::namespaced(cluster.client(), NAMESPACE);
    let mut names: Vec<_> = api.list(&ListParams::default()).await?.iter().map(DaemonSet::name_any).collect();
    names.sort();
    Ok(names)
}
