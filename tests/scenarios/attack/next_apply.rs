//! What a thief's write makes of the next write of somebody else, who does what they always do.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::attempt::{Attempt, PatchType};
use super::managed_fields::{entry, more, with_entries};
use super::stage::{INVENTORY, POD, Stage};
use crate::support::{key, saved};

/// What an operator did to the node, by hand.
fn quarantine() -> Value {
    json!({
        "metadata": {
            "labels": {"example.com/isolated": "yes"}, "annotations": {"example.com/hold": "until-monday"},
        },
        "spec": {
            "unschedulable": true,
            "taints": [{"key": "example.com/quarantine", "value": "yes", "effect": "NoExecute"}],
        },
    })
}

/// What a controller applies again and again.
fn routine() -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"labels": {"example.com/pool": "gold"}}})
}

#[tokio::test]
async fn the_next_apply_of_others_does_what_it_would_have_done() -> Result<()> {
    let stage = Stage::start().await?;
    let nodes: Api<Node> = Api::all(stage.cluster.client());
    let inventory = PatchParams::apply(INVENTORY);
    nodes.patch("n1", &inventory.clone().force(), &Patch::Apply(&routine())).await?;
    nodes.patch("n1", &PatchParams::default(), &Patch::Merge(&quarantine())).await?;
    let before = stage.node("n1").await?;
    ensure!(contains(&before, &quarantine()), "{before}");

    for (what, attempt) in forgeries(&before) {
        let answer = stage.send_as(POD, &attempt, false).await?;
        nodes.patch("n1", &inventory, &Patch::Apply(&routine())).await?;
        let after = stage.node("n1").await?;
        ensure!(contains(&after, &quarantine()), "{what}: {answer}: the quarantine is gone: {after}");
        // It may change and take away what it had applied, and nothing else is in its way.
        for labels in [json!({"example.com/pool": "lead"}), json!({}), json!({"example.com/pool": "gold"})] {
            let mut object = routine();
            object["metadata"]["labels"] = labels.clone();
            let applied = nodes.patch("n1", &inventory, &Patch::Apply(&object)).await;
            ensure!(applied.is_ok(), "{what}: {answer}: {labels} is not applied: {applied:?}");
            let pool = applied?.metadata.labels.and_then(|labels| labels.get("example.com/pool").cloned());
            ensure!(pool.as_deref() == labels["example.com/pool"].as_str(), "{what}: {answer}: {pool:?}");
        }
        stage.restore(&before).await?;
    }
    Ok(())
}

fn forgeries(n1: &Value) -> Vec<(&'static str, Attempt)> {
    let stored = n1["metadata"]["managedFields"].as_array().expect("there is a record");
    let of_inventory = stored.iter().find(|entry| entry["manager"] == INVENTORY).expect("it has applied");
    let applied: Vec<_> = stored.iter().filter(|entry| entry["operation"] == "Apply").cloned().collect();
    let mut claims = more(of_inventory, "", "f:spec", &json!({"f:taints": {}, "f:unschedulable": {}}));
    claims = more(&claims, "/f:metadata/f:labels", "f:example.com/isolated", &json!({}));
    claims = more(&claims, "/f:metadata", "f:annotations", &json!({"f:example.com/hold": {}}));
    let pool = json!({"f:metadata": {"f:labels": {"f:example.com/pool": {}}}});
    let patch = |list: &[Value]| Attempt::patch(PatchType::Merge, "n1", &with_entries(list));
    let alone = |list: &[Value]| {
        Attempt::patch(PatchType::Merge, "n1", &json!({"metadata": {"managedFields": list}}))
    };
    let same = json!({"metadata": {"labels": {"example.com/pool": "gold", key("kernel"): saved("kernel")}}});
    vec![
        ("taints and labels of others, claimed for who applies next", alone(&[claims.clone()])),
        ("the same with something of ours", patch(&[claims])),
        ("a share in what somebody applies", Attempt::patch_as("pin", PatchType::Apply, "n1", &same)),
        ("the same, forged", patch(&[applied.clone(), vec![entry("pin", "Apply", &pool)]].concat())),
        ("the same, not applied", patch(&[applied, vec![entry("pin", "Update", &pool)]].concat())),
    ]
}

/// Whether all that is in the second value is in the first.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (_, Value::Object(fields)) => fields.iter().all(|(name, value)| contains(&whole[name], value)),
        // The controllers add taints of their own.
        (Value::Array(all), Value::Array(some)) => some.iter().all(|value| all.contains(value)),
        _ => whole == part,
    }
}
