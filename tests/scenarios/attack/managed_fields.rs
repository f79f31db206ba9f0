//! The record of who wrote which field: the server takes what a patch says of it, whether it is true or not.

use serde_json::{Value, json};

use super::attempt::{Attempt, Case, Expected, MANAGER, PatchType, in_types};
use super::changes::annotation;
use super::refusals::{CLAIMS, CLAIMS_KEPT, MANAGED_FIELDS, SPEC};
use super::stage::{INVENTORY, POD, POD_CROWDED};
use crate::support::key;

/// `n1` is as it is stored.
pub(super) fn cases(n1: &Value) -> Vec<Case> {
    [forged(n1), changed_hands()].concat()
}

/// An entry of somebody.
pub(super) fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
    json!({
        "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1",
        "time": "2026-01-01T00:00:00Z", "fieldsV1": fields,
    })
}

/// Something that a run can write, and the record with it.
pub(super) fn with_entries(list: &[Value]) -> Value {
    json!({"metadata": {"annotations": {key("kernel.error"): "x"}, "managedFields": list}})
}

/// What somebody claims, and more.
pub(super) fn more(entry: &Value, pointer: &str, name: &str, claim: &Value) -> Value {
    let mut entry = entry.clone();
    if !name.is_empty() {
        entry["fieldsV1"].pointer_mut(pointer).expect("it is claimed")[name] = claim.clone();
    }
    entry
}

fn forged(n1: &Value) -> Vec<Case> {
    let stored = n1["metadata"]["managedFields"].as_array().expect("there is a record");
    let of = |manager: &str| stored.iter().find(|entry| entry["manager"] == manager).expect(manager);
    let others = |manager: &str| -> Vec<Value> {
        stored.iter().filter(|entry| entry["manager"] != manager).cloned().collect()
    };
    let inventory = of(INVENTORY);
    let has_updated = |entry: &&Value| entry["operation"] == "Update" && entry["manager"] != MANAGER;
    let updater = stored.iter().find(has_updated).and_then(|entry| entry["manager"].as_str());
    let updater = updater.expect("controllers write on every node");
    let claims = &inventory["fieldsV1"];
    // In place of what an entry was, whatever else there is.
    let instead = |manager: &str, list: &[Value]| with_entries(&[&others(manager), list].concat());
    let without = |pointer: &str, name: &str| {
        let mut entry = inventory.clone();
        let map = entry["fieldsV1"].pointer_mut(pointer).and_then(Value::as_object_mut);
        map.and_then(|map| map.remove(name)).expect("it was applied");
        instead(INVENTORY, &[entry])
    };
    let and = |forged: &Value| with_entries(&[&stored[..], std::slice::from_ref(forged)].concat());
    let with = |pointer: &str, name: &str| instead(INVENTORY, &[more(inventory, pointer, name, &json!({}))]);
    let with_run = |pointer: &str, name: &str, claim: &Value| {
        instead(MANAGER, &[more(of(MANAGER), pointer, name, claim)])
    };
    let long: serde_json::Map<_, _> = (0..2000).map(|index| (format!("f:{index:0100}"), json!({}))).collect();
    let long = json!({"f:metadata": {"f:labels": long}});
    let own = json!({"f:metadata": {"f:annotations": {format!("f:{}", key("kernel.build")): {}}}});
    let taints = json!({"f:spec": {"f:taints": {}}});
    let all = json!({"f:spec": {}});
    let rows = [
        ("all managers away", with_entries(&[json!({})]), CLAIMS_KEPT),
        ("all managers away, and nothing else", json!({"metadata": {"managedFields": [{}]}}), MANAGED_FIELDS),
        (
            "our own entry away, and nothing else",
            json!({"metadata": {"managedFields": others(MANAGER)}}),
            MANAGED_FIELDS,
        ),
        ("another manager away", with_entries(&others(INVENTORY)), CLAIMS_KEPT),
        ("another manager away that applied nothing", with_entries(&others(updater)), CLAIMS_KEPT),
        (
            "another manager's fields exchanged",
            instead(INVENTORY, &[entry(INVENTORY, "Apply", &own)]),
            CLAIMS,
        ),
        ("the labels away from another manager", without("/f:metadata", "f:labels"), CLAIMS_KEPT),
        ("the taints away from another manager", without("", "f:spec"), CLAIMS_KEPT),
        (
            "another manager's fields not applied any more",
            instead(INVENTORY, &[entry(INVENTORY, "Update", claims)]),
            CLAIMS,
        ),
        ("somebody else's taint claimed for who applies", with("/f:spec", "f:unschedulable"), CLAIMS),
        (
            "somebody else's label claimed for who applies",
            with("/f:metadata/f:labels", "f:example.com/isolated"),
            CLAIMS,
        ),
        ("a map claimed for who applies", with("/f:metadata", "f:annotations"), CLAIMS),
        ("a part of the object claimed for who applies", with("", "f:status"), CLAIMS),
        ("taints claimed for somebody new", and(&entry("pin", "Apply", &taints)), CLAIMS),
        ("the whole spec claimed for somebody new", and(&entry("pin", "Update", &all)), CLAIMS),
        ("a key of ours claimed for somebody new", and(&entry("pin", "Update", &own)), CLAIMS),
        ("all old claims for the oldest of a few", and(&entry("ancient-changes", "Update", &taints)), CLAIMS),
        ("taints claimed for a run", with_run("", "f:spec", &taints["f:spec"]), CLAIMS),
        ("the whole spec claimed for a run", with_run("", "f:spec", &json!({})), CLAIMS),
        (
            "somebody's label claimed for a run",
            with_run("/f:metadata/f:labels", "f:example.com/pool", &json!({})),
            CLAIMS,
        ),
        (
            "a key of no collector claimed for a run",
            with_run("/f:metadata/f:labels", "f:k8s.haim.dev/forged", &json!({})),
            CLAIMS,
        ),
        (
            "a claim of great depth",
            with_run(
                "/f:metadata/f:annotations",
                "f:k8s.haim.dev/kernel.error",
                &json!({"f:a": {"f:b": {}}}),
            ),
            CLAIMS,
        ),
        ("claims of 200 KiB", and(&entry(MANAGER, "Update", &long)), CLAIMS),
    ];
    let mut cases = Vec::new();
    for (what, change, says) in rows {
        cases.extend(in_types(&PatchType::PATCHES, POD, (what, "n1", &change), Expected::Refused(422, says)));
    }
    cases
}

