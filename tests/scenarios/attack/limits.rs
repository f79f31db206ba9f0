//! What no policy can hold, so that what ARCHITECTURE says of it stays true, and a Kubernetes that holds it
//! is noticed.

use serde_json::{Value, json};

use super::attempt::{Attempt, Case, Expected, PatchType};
use super::stage::{INVENTORY, POD, PROVIDER_ID};
use crate::support::{key, saved};

pub(super) fn cases() -> Vec<Case> {
    let case = |what: &str, node, kind, body, expected| Case {
        who: POD,
        what: what.to_owned(),
        attempt: Attempt::raw_patch(kind, node, body),
        expected,
    };
    // A patch is made before it is admitted, and what cannot be made is answered with the object that it was
    // made of.
    let unreadable = json!({"metadata": {"creationTimestamp": "x"}});
    let impossible = json!([
        {"op": "add", "path": "/spec/taints", "value": [{"key": "mine"}]},
        {"op": "copy", "from": "/spec/providerID", "path": "/spec/taints/0/effect"},
    ]);
    let quoting = |what: &str, kind, body: &Value, part| {
        case(what, "n2", kind, body.clone(), Expected::Refused(422, part))
    };
    vec![
        quoting("another node's taints", PatchType::Merge, &unreadable, "example.com/reserved"),
        quoting("another node's labels", PatchType::Merge, &unreadable, "example.com/pool"),
        quoting("another node's managers", PatchType::Merge, &unreadable, INVENTORY),
        quoting("another node's status", PatchType::Merge, &unreadable, "operatingSystem"),
        quoting("another node's value of choice", PatchType::Json, &impossible, PROVIDER_ID),
        case(
            "reading its own node by a patch that changes nothing",
            "n1",
            PatchType::Merge,
            json!({}),
            Expected::Done(|before, after| before == after),
        ),
        case(
            "a fact that is not true, and a collector that never ran",
            "n1",
            PatchType::Merge,
            json!({"metadata": {"annotations": {key("kernel"): "0"}, "labels": {key("kernel"): saved("kernel")}}}),
            Expected::Done(|_, after| after["metadata"]["annotations"][key("kernel")] == "0"),
        ),
    ]
}
