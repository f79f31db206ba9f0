//! A node that goes away and comes back: what is done stays done.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt as _};
use node_annotator_tests::wait;

use crate::world::{COLLECTORS, NAMESPACE, NODE, Watcher, World, settings};

/// Ten times what the `DaemonSet` controller and the kubelet take to start a pod where one is wanted.
const QUIET: Duration = Duration::from_secs(10);

pub(crate) async fn nothing_runs_again_after_a_restart_or_a_reboot(world: &mut World) -> Result<()> {
    let before = world.stored().await?.len();
    world.install(&settings(&COLLECTORS.join(","))?).await?;
    for collector in COLLECTORS {
        world.wait_until_done(collector).await?;
    }
    let done = world.stored().await?.len();
    assert_eq!(done - before, COLLECTORS.len());

    wait::until("the last pod to go", async || {
        ensure!(world.cluster().pods(NAMESPACE).await?.is_empty(), "there are pods");
        Ok(())
    })
    .await?;

    let watcher = Watcher::start(world.pod_api());
    world.node.stop_kubelet()?;
    world.node.start_kubelet()?;
    world.node.wait_until_ready().await?;
    tokio::time::sleep(QUIET).await;
    assert_eq!(world.stored().await?.len(), done, "after a restart of the kubelet");

    let boot = boot_id(world).await?;
    world.node.power_off();
    world.node.power_on().await?;
    assert_ne!(boot_id(world).await?, boot);
    tokio::time::sleep(QUIET).await;
    assert_eq!(world.stored().await?.len(), done, "after a reboot");
    assert_eq!(watcher.pods().len(), 0, "{:?}", watcher.pods().keys());

    // In the middle of a run: the pod is there, and its container is not.
    world.clean().await?;
    world.lingering_pod(&settings("kernel")?).await?;
    let written = world.stored().await?.len();
    world.node.power_off();
    world.node.power_on().await?;
    // Nobody takes this pod away, so that the kubelet starts it again, as it must; its PATCH changes nothing.
    let version = |node: &Node| node.labels().clone();
    let labels = version(&world.own_node().await?);
    wait::until("the pod's second container", async || {
        let pods = world.cluster().pods(NAMESPACE).await?;
        ensure!(pods.iter().any(|pod| crate::world::restarts(pod) == 1), "no restart");
        let now = world.stored().await?.len();
        ensure!(now == written + 1, "{} requests", now - written);
        Ok(())
    })
    .await?;
    assert_eq!(version(&world.own_node().await?), labels);
    Ok(())
}

/// The label goes with the object: to the cluster it is another node.
pub(crate) async fn a_node_that_registers_anew_runs_again(world: &mut World) -> Result<()> {
    world.install(&settings("kernel")?).await?;
    world.wait_until_done("kernel").await?;
    let done = world.stored().await?.len();
    let old = world.own_node().await?.uid();

    world.node.stop_kubelet()?;
    let nodes: Api<Node> = Api::all(world.cluster().client());
    nodes.delete(NODE, &DeleteParams::default()).await?;
    world.node.start_kubelet()?;
    world.node.wait_until_ready().await?;
    world.wait_until_done("kernel").await?;
    assert_ne!(world.own_node().await?.uid(), old);
    assert_eq!(world.stored().await?.len(), done + 1);
    Ok(())
}

async fn boot_id(world: &World) -> Result<String> {
    let info = world.own_node().await?.status.and_then(|status| status.node_info);
    Ok(info.unwrap_or_default().boot_id)
}
