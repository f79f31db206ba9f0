//! The record of who wrote which field: the server takes what a patch says of it, whether it is true or not.

use serde_json::{Value, json};

use super::attempt::{Attempt, Case, Expected, PatchType, in_types};
use super::refusals::{APPLIED_FIELDS, CLAIM_DEPTH, CLAIM_SIZE, MANAGER_COUNT, SPEC};
use super::stage::{INVENTORY, POD, POD_CROWDED};
use crate::support::key;

/// `n1` is as it is stored.
pub(super) fn cases(n1: &Value) -> Vec<Case> {
    let entry = |manager: &str, operation: &str, fields: &Value| {
        json!({
            "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1",
            "time": "2026-01-01T00:00:00Z", "fieldsV1": fields,
        })
    };
    let mut stored = n1["metadata"]["managedFields"].as_array().into_iter().flatten();
    let foreign = stored.find(|entry| entry["manager"] == INVENTORY).expect("something was applied");
    let foreign = &foreign["fieldsV1"];
    let entries = |list: &[Value]| json!({"metadata": {"managedFields": list}});
    let without = |pointer: &str, name: &str| {
        let mut fields = foreign.clone();
        let map = fields.pointer_mut(pointer).and_then(Value::as_object_mut);
        map.and_then(|map| map.remove(name)).expect("it was applied");
        entries(&[entry(INVENTORY, "Apply", &fields)])
    };
    let kept = entry(INVENTORY, "Apply", foreign);
    let long: serde_json::Map<_, _> = (0..2000).map(|index| (format!("f:{index:0100}"), json!({}))).collect();
    let long = json!({"f:metadata": {"f:labels": long}});
    let deep = json!({"f:metadata": {"f:labels": {"f:a": {"f:b": {"f:c": {}}}}}});
    let own = json!({"f:metadata": {"f:labels": {"f:k8s.haim.dev/forged": {}}}});
    let rows = [
        ("all managers away", entries(&[json!({})]), APPLIED_FIELDS),
        ("another manager's fields away", entries(&[entry(INVENTORY, "Apply", &json!({}))]), APPLIED_FIELDS),
        ("another manager's fields exchanged", entries(&[entry(INVENTORY, "Apply", &own)]), APPLIED_FIELDS),
        (
            "a label away from another manager",
            without("/f:metadata/f:labels", "f:example.com/pool"),
            APPLIED_FIELDS,
        ),
        ("the taints away from another manager", without("/f:spec", "f:taints"), APPLIED_FIELDS),
        (
            "another manager's fields not applied any more",
            entries(&[entry(INVENTORY, "Update", foreign)]),
            APPLIED_FIELDS,
        ),
        ("a forged list of 200 KiB", entries(&[kept.clone(), entry("forged", "Update", &long)]), CLAIM_SIZE),
        (
            "a forged list of great depth",
            entries(&[kept.clone(), entry("forged", "Update", &deep)]),
            CLAIM_DEPTH,
        ),
    ];
    let mut cases = Vec::new();
    for (what, change, says) in rows {
        cases.extend(in_types(&PatchType::PATCHES, POD, (what, "n1", &change), Expected::Refused(422, says)));
    }
    // A run does that to a done label that somebody has applied.
    let applied = json!({"metadata": {"labels": {key("applied"): "by-a-run"}}});
    cases.extend(in_types(
        &PatchType::PATCHES,
        POD,
        ("the only field of another manager, which is a key of ours", "n1", &applied),
        Expected::Done(|_, after| after["metadata"]["labels"][key("applied")] == "by-a-run"),
    ));
    let taken = json!({"metadata": {"labels": {key("forged"): "x"}}});
    let mut as_inventory = |what: &str, change: &Value, says| {
        cases.push(Case {
            who: POD,
            what: what.to_owned(),
            attempt: Attempt::patch_as(INVENTORY, PatchType::ForcedApply, "n1", change),
            expected: Expected::Refused(422, says),
        });
    };
    as_inventory("everything away that somebody applied, in their name", &taken, SPEC);
    cases.push(Case {
        who: POD,
        what: "keys of ours in the name of the kubelet".to_owned(),
        attempt: Attempt::patch_as("kubelet", PatchType::Merge, "n1", &taken),
        expected: Expected::Done(|_, after| after["metadata"]["labels"][key("forged")] == "x"),
    });
    cases.push(Case {
        who: POD_CROWDED,
        what: "keys of ours as a run writes them, however many other managers there are".to_owned(),
        attempt: Attempt::patch_as("node-annotator", PatchType::Merge, "crowded", &taken),
        expected: Expected::Done(|_, after| after["metadata"]["labels"][key("forged")] == "x"),
    });
    cases.extend(in_types(
        &PatchType::ALL,
        POD_CROWDED,
        ("one more field manager", "crowded", &taken),
        Expected::Refused(422, MANAGER_COUNT),
    ));
    cases
}
