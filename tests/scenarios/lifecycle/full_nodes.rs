//! Nodes without room, on the real scheduler: what waits, what does not have to, and what an operator can
//! choose.

use std::fs;

use anyhow::{Context, Result, anyhow, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::DeleteParams;
use node_annotator_deploy::{PriorityClassName, Settings};
use node_annotator_tests::{Cluster, Options, wait};
use serde_json::{Value, json};

use super::kubectl::Kubectl;
use super::overlay::Overlay;
use super::{combined, ensure_starts};
use crate::support::{
    COLLECTORS, NAMESPACE, install, install_all, install_combined, key, node_of, wait_for_label,
    wait_until_gone,
};

/// What a node has in all, which another pod takes, and what the scheduler says of ours.
const FULL: [(&str, &str, &str); 3] = [
    ("pods", "1", "Too many pods"),
    ("cpu", "100m", "Insufficient cpu"),
    ("memory", "100Mi", "Insufficient memory"),
];

const SET: &str = "node-annotator";

/// Fills a node that has this much of a resource: its one pod, or all that can be asked for.
async fn fill(cluster: &Cluster, node: &str, resource: &str, quantity: &str) -> Result<()> {
    let requests = if resource == "pods" { json!({}) } else { json!({ resource: quantity }) };
    let filler = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("filler-{node}"), "namespace": "default"},
        "spec": {
            "nodeName": node,
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "filler", "image": "none", "command": ["sleep", "1000"],
                "resources": {"requests": requests},
            }],
        },
    });
    cluster.apply(&filler).await.map(drop)
}

/// Whether the pod that fills a node is there, and stays.
async fn is_filled(cluster: &Cluster, node: &str) -> Result<bool> {
    let filler =
        Api::<Pod>::namespaced(cluster.client(), "default").get_opt(&format!("filler-{node}")).await?;
    Ok(filler.is_some_and(|pod| pod.metadata.deletion_timestamp.is_none()))
}

/// Waits until the scheduler has said why our pod for a node is not there.
async fn wait_for_reason(cluster: &Cluster, node: &str, reason: &str) -> Result<()> {
    wait::until(&format!("the pod for {node} to wait: {reason}"), async || {
        let pods = cluster.pods(NAMESPACE).await?;
        let for_node = |pod: &&Pod| {
            let pod = serde_json::to_value(pod).unwrap_or_default();
            let terms = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
            pod.pointer(&format!("{terms}/0/matchFields/0/values/0")).and_then(Value::as_str) == Some(node)
        };
        let pod = pods.iter().find(for_node).context("no pod for it")?;
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let said: Vec<_> = conditions.filter_map(|condition| condition.message.as_deref()).collect();
        ensure!(said.iter().any(|said| said.contains(reason)), "{said:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_run_waits_for_room_unless_it_asks_for_none_or_takes_it() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    for (resource, quantity, _) in FULL {
        cluster.add_node(node_of(resource, "intel-xeon").resource(resource, quantity)).await?;
        fill(&cluster, resource, resource, quantity).await?;
    }
    cluster.add_node(node_of("disk", "intel-xeon").resource("ephemeral-storage", "1Gi")).await?;
    fill(&cluster, "disk", "ephemeral-storage", "1Gi").await?;
    // As a kubelet without rights over its file systems registers.
    cluster.add_node(node_of("untold", "intel-xeon").without_resource("ephemeral-storage")).await?;

    let settings = combined("kernel");
    install(&cluster, &settings).await?;
    for node in ["disk", "untold"] {
        wait_for_label(&cluster, node, &key("kernel")).await?;
    }
    for (node, _, reason) in FULL {
        wait_for_reason(&cluster, node, reason).await?;
        ensure!(is_filled(&cluster, node).await?, "{node}: the other pod had to go");
    }
    Api::<Pod>::namespaced(cluster.client(), "default")
        .delete("filler-pods", &DeleteParams::default())
        .await?;
    wait_for_label(&cluster, "pods", &key("kernel")).await?;

    // Requests of nothing fit where nothing is left.
    let overlay = Overlay::write(&cluster, "nothing", &settings)?;
    let component = overlay.component("resources");
    let text = fs::read_to_string(&component)?;
    let asking_for_nothing = text.replace("cpu: 10m", "cpu: 0").replace("memory: 32Mi", "memory: 0");
    ensure!(asking_for_nothing != text);
    fs::write(&component, asking_for_nothing)?;
    let kubectl = Kubectl::of(&cluster).await?;
    kubectl
        .run(&format!("kubectl apply --server-side --force-conflicts -k {}", overlay.with(&["resources"])?))
        .await?;
    for node in ["cpu", "memory"] {
        wait_for_label(&cluster, node, &key("kernel")).await?;
        ensure!(is_filled(&cluster, node).await?, "{node}: the other pod had to go");
    }
    wait_until_gone(&cluster, &[SET.to_owned()]).await?;

    // A place for a pod is had by taking it from another alone.
    fill(&cluster, "pods", "pods", "1").await?;
    let taking = Settings {
        priority_class: PriorityClassName::Existing("system-node-critical".to_owned()),
        ..settings
    };
    install(&cluster, &taking).await?;
    cluster.label_node("pods", &key("kernel"), None).await?;
    wait_for_label(&cluster, "pods", &key("kernel")).await?;
    wait::until("the other pod to go", async || {
        if is_filled(&cluster, "pods").await? { Err(anyhow!("it is there")) } else { Ok(()) }
    })
    .await
}

/// With a place for one pod, three DaemonSets take turns: three pods, one after the other.
#[tokio::test]
async fn one_place_suffices_for_any_number_of_daemon_sets_and_one_pod_for_all_collectors() -> Result<()> {
    for (is_combined, starts) in [(false, COLLECTORS.len()), (true, 1)] {
        let cluster = Cluster::start(Options::default()).await?;
        cluster.add_node(node_of("n1", "intel-xeon").resource("pods", "1")).await?;
        let sets =
            if is_combined { install_combined(&cluster).await? } else { install_all(&cluster).await? };
        for collector in COLLECTORS {
            wait_for_label(&cluster, "n1", &key(collector)).await?;
        }
        ensure_starts(&cluster, &sets, &[("n1", starts)]).await?;
    }
    Ok(())
}
