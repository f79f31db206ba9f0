//! Another generation runs every node once more, and does not wait for pods of the old one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::Api;
use node_annotator_deploy::Settings;
use node_annotator_tests::kubelet::events::{Event, What};
use node_annotator_tests::{Cluster, NodeSpec, Options};

use super::{combined, ensure_starts, of_generation, wait_for_value};
use crate::support::{
    NAMESPACE, install, key, marked, node_of, saved, starts, wait_for_label, wait_until_gone,
};

const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// A pod that neither ends nor listens: only its grace period ends it.
const STUCK: [&str; 3] = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"];

/// A node on which pods get stuck while the switch is on.
fn node(name: &str, stuck: &Arc<AtomicBool>) -> NodeSpec {
    let stuck = stuck.clone();
    node_of(name, "intel-xeon").before_start(move |container| {
        if stuck.load(Ordering::Relaxed) {
            container.command = STUCK.map(str::to_owned).to_vec();
        }
    })
}

#[tokio::test]
async fn another_generation_runs_every_node_once_more_and_going_back_does_too() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let stuck = Arc::new(AtomicBool::new(false));
    for name in NODES {
        cluster.add_node(node(name, &stuck)).await?;
    }
    let first = of_generation("1", combined("kernel"));
    let second = of_generation("2", combined("kernel"));
    let sets = install(&cluster, &first).await?;
    wait_for_all(&cluster, &first).await?;
    ensure_starts(&cluster, &sets, &NODES.map(|node| (node, 1))).await?;

    let lingering = ["n1", "n2"];
    for (round, settings) in [&second, &first].into_iter().enumerate() {
        // Pods of the old generation linger on two nodes, as they would if nobody took them away; the third
        // one is done.
        stuck.store(true, Ordering::Relaxed);
        for node in lingering {
            cluster.label_node(node, &key("kernel"), None).await?;
        }
        let started = NODES.len() + lingering.len() + round * (NODES.len() + lingering.len());
        cluster.events().wait_for("stuck pods", |events| all_run(events, started)).await?;
        wait_until_ready(&cluster).await?;
        stuck.store(false, Ordering::Relaxed);
        let before = cluster.events().all().len();

        install(&cluster, settings).await?;
        wait_for_all(&cluster, settings).await?;
        ensure_starts(&cluster, &sets, &starts_after(round)).await?;
        // Each takes its whole grace period to end: if one had to wait for another, that one would be gone
        // before it is asked.
        let mut events = cluster.events().since(before);
        events.retain(|event| lingering.contains(&event.node.as_str()));
        let first_gone = events.iter().position(|event| event.what == What::Removed).expect("pods went");
        let asked = events[..first_gone].iter().filter(|event| event.what == What::Terminating).count();
        assert_eq!(asked, lingering.len(), "{events:#?}");
    }

    // Without a generation every value will do.
    install(&cluster, &combined("kernel")).await?;
    wait_until_gone(&cluster, &sets).await?;
    ensure_starts(&cluster, &sets, &starts_after(1)).await?;
    // A node that comes now is marked as all others were at first.
    cluster.add_node(node("n4", &stuck)).await?;
    wait_for_value(&cluster, "n4", &key("kernel"), &saved("kernel")).await
}

/// Once at first, and in each round once, and once more where a pod of the old generation lingered.
fn starts_after(round: usize) -> [(&'static str, usize); 3] {
    let lingered = 1 + 2 * (round + 1);
    [("n1", lingered), ("n2", lingered), ("n3", 1 + round + 1)]
}

fn all_run(events: &[Event], count: usize) -> Option<()> {
    (starts(events) >= count).then_some(())
}

/// The lingering pods are ready, and so count as available.
async fn wait_until_ready(cluster: &Cluster) -> Result<()> {
    let api = Api::<DaemonSet>::namespaced(cluster.client(), NAMESPACE);
    cluster
        .wait_for_object(api, "node-annotator", "both pods to be available", |set| {
            let available = set.and_then(|set| set.status.as_ref()?.number_available);
            if available == Some(2) { Ok(()) } else { Err(format!("{available:?} are available")) }
        })
        .await
}

async fn wait_for_all(cluster: &Cluster, settings: &Settings) -> Result<()> {
    for node in NODES {
        wait_for_label(cluster, node, &key("kernel")).await?;
        wait_for_value(cluster, node, &key("kernel"), &marked("kernel", &settings.mark)).await?;
    }
    Ok(())
}
