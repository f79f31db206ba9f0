//! Nodes on which other pods would not run: ours does, or waits for what is named here.

use std::fs;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, PostParams};
use node_annotator_tests::real_node::KubeletSettings;
use node_annotator_tests::wait;
use serde_json::json;

use crate::world::{NAMESPACE, NODE, World, settings};

/// Cordons, taints and drains are for those who could be elsewhere; a fact is read here or nowhere.
pub(crate) async fn cordoned_drained_and_tainted_nodes_run(world: &mut World) -> Result<()> {
    let taint = |effect: &str| json!([{"key": "example.com/reserved", "value": "x", "effect": effect}]);
    for (what, spec) in [
        ("cordoned", json!({"unschedulable": true})),
        ("reserved with NoSchedule", json!({"taints": taint("NoSchedule")})),
        ("reserved with NoExecute", json!({"taints": taint("NoExecute")})),
    ] {
        world.patch_node(json!({"spec": spec})).await?;
        world.install(&settings("kernel")?).await?;
        world.wait_until_done("kernel").await.context(what)?;
        println!("  a node that is {what} runs");
        world.patch_node(json!({"spec": {"unschedulable": null, "taints": null}})).await?;
        world.clean().await?;
    }
    world.kubectl(&["drain", NODE, "--ignore-daemonsets"]).await?;
    world.install(&settings("kernel")?).await?;
    world.wait_until_done("kernel").await.context("drained")?;
    println!("  a node that is drained runs");
    world.kubectl(&["uncordon", NODE]).await?;
    Ok(())
}

/// The pod is bound to the node at once; the kubelet starts it when there is a network for it.
pub(crate) async fn a_node_that_is_not_ready_runs_when_it_is(world: &mut World) -> Result<()> {
    let path = world.node.network_configuration();
    let configuration = fs::read(&path)?;
    fs::remove_file(&path)?;
    let installed = async {
        wait_for_taint(world, "node.kubernetes.io/not-ready", true).await?;
        world.install(&settings("kernel")?).await?;
        wait_for_message(world, "network is not ready").await
    };
    let installed = installed.await;
    // In any case: the next scenario needs it.
    fs::write(&path, configuration)?;
    println!("  pending: {}", installed?);
    world.wait_until_done("kernel").await?;
    wait_for_taint(world, "node.kubernetes.io/not-ready", false).await
}

/// A run takes nobody's place: it waits until there is one.
pub(crate) async fn a_full_node_runs_when_there_is_room(world: &mut World) -> Result<()> {
    let limit = |world: &mut World, max_pods| -> Result<()> {
        world.node.configure(KubeletSettings { max_pods });
        world.node.stop_kubelet()?;
        world.node.start_kubelet()
    };
    limit(world, 1)?;
    wait_for_capacity(world, "1").await?;
    // Makes the namespace.
    world.lingering_pod(&settings("kernel")?).await?;
    world.patch_node(json!({"metadata": {"labels": {crate::world::key("kernel"): null}}})).await?;
    world.pod_api().delete("lingering", &DeleteParams::default()).await?;
    let filler: Pod = serde_json::from_value(json!({
        "metadata": {"name": "filler"},
        "spec": {
            "nodeName": NODE,
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "idle",
                "image": "localhost/idle:1",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    }))?;
    wait::until("room for a pod that fills the node", async || {
        ensure!(world.pod_api().get_opt("lingering").await?.is_none(), "the last pod is still there");
        Ok(())
    })
    .await?;
    world.pod_api().create(&PostParams::default(), &filler).await?;
    world.install(&settings("kernel")?).await?;
    let message = wait_for_message(world, "Too many pods").await?;
    println!("  pending: {message}");
    let filler = world.pod_api().get("filler").await?;
    assert!(filler.metadata.deletion_timestamp.is_none(), "preempted");
    world.pod_api().delete("filler", &DeleteParams::default().grace_period(1)).await?;
    world.wait_until_done("kernel").await?;
    limit(world, KubeletSettings::default().max_pods)?;
    wait_for_capacity(world, "110").await
}

/// The first event or condition of our pod that says this.
async fn wait_for_message(world: &World, text: &str) -> Result<String> {
    wait::until("the reason why the pod waits", async || {
        let namespace = format!("--namespace={NAMESPACE}");
        let events = world.kubectl(&[&namespace, "get", "events", "--output=json"]).await?;
        let events: serde_json::Value = serde_json::from_str(&events)?;
        let pods = world.cluster().pods(NAMESPACE).await?;
        let of_ours = |uid: &str| pods.iter().any(|pod| pod.uid().as_deref() == Some(uid));
        let items = events["items"].as_array().context("no events")?;
        let found = items.iter().find_map(|event| {
            let message = event["message"].as_str()?;
            let uid = event["involvedObject"]["uid"].as_str()?;
            (of_ours(uid) && message.contains(text)).then(|| message.to_owned())
        });
        found.with_context(|| format!("no event says `{text}`"))
    })
    .await
}

async fn wait_for_taint(world: &World, key: &str, wanted: bool) -> Result<()> {
    let what = format!("the taint {key} to be there: {wanted}");
    let check = |node: &k8s_openapi::api::core::v1::Node| {
        let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        if taints.any(|taint| taint.key == key) == wanted { Ok(()) } else { Err(format!("{:?}", node.spec)) }
    };
    world.cluster().wait_for_node(NODE, &what, check).await
}

async fn wait_for_capacity(world: &World, pods: &str) -> Result<()> {
    let check = |node: &k8s_openapi::api::core::v1::Node| {
        let capacity = node.status.as_ref().and_then(|status| status.allocatable.clone()).unwrap_or_default();
        if capacity.get("pods").is_some_and(|it| it.0 == pods) {
            Ok(())
        } else {
            Err(format!("{capacity:?}"))
        }
    };
    world.cluster().wait_for_node(NODE, "the limit of pods", check).await
}
