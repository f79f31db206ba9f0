//! A collector that fails on a real node: who waits, who tells, who repairs, and what is left once it is
//! given up.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;
use node_annotator_tests::metadata::{Answer, DIGITAL_OCEAN_PATH, MetadataServer};
use node_annotator_tests::real_node::SERVICE_ADDRESS;
use serde_json::json;
use tokio::time::Instant;

use crate::world::{NAMESPACE, Watcher, World, key, restarts, set_name};

const COLLECTOR: &str = "digital-ocean-anchor-ip";
const URL: &str = "DIGITAL_OCEAN_METADATA_URL";
/// Of the node, one for each scenario: a node forwards a port as long as it lives.
const PORTS: [u16; 2] = [8000, 8001];

pub(crate) async fn a_failing_collector_stays_says_why_and_recovers(world: &mut World) -> Result<()> {
    let metadata = MetadataServer::start(Answer::status(404, "")).await?;
    world.node.forward(PORTS[0], metadata.address())?;
    let before = world.stored().await?.len();
    world.install_with(COLLECTOR, &[(URL, &url(PORTS[0]))]).await?;
    let namespace = format!("--namespace={NAMESPACE}");

    // One request in each try.
    metadata.wait_for_requests(3).await?;
    let pods = world.cluster().pods(NAMESPACE).await?;
    let pod = pods.first().context("no pod")?;
    assert_eq!(restarts(pod), 0, "{}", json!(pod.status));
    assert!(status(pod)?.ready, "{}", json!(pod.status));
    let name = pod.name_any();
    let logs = world.kubectl(&[&namespace, "logs", &name]).await?;
    assert!(logs.contains("status 404") && logs.contains("trying them again"), "{logs}");
    let node = world.own_node().await?;
    assert!(node.annotations()[&key("digital-ocean-anchor-ip.error")].contains("404"));
    assert!(!node.labels().contains_key(&key(COLLECTOR)));
    assert_eq!(world.stored().await?.len(), before + 1, "failing again was written");

    // Nobody does anything but the metadata service.
    metadata.set(Answer::droplet("10.17.0.9"));
    let recovered = Instant::now();
    world.wait_until_done(COLLECTOR).await?;
    println!("  recovered by itself after {:.1?}", recovered.elapsed());
    let node = world.own_node().await?;
    assert_eq!(node.annotations()[&key(COLLECTOR)], "10.17.0.9");
    assert!(!node.annotations().contains_key(&key("digital-ocean-anchor-ip.error")));
    assert_eq!(world.stored().await?.len(), before + 2);
    Ok(())
}

pub(crate) async fn the_pod_of_a_node_that_gave_up_goes_away(world: &mut World) -> Result<()> {
    let metadata = MetadataServer::start(Answer::status(500, "")).await?;
    world.node.forward(PORTS[1], metadata.address())?;
    let before = world.stored().await?.len();
    let watcher = Watcher::start(world.pod_api());
    world.install_with(COLLECTOR, &[(URL, &url(PORTS[1])), ("NODE_ANNOTATOR_GIVE_UP_AFTER", "3s")]).await?;
    world.wait_for_label("digital-ocean-anchor-ip.failed").await?;
    world.cluster().wait_until_done(NAMESPACE, &set_name(COLLECTOR)).await?;
    let patches = world.stored().await?.split_off(before);
    let patch = patches.last().context("no PATCH")?;
    let pod = &patch.user.extra["authentication.kubernetes.io/pod-name"][0];
    let took = world.time_until_gone(patch, pod).await?;
    println!("  {pod}: gone {took:.2?} after it gave up");
    // A `DaemonSet` that brings its pod back does it at once, and a change makes its controller look again.
    let set = format!("daemonset/{}", set_name(COLLECTOR));
    let namespace = format!("--namespace={NAMESPACE}");
    world.kubectl(&[&namespace, "set", "env", &set, "NODE_ANNOTATOR_GIVE_UP_AFTER=4s"]).await?;
    world.cluster().wait_until_done(NAMESPACE, &set_name(COLLECTOR)).await?;
    let seen = watcher.pods();
    assert!(seen.values().all(|pod| restarts(pod) == 0), "{:?}", seen.keys());
    assert!(world.cluster().pods(NAMESPACE).await?.is_empty());
    let node = world.own_node().await?;
    assert_eq!(node.labels()[&key("digital-ocean-anchor-ip.failed")], "saved");
    assert!(!node.labels().contains_key(&key(COLLECTOR)));
    Ok(())
}

fn url(port: u16) -> String {
    format!("http://{SERVICE_ADDRESS}:{port}{DIGITAL_OCEAN_PATH}")
}

fn status(pod: &Pod) -> Result<&ContainerStatus> {
    let status = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first());
    status.with_context(|| format!("no status: {}", json!(pod.status)))
}
