//! What only one type of patch can tell, and what is said of the object itself.

use serde_json::{Value, json};

use super::attempt::{Attempt, Case, Expected, PatchType, in_types};
use super::refusals::{LABELS, LABELS_KEPT, OWNERSHIP};
use super::stage::POD;
use crate::support::{key, saved};

pub(super) fn cases() -> Vec<Case> {
    let case = |what: &str, kind, body, expected| Case {
        who: POD,
        what: what.to_owned(),
        attempt: Attempt::raw_patch(kind, "n1", body),
        expected,
    };
    let refused = |says| Expected::Refused(422, says);
    let status = json!({"status": {"nodeInfo": {"kernelVersion": "0"}, "capacity": {"cpu": "1000"}}});
    let unchanged = |before: &Value, after: &Value| before["status"] == after["status"];
    let mut cases = vec![
        case(
            "all labels replaced, by a directive",
            PatchType::Strategic,
            json!({"metadata": {"labels": {"$patch": "replace", key("kernel"): saved("kernel")}}}),
            refused(LABELS_KEPT),
        ),
        case(
            "a finalizer away, by a directive",
            PatchType::Strategic,
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/keep"]}}),
            refused(OWNERSHIP),
        ),
        case(
            "a taint away, by a directive",
            PatchType::Strategic,
            json!({"spec": {"taints": [{"$patch": "delete", "key": "example.com/reserved"}]}}),
            refused("Node \"n1\" is invalid"),
        ),
        case(
            "all labels replaced at once",
            PatchType::Json,
            json!([{"op": "replace", "path": "/metadata/labels", "value": {key("kernel"): saved("kernel")}}]),
            refused(LABELS_KEPT),
        ),
        case(
            "a label made one of ours",
            PatchType::Json,
            json!([{"op": "move", "from": "/metadata/labels/example.com~1pool", "path": "/metadata/labels/k8s.haim.dev~1pool"}]),
            refused(LABELS),
        ),
        case(
            "a fact made a label of others",
            PatchType::Json,
            json!([{"op": "copy", "from": "/metadata/labels/k8s.haim.dev~1kernel", "path": "/metadata/labels/gold"}]),
            refused(LABELS),
        ),
    ];
    cases.extend(in_types(
        &[PatchType::Merge, PatchType::Strategic],
        POD,
        ("a status in a patch of the Node", "n1", &status),
        Expected::Done(unchanged),
    ));
    let renamed = json!({"metadata": {"name": "n2", "labels": {key("forged"): "x"}}});
    cases.extend(in_types(
        &PatchType::ALL,
        POD,
        ("another name in the body", "n1", &renamed),
        Expected::Refused(400, "the name of the object (n2) does not match the name on the URL (n1)"),
    ));
    let uid = json!({"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}});
    cases.extend(in_types(
        &PatchType::PATCHES,
        POD,
        ("another identity", "n1", &uid),
        Expected::Refused(422, "metadata.uid: Invalid value"),
    ));
    cases
}