/// What changes hands by a write.
fn changed_hands() -> Vec<Case> {
    let written = |_: &Value, after: &Value| {
        after["metadata"]["annotations"][key("kernel")] == "by-a-run"
            && after["metadata"]["annotations"][key("cpu-model")] == "by-a-run"
    };
    let ours =
        json!({"metadata": {"annotations": {key("kernel"): "by-a-run", key("cpu-model"): "by-a-run"}}});
    // A run does that to a fact that somebody has applied, and to one that was somebody's only one.
    let mut cases = in_types(
        &PatchType::PATCHES,
        POD,
        ("fields of another manager that are keys of ours", "n1", &ours),
        Expected::Done(written),
    );
    cases.extend(in_types(
        &PatchType::PATCHES,
        POD_CROWDED,
        ("keys of ours where the oldest managers are put together", "crowded", &ours),
        Expected::Done(written),
    ));
    let mut under_a_name = |what: &str, manager, kind, change: &Value, says| {
        cases.push(Case {
            who: POD,
            what: what.to_owned(),
            attempt: Attempt::patch_as(manager, kind, "n1", change),
            expected: Expected::Refused(422, says),
        });
    };
    let taken = annotation(&key("kernel.error"), "x");
    let fewer = "everything away that somebody applied, in their name";
    under_a_name(fewer, INVENTORY, PatchType::ForcedApply, &taken, SPEC);
    under_a_name("a key of ours in the name of the kubelet", "kubelet", PatchType::Merge, &taken, CLAIMS);
    under_a_name("a key of ours in a name of one's own", "attacker", PatchType::Merge, &taken, CLAIMS);
    under_a_name("a key of ours, applied", MANAGER, PatchType::ForcedApply, &taken, CLAIMS);
    let same = json!({"metadata": {"labels": {"example.com/pool": "gold"}}});
    under_a_name("a share in what somebody applied", "pin", PatchType::Apply, &same, MANAGED_FIELDS);
    cases
}
