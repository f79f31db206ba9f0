//! The two behaviours of the DaemonSet controller that everything here rests on, with a DaemonSet that has
//! nothing of ours in it.
//!
//! Kubernetes documents both, and promises neither. kubernetes/kubernetes#129315 asked to leave pods where
//! they are when a label changes, and was closed; KEP-6249 (no pods of DaemonSets on nodes that shut down or
//! are drained) and KEP-6250 (roll-outs that mind maintenance) are about to change this controller. Where a
//! new version of Kubernetes fails here, read those first: run-once has to be built in another way then.

use anyhow::Result;
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::Api;
use kube::api::{Patch, PatchParams};
use node_annotator_tests::kubelet::events::{Event, What};
use node_annotator_tests::{Cluster, NodeSpec, Options};
use serde_json::json;

use crate::support::starts;

const NAMESPACE: &str = "default";
const NAME: &str = "sleeper";
const DONE: &str = "example.com/done";

#[tokio::test]
async fn the_pod_of_a_node_that_no_longer_matches_is_deleted_and_not_made_again() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    for node in ["done", "due"] {
        cluster.add_node(NodeSpec::new(node)).await?;
    }
    let term = json!({"matchExpressions": [{"key": DONE, "operator": "DoesNotExist"}]});
    let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}});
    let container = json!({"name": "sleeper", "image": "sleeper", "command": ["sleep", "1000"]});
    cluster
        .apply(&json!({
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {
                "selector": {"matchLabels": {"app": NAME}},
                "template": {
                    "metadata": {"labels": {"app": NAME}},
                    "spec": {
                        "affinity": {"nodeAffinity": required},
                        "containers": [container],
                        "terminationGracePeriodSeconds": 1,
                    },
                },
            },
        }))
        .await?;
    wait_for_starts(&cluster, "done", 1).await?;
    wait_for_starts(&cluster, "due", 1).await?;

    cluster.label_node("done", DONE, Some("")).await?;
    let removed = |events: &[Event]| {
        events.iter().any(|event| event.node == "done" && event.what == What::Removed).then_some(())
    };
    cluster.events().wait_for("the pod to be deleted", removed).await?;
    // A change of the DaemonSet makes the controller look at all nodes again, and it says which it wants.
    let api: Api<DaemonSet> = Api::namespaced(cluster.client(), NAMESPACE);
    let change = json!({"spec": {"revisionHistoryLimit": 7}});
    api.patch(NAME, &PatchParams::default(), &Patch::Merge(change)).await?;
    cluster
        .wait_for_object(api, NAME, "one node to be wanted, and no more", |set| {
            let (generation, status) = set
                .and_then(|set| Some((set.metadata.generation, set.status.as_ref()?)))
                .ok_or("no status")?;
            let is_seen = status.observed_generation == generation;
            let counts = (
                status.desired_number_scheduled,
                status.current_number_scheduled,
                status.number_misscheduled,
            );
            if is_seen && counts == (1, 1, 0) { Ok(()) } else { Err(format!("{counts:?}")) }
        })
        .await?;
    let pods = cluster.pods(NAMESPACE).await?;
    let nodes: Vec<_> =
        pods.iter().map(|pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref())).collect();
    assert_eq!(nodes, [Some("due")]);
    let made = cluster.requests(|request| {
        let is_pod = request.object.resource == "pods" && request.object.subresource.is_empty();
        is_pod && request.verb == "create" && request.user_agent.contains("daemon-set-controller")
    });
    assert_eq!(made.await?.len(), 2, "one for each node");

    // The way back: without the label it is wanted again.
    cluster.label_node("done", DONE, None).await?;
    wait_for_starts(&cluster, "done", 2).await
}

async fn wait_for_starts(cluster: &Cluster, node: &str, count: usize) -> Result<()> {
    let started = |events: &[Event]| {
        let on_node: Vec<_> = events.iter().filter(|event| event.node == node).cloned().collect();
        (starts(&on_node) == count).then_some(())
    };
    cluster.events().wait_for(&format!("{count} starts on {node}"), started).await
}
