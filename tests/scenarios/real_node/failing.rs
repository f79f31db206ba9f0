//! A collector that fails on a real node: who waits, who tells, and who repairs.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;
use node_annotator_tests::metadata::{Answer, DIGITAL_OCEAN_PATH, MetadataServer};
use node_annotator_tests::real_node::SERVICE_ADDRESS;
use node_annotator_tests::wait;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{NAMESPACE, World, key, restarts};

const COLLECTOR: &str = "digital-ocean-anchor-ip";
const PORT: u16 = 8000;

pub(crate) async fn a_failing_collector_backs_off_says_why_and_recovers(world: &mut World) -> Result<()> {
    let metadata = MetadataServer::start(Answer::status(404, "")).await?;
    world.node.forward(PORT, metadata.address())?;
    let url = format!("http://{SERVICE_ADDRESS}:{PORT}{DIGITAL_OCEAN_PATH}");
    world.install_with(COLLECTOR, &[("DIGITAL_OCEAN_METADATA_URL", &url)]).await?;
    let namespace = format!("--namespace={NAMESPACE}");

    let start = Instant::now();
    let mut seen = Vec::new();
    let name = wait::until("two restarts", async || {
        let pods = world.cluster().pods(NAMESPACE).await?;
        let pod = pods.first().context("no pod")?;
        if seen.last() != Some(&restarts(pod)) {
            seen.push(restarts(pod));
            println!("  restart {} seen after {:.1?}", restarts(pod), start.elapsed());
        }
        ensure!(restarts(pod) >= 2, "{} restarts", restarts(pod));
        Ok(pod.name_any())
    })
    .await?;

    // The kubelet waits longer each time.
    wait::until("the back-off", async || {
        let pod = world.pod_api().get(&name).await?;
        let waiting = status(&pod)?.state.as_ref().and_then(|it| it.waiting.as_ref()).context("runs")?;
        ensure!(waiting.reason.as_deref() == Some("CrashLoopBackOff"), "{waiting:?}");
        Ok(())
    })
    .await?;
    let pod = world.pod_api().get(&name).await?;
    let ended = status(&pod)?.last_state.as_ref().and_then(|it| it.terminated.as_ref());
    let ended = ended.context("has not ended")?;
    assert_eq!(ended.exit_code, 3);
    let message: Value = serde_json::from_str(ended.message.as_deref().unwrap_or_default())?;
    let reason = message["failed"][COLLECTOR].as_str().context("no reason")?;
    assert!(reason.contains("404"), "{message}");
    let described = world.kubectl(&[&namespace, "describe", "pod", &name]).await?;
    assert!(described.contains("Exit Code:    3") && described.contains("status 404"), "{described}");
    // While a container takes the place of the last one there is no log of either.
    wait::until("the log of the last run", async || {
        let logs = world.kubectl(&[&namespace, "logs", &name, "--previous"]).await?;
        ensure!(logs.contains("status 404"), "{logs}");
        Ok(())
    })
    .await?;
    println!("  termination message: {message}");
    let node = world.own_node().await?;
    assert!(node.annotations()[&key("digital-ocean-anchor-ip.error")].contains("404"));
    assert!(!node.labels().contains_key(&key(COLLECTOR)));

    // Nobody does anything but the metadata service.
    metadata.set(Answer::droplet("10.17.0.9"));
    let recovered = Instant::now();
    world.wait_until_done(COLLECTOR).await?;
    println!("  recovered by itself after {:.1?}", recovered.elapsed());
    let node = world.own_node().await?;
    assert_eq!(node.annotations()[&key(COLLECTOR)], "10.17.0.9");
    assert!(!node.annotations().contains_key(&key("digital-ocean-anchor-ip.error")));
    Ok(())
}

fn status(pod: &Pod) -> Result<&ContainerStatus> {
    let status = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first());
    status.with_context(|| format!("no status: {}", json!(pod.status)))
}
