//! The probes that a kustomize component adds, run by a real kubelet in the real image.

use std::fs;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Container, Probe};
use node_annotator_tests::wait;
use serde_json::Value;

use crate::world::{NAMESPACE, World, key, settings};

const COMPONENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kustomize/probes/kustomization.yaml");

/// The container that the component's patch is about, with nothing but what the patch sets.
fn patched() -> Result<Container> {
    let component: Value = serde_saphyr::from_str(&fs::read_to_string(COMPONENT)?)?;
    let patch = component.pointer("/patches/0/patch").and_then(Value::as_str).context("no patch")?;
    let patch: Value = serde_saphyr::from_str(patch)?;
    let container = patch.pointer("/spec/template/spec/containers/0").context("no container")?;
    Ok(serde_json::from_value(container.clone())?)
}

/// A pod that lingers is started, alive and ready by them, and is not restarted.
pub(crate) async fn a_pod_passes_the_probes_of_the_component(world: &mut World) -> Result<()> {
    let Container { startup_probe, liveness_probe, readiness_probe, .. } = patched()?;
    let probes = [&startup_probe, &liveness_probe, &readiness_probe];
    ensure!(probes.iter().all(|probe| probe.is_some()), "{probes:?}");
    // Each once and soon, where the component leaves time.
    let soon = |probe: Option<Probe>| probe.map(|probe| Probe { period_seconds: Some(1), ..probe });
    world
        .lingering_pod_with(&settings("kernel")?, |spec| {
            for container in &mut spec.containers {
                container.startup_probe.clone_from(&startup_probe);
                container.liveness_probe = soon(liveness_probe.clone());
                container.readiness_probe.clone_from(&readiness_probe);
            }
        })
        .await?;
    wait::until("the pod to be started and ready", async || {
        let pod = world.pod_api().get("lingering").await?;
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let [status] = &statuses.collect::<Vec<_>>()[..] else { anyhow::bail!("{:?}", pod.status) };
        ensure!(status.started == Some(true) && status.ready, "{status:?}");
        ensure!(status.restart_count == 0, "{status:?}");
        Ok(())
    })
    .await?;
    let namespace = format!("--namespace={NAMESPACE}");
    let events = world
        .kubectl(&[&namespace, "get", "events", "--field-selector=reason=Unhealthy", "--output=name"])
        .await?;
    ensure!(events.is_empty(), "{events}");
    println!("  startup, liveness and readiness by `--version`; done: {}", key("kernel"));
    Ok(())
}
