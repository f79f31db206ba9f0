//! What is tried with the rights that the manifests grant, in every type of patch that can tell it.

use serde_json::{Value, json};

use super::attempt::{Case, Expected, PatchType, in_types};
use super::refusals::{
    ANNOTATION_COUNT, CONFLICT, FOREIGN_ANNOTATION, FOREIGN_LABEL, LABEL_COUNT, OPT_OUT, OWN_NODE, OWNERSHIP,
    SPEC, TOTAL_SIZE, VALUE_SIZE,
};
use super::stage::{POD, POD_OPTED_OUT};
use crate::support::key;

pub(super) fn cases() -> Vec<Case> {
    [changes(), removals()].concat()
}

pub(super) fn label(name: &str, value: &str) -> Value {
    json!({"metadata": {"labels": {name: value}}})
}

fn annotation(name: &str, value: &str) -> Value {
    json!({"metadata": {"annotations": {name: value}}})
}

/// Facts under other names than those of collectors, so that no DaemonSet takes an interest.
pub(super) fn own() -> Value {
    json!({"metadata": {
        "annotations": {key("forged"): "anything", key("forged.more"): "x".repeat(4096)},
        "labels": {key("forged"): "saved"},
    }})
}

pub(super) fn has_own(_: &Value, after: &Value) -> bool {
    after["metadata"]["annotations"][key("forged")] == "anything"
        && after["metadata"]["labels"][key("forged")] == "saved"
}

fn many(map: &str, count: usize, value: &str) -> Value {
    let entries: serde_json::Map<_, _> =
        (0..count).map(|index| (key(&format!("forged-{index}")), json!(value))).collect();
    json!({"metadata": {map: entries}})
}

/// What can be told in every type of patch.
fn changes() -> Vec<Case> {
    let refused = |says| Expected::Refused(422, says);
    let taint = json!([{"key": "example.com/mine", "value": "yes", "effect": "NoExecute"}]);
    let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": "n2", "uid": "0"}]);
    let rows = [
        ("keys of ours", "n1", own(), Expected::Done(has_own)),
        ("keys of ours on another node", "n2", own(), refused(OWN_NODE)),
        ("a new label", "n1", label("example.com/mine", "x"), refused(FOREIGN_LABEL)),
        ("a label without a prefix", "n1", label("mine", "x"), refused(FOREIGN_LABEL)),
        ("a role", "n1", label("node-role.kubernetes.io/k8s.haim.dev", ""), refused(FOREIGN_LABEL)),
        ("our prefix as a beginning", "n1", label("k8s.haim.dev.evil/kernel", "x"), refused(FOREIGN_LABEL)),
        ("our prefix as an end", "n1", label("evil-k8s.haim.dev/kernel", "x"), refused(FOREIGN_LABEL)),
        ("a domain under our prefix", "n1", label("evil.k8s.haim.dev/kernel", "x"), refused(FOREIGN_LABEL)),
        ("our prefix without a slash", "n1", label("k8s.haim.dev", "x"), refused(FOREIGN_LABEL)),
        ("a new annotation", "n1", annotation("example.com/mine", "x"), refused(FOREIGN_ANNOTATION)),
        (
            "an annotation with our prefix as a beginning",
            "n1",
            annotation("k8s.haim.dev.evil/kernel", "x"),
            refused(FOREIGN_ANNOTATION),
        ),
        (
            "an annotation with our prefix in capitals",
            "n1",
            annotation("K8S.haim.dev/kernel", "x"),
            refused(FOREIGN_ANNOTATION),
        ),
        ("a finalizer", "n1", json!({"metadata": {"finalizers": ["example.com/mine"]}}), refused(OWNERSHIP)),
        ("an owner", "n1", json!({"metadata": {"ownerReferences": owner}}), refused(OWNERSHIP)),
        ("a generated name", "n1", json!({"metadata": {"generateName": "mine-"}}), refused(OWNERSHIP)),
        ("cordoning", "n1", json!({"spec": {"unschedulable": true}}), refused(SPEC)),
        ("a provider's id", "n1", json!({"spec": {"providerID": "evil://1"}}), refused(SPEC)),
        ("cordoning another node", "n2", json!({"spec": {"unschedulable": true}}), refused(OWN_NODE)),
        ("opting out", "n1", label(&key("opt-out"), "yes"), refused(OPT_OUT)),
        ("opting out without a value", "n1", label(&key("opt-out"), ""), refused(OPT_OUT)),
        ("an oversized value", "n1", annotation(&key("forged"), &"x".repeat(4097)), refused(VALUE_SIZE)),
        (
            "an oversized value in characters of two bytes",
            "n1",
            annotation(&key("forged"), &"ä".repeat(2049)),
            refused(VALUE_SIZE),
        ),
        ("many values", "n1", many("annotations", 100, &"x".repeat(2048)), refused(TOTAL_SIZE)),
        ("1,000 annotations", "n1", many("annotations", 1000, "x"), refused(ANNOTATION_COUNT)),
        ("5,000 labels", "n1", many("labels", 5000, "x"), refused(LABEL_COUNT)),
    ];
    let mut cases = Vec::new();
    for (what, node, change, expected) in rows {
        cases.extend(in_types(&PatchType::ALL, POD, (what, node, &change), expected));
    }
    // What somebody has applied, the server protects from those who apply without force.
    let rows = [
        ("the value of a label", label("example.com/pool", "lead"), FOREIGN_LABEL),
        ("the value of an annotation", annotation("example.com/owner", "me"), FOREIGN_ANNOTATION),
        ("a taint", json!({"spec": {"taints": taint}}), SPEC),
    ];
    for (what, change, says) in rows {
        let (apply, others) = PatchType::ALL.into_iter().partition::<Vec<_>, _>(|it| *it == PatchType::Apply);
        cases.extend(in_types(&others, POD, (what, "n1", &change), refused(says)));
        cases.extend(in_types(&apply, POD, (what, "n1", &change), Expected::Refused(409, CONFLICT)));
    }
    cases
}

