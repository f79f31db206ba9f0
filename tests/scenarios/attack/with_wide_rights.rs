//! What is tried once an administrator has granted every right on nodes by mistake: the policy alone holds.

use serde_json::{Value, json};

use super::attempt::{Attempt, Case, Expected, PatchType, in_types};
use super::refusals::{LABELS, OWN_NODE, UPDATE};
use super::stage::{POD, SIBLING};
use crate::support::key;

/// `n1` and `n2` are as they are stored.
pub(super) fn cases(n1: &Value, n2: &Value) -> Vec<Case> {
    [POD, SIBLING].into_iter().flat_map(|who| cases_of(who, n1, n2)).collect()
}

/// The way to the kubelet: tried only when all else is refused, since an API server that let it pass would
/// dial the node.
pub(super) fn proxied() -> Vec<Case> {
    let rows = [
        ("reading through the API server's proxy", "GET", "pods"),
        ("a command through the API server's proxy", "POST", "run/x/y/z"),
        ("deleting through the API server's proxy", "DELETE", "x"),
    ];
    let case = |who, (what, method, path): (&str, _, &str)| Case {
        who,
        what: what.to_owned(),
        attempt: Attempt::new(method, &format!("/api/v1/nodes/n1/proxy/{path}"), Value::Null),
        expected: Expected::Refused(422, UPDATE),
    };
    [POD, SIBLING].into_iter().flat_map(|who| rows.map(|row| case(who, row))).collect()
}

fn cases_of(who: &'static str, n1: &Value, n2: &Value) -> Vec<Case> {
    let with = |node: &Value, pointer: &str, name: &str, value: Value| {
        let mut node = node.clone();
        node["apiVersion"] = json!("v1");
        node["kind"] = json!("Node");
        node["metadata"]["resourceVersion"] = Value::Null;
        if let Some(map) = node.pointer_mut(pointer).and_then(Value::as_object_mut) {
            map.insert(name.to_owned(), value);
        }
        node
    };
    let labelled = |node, name: &str| with(node, "/metadata/labels", name, json!("x"));
    let own = |node| with(node, "/metadata/annotations", &key("kernel"), json!("x"));
    let new = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine"}});
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0});
    let request = |method, path: &str, body: &Value| Attempt::new(method, path, body.clone());
    let rows = [
        (
            "replacing its own node with a label of others",
            request("PUT", "/api/v1/nodes/n1", &labelled(n1, "example.com/mine")),
            422,
            LABELS,
        ),
        ("replacing another node", request("PUT", "/api/v1/nodes/n2", &own(n2)), 422, OWN_NODE),
        ("creating a node", request("POST", "/api/v1/nodes", &new), 422, UPDATE),
        ("creating a node by apply", Attempt::patch(PatchType::ForcedApply, "mine", &json!({})), 422, UPDATE),
        ("creating a node by replacing", request("PUT", "/api/v1/nodes/mine", &new), 404, "not found"),
        ("deleting its own node", request("DELETE", "/api/v1/nodes/n1", &options), 422, UPDATE),
        ("deleting another node", request("DELETE", "/api/v1/nodes/n2", &options), 422, UPDATE),
        ("deleting all nodes", request("DELETE", "/api/v1/nodes", &options), 422, UPDATE),
        (
            "replacing the status",
            request("PUT", "/api/v1/nodes/n1/status", &labelled(n1, "example.com/mine")),
            422,
            UPDATE,
        ),
        (
            "patching finalizers, which nodes do not have apart",
            Attempt::patch(PatchType::Merge, "n1/finalizers", &json!({"metadata": {"finalizers": null}})),
            404,
            "could not find the requested resource",
        ),
    ];
    let mut cases: Vec<_> = rows
        .into_iter()
        .map(|(what, attempt, code, says)| Case {
            who,
            what: what.to_owned(),
            attempt,
            expected: Expected::Refused(code, says),
        })
        .collect();
    cases.push(Case {
        who,
        what: "replacing its own node with a key of ours".to_owned(),
        attempt: request("PUT", "/api/v1/nodes/n1?fieldManager=node-annotator", &own(n1)),
        expected: Expected::Done(|_, after| after["metadata"]["annotations"][key("kernel")] == "x"),
    });
    let rows = [
        ("the status", json!({"status": {"capacity": {"example.com/gold": "1000"}}})),
        ("a label through the status", json!({"metadata": {"labels": {"example.com/mine": "x"}}})),
        ("a key of ours through the status", json!({"metadata": {"labels": {key("forged"): "x"}}})),
    ];
    for (what, change) in rows {
        cases.extend(in_types(
            &PatchType::ALL,
            who,
            (what, "n1/status", &change),
            Expected::Refused(422, UPDATE),
        ));
    }
    cases
}
