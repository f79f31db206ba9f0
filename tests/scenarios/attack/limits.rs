//! What the policy cannot hold, so that what ARCHITECTURE says of it stays true.

use serde_json::{Value, json};

use super::attempt::{Attempt, Case, Expected, PatchType};
use super::stage::POD;
use crate::support::key;

/// `n1` is as it is stored.
pub(super) fn cases(n1: &Value) -> Vec<Case> {
    let case = |what: &str, node, kind, body, expected| Case {
        who: POD,
        what: what.to_owned(),
        attempt: Attempt::raw_patch(kind, node, body),
        expected,
    };
    let guess =
        |system: &str| json!([{"op": "test", "path": "/status/nodeInfo/operatingSystem", "value": system}]);
    let applied = n1["metadata"]["managedFields"].as_array().into_iter().flatten();
    let applied: Vec<_> = applied.filter(|entry| entry["operation"] == "Apply").collect();
    vec![
        case(
            "reading its own node by a patch that changes nothing",
            "n1",
            PatchType::Merge,
            json!({}),
            Expected::Done(|before, after| before == after),
        ),
        // A patch is made before it is admitted: whoever may patch can ask of any node whether a value is right.
        case(
            "a right guess about another node",
            "n2",
            PatchType::Json,
            guess("linux"),
            Expected::Refused(422, "only the Node that the pod runs on"),
        ),
        case(
            "a wrong guess about another node",
            "n2",
            PatchType::Json,
            guess("windows"),
            Expected::Refused(422, "the server rejected our request due to an error in our request"),
        ),
        case(
            "a fact that is not true, and a collector that never ran",
            "n1",
            PatchType::Merge,
            json!({"metadata": {"annotations": {key("kernel"): "0"}, "labels": {key("kernel"): "saved"}}}),
            Expected::Done(|_, after| after["metadata"]["annotations"][key("kernel")] == "0"),
        ),
        case(
            "the list of who wrote what without applying it",
            "n1",
            PatchType::Merge,
            json!({"metadata": {"managedFields": applied}}),
            Expected::Done(|before, after| {
                let entries = |node: &Value| node["metadata"]["managedFields"].as_array().map_or(0, Vec::len);
                entries(after) < entries(before)
            }),
        ),
    ]
}