/// What apply cannot tell.
fn removals() -> Vec<Case> {
    let rows = [
        (
            "a label away",
            "n1",
            POD,
            json!({"metadata": {"labels": {"example.com/pool": null}}}),
            FOREIGN_LABEL,
        ),
        (
            "a label away that nobody applied",
            "n1",
            POD,
            json!({"metadata": {"labels": {"kubernetes.io/hostname": null}}}),
            FOREIGN_LABEL,
        ),
        ("all labels away", "n1", POD, json!({"metadata": {"labels": null}}), FOREIGN_LABEL),
        (
            "an annotation away",
            "n1",
            POD,
            json!({"metadata": {"annotations": {"example.com/owner": null}}}),
            FOREIGN_ANNOTATION,
        ),
        (
            "an annotation away that nobody applied",
            "n1",
            POD,
            json!({"metadata": {"annotations": {"node.alpha.kubernetes.io/ttl": null}}}),
            FOREIGN_ANNOTATION,
        ),
        ("all annotations away", "n1", POD, json!({"metadata": {"annotations": null}}), FOREIGN_ANNOTATION),
        ("all finalizers away", "n1", POD, json!({"metadata": {"finalizers": null}}), OWNERSHIP),
        ("all owners away", "n1", POD, json!({"metadata": {"ownerReferences": null}}), OWNERSHIP),
        ("all taints away", "n1", POD, json!({"spec": {"taints": null}}), SPEC),
        ("the whole spec away", "n1", POD, json!({"spec": null}), SPEC),
        (
            "the label that opts out away",
            "opted-out",
            POD_OPTED_OUT,
            json!({"metadata": {"labels": {key("opt-out"): null}}}),
            OPT_OUT,
        ),
        ("another reason to opt out", "opted-out", POD_OPTED_OUT, label(&key("opt-out"), "no"), OPT_OUT),
    ];
    let cases = rows.into_iter().flat_map(|(what, node, who, change, says)| {
        in_types(&PatchType::PATCHES, who, (what, node, &change), Expected::Refused(422, says))
    });
    let own =
        json!({"metadata": {"annotations": {key("kernel.build"): null}, "labels": {key("forged"): null}}});
    cases
        .chain(in_types(
            &[PatchType::Merge, PatchType::Strategic],
            POD,
            ("keys of ours away", "n1", &own),
            Expected::Done(|_, after| after["metadata"]["annotations"][key("kernel.build")].is_null()),
        ))
        .collect()
}
