//! What tasks on a node add to each update of its status.

use anyhow::Result;
use futures_util::AsyncReadExt as _;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use k8s_openapi::api::core::v1::Node;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client};
use node_annotator_core::NamedFacts;
use serde_json::json;

use super::{install, start, wait_for_label};
use crate::bench::figures::{Figure, Figures, float};
use crate::bench::progress;

const TASKS: usize = 20;

/// What an update of a Node's status takes, as a kubelet makes it: the times of four conditions go up, and
/// the whole Node comes back.
pub(super) async fn measure(figures: &mut Figures) -> Result<()> {
    let subject = format!("status of a node with {TASKS} tasks");
    progress(&subject);
    let cluster = start(1).await?;
    let nodes: Api<DynamicObject> = Api::all_with(cluster.client(), &ApiResource::erase::<Node>(&()));
    let mut before = None;
    for round in ["before", "after"] {
        if round == "after" {
            for number in 1..=TASKS {
                let script = "echo configured > $NODE_ANNOTATOR_FACTS/value; echo 1.37.0 > $NODE_ANNOTATOR_FACTS/version";
                let facts = NamedFacts { names: vec!["version".to_owned()], ..NamedFacts::default() };
                install(&cluster, &format!("task-{number}"), script, facts).await?;
            }
            for number in 1..=TASKS {
                wait_for_label(&cluster, "n1", &format!("k8s.haim.dev/task-{number}")).await?;
            }
        }
        let json = serde_json::to_vec(&nodes.get("n1").await?)?.len();
        let (sent, received) = update_status(&cluster.client()).await?;
        let (json_before, _, received_before) = *before.get_or_insert((json, sent, received));
        let over = |value: usize| (round == "after").then(|| float(value));
        let figure = |name: &str, value| Figure::bytes(&subject, &format!("{name}, {round}"), value);
        figures.add(figure("the Node as JSON", json).over(over(json_before)));
        figures.add(figure("an update, sent", sent));
        figures.add(figure("an update, received (protobuf)", received).over(over(received_before)));
    }
    Ok(())
}

/// Sends what a kubelet sends, and returns how many bytes went and came.
async fn update_status(client: &Client) -> Result<(usize, usize)> {
    let kinds = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"];
    let conditions: Vec<_> =
        kinds.iter().map(|kind| json!({"type": kind, "lastHeartbeatTime": "2026-01-01T00:00:00Z"})).collect();
    let order: Vec<_> = kinds.iter().map(|kind| json!({"type": kind})).collect();
    let status = json!({"status": {"$setElementOrder/conditions": order, "conditions": conditions}});
    let body = serde_json::to_vec(&status)?;
    let sent = body.len();
    let request = Request::patch("/api/v1/nodes/n1/status")
        .header(CONTENT_TYPE, "application/strategic-merge-patch+json")
        .header(ACCEPT, "application/vnd.kubernetes.protobuf")
        .body(body)?;
    let mut answer = std::pin::pin!(client.request_stream(request).await?);
    let mut bytes = Vec::new();
    answer.read_to_end(&mut bytes).await?;
    Ok((sent, bytes.len()))
}
