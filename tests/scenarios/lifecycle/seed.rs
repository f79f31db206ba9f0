//! From the DaemonSet that this project grew out of: its nodes are done, and its rights go.

use anyhow::Result;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::{Api, ResourceExt as _};
use node_annotator_tests::metadata::{Answer, MetadataServer};
use node_annotator_tests::{Cluster, Options};

use super::ensure_starts;
use super::kubectl::Kubectl;
use crate::support::{
    add_settled, annotations, droplet, install, key, ours, settings, starts, wait_for_label,
};

/// What do-floating-ip 0.2.0 installs for its annotator.
const SEED: &str = include_str!("seed.yaml");

/// What the documentation says to do before our manifests are applied.
const COMMANDS: [&str; 2] = [
    "kubectl delete daemonset anchor-ip-annotator --namespace default",
    "kubectl delete clusterrolebinding,clusterrole do-floating-ip",
];

#[tokio::test]
async fn nodes_of_the_seed_are_done_and_its_rights_are_gone() -> Result<()> {
    let metadata = MetadataServer::start(Answer::droplet("10.17.0.9")).await?;
    let cluster = Cluster::start(Options::default()).await?;
    let kubectl = Kubectl::of(&cluster).await?;
    let anchor_ip = key("digital-ocean-anchor-ip");
    for (name, address) in [("old-1", "10.17.0.1"), ("old-2", "10.17.0.2")] {
        let node = droplet(name, &metadata).label(&anchor_ip, "saved").annotation(&anchor_ip, address);
        add_settled(&cluster, node).await?;
    }
    // There the seed never succeeds: its pod is in the way until it is deleted.
    let new = droplet("new", &metadata).before_start(|container| {
        if container.container == "anchor-ip-annotator" {
            container.command = ["sleep", "1000"].map(str::to_owned).to_vec();
        }
    });
    cluster.add_node(new).await?;
    cluster.apply_yaml(SEED).await?;
    let running = |events: &[_]| (starts(events) == 1).then_some(());
    cluster.events().wait_for("the seed's pod on the new node", running).await?;
    let before = [cluster.node("old-1").await?, cluster.node("old-2").await?];

    for command in COMMANDS {
        kubectl.run(command).await?;
    }
    let sets = install(&cluster, &settings("digital-ocean-anchor-ip")).await?;
    let node = wait_for_label(&cluster, "new", &anchor_ip).await?;
    assert_eq!(annotations(&node)[&anchor_ip], "10.17.0.9");
    ensure_starts(&cluster, &sets, &[("old-1", 0), ("old-2", 0), ("new", 2)]).await?;
    for node in &before {
        let now = cluster.node(&node.name_any()).await?;
        assert_eq!(now.metadata.resource_version, node.metadata.resource_version, "{:?}", ours(&now));
    }
    let client = cluster.client();
    let seeds = Api::<DaemonSet>::namespaced(client.clone(), "default");
    assert!(seeds.get_opt("anchor-ip-annotator").await?.is_none());
    assert!(Api::<ClusterRole>::all(client.clone()).get_opt("do-floating-ip").await?.is_none());
    assert!(Api::<ClusterRoleBinding>::all(client).get_opt("do-floating-ip").await?.is_none());
    Ok(())
}
