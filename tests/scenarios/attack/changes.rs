//! What is tried with the rights that the manifests grant, in every type of patch that can tell it.

use serde_json::{Value, json};

use super::attempt::{Case, Expected, PatchType, in_types};
use super::refusals::{
    ANNOTATIONS, ANNOTATIONS_KEPT, CLAIMS, CONFLICT, CONFLICT_WITH_RUN, LABELS, LABELS_KEPT, OWN_NODE,
    OWNERSHIP, SPEC, TOO_SOON,
};
use super::stage::{POD, POD_BUSY, POD_GIVEN_UP, POD_OPTED_OUT};
use crate::support::{key, saved};

pub(super) fn cases() -> Vec<Case> {
    [changes(), as_a_run_writes(), given_up(), of_those_who_apply(), removals()].concat()
}

pub(super) fn label(name: &str, value: &str) -> Value {
    json!({"metadata": {"labels": {name: value}}})
}

pub(super) fn annotation(name: &str, value: &str) -> Value {
    json!({"metadata": {"annotations": {name: value}}})
}

/// What a run can write, as long as it can be.
pub(super) fn own() -> Value {
    json!({"metadata": {
        "annotations": {key("kernel"): "x".repeat(1024), key("cpu-model.error"): "x".repeat(512)},
        "labels": {key("kernel"): saved("kernel")},
    }})
}

pub(super) fn has_own(_: &Value, after: &Value) -> bool {
    after["metadata"]["annotations"][key("kernel")] == "x".repeat(1024)
        && after["metadata"]["annotations"][key("cpu-model.error")] == "x".repeat(512)
}

fn many(map: &str, count: usize, value: &str) -> Value {
    let entries: serde_json::Map<_, _> =
        (0..count).map(|index| (key(&format!("forged-{index}")), json!(value))).collect();
    json!({"metadata": {map: entries}})
}

/// What can be told in every type of patch.
fn changes() -> Vec<Case> {
    let refused = |says| Expected::Refused(422, says);
    let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": "n2", "uid": "0"}]);
    let rows = [
        ("an error on another node", "n2", annotation(&key("kernel.error"), "x"), refused(OWN_NODE)),
        ("a new label", "n1", label("example.com/mine", "x"), refused(LABELS)),
        ("a label without a prefix", "n1", label("mine", "x"), refused(LABELS)),
        ("a role", "n1", label("node-role.kubernetes.io/k8s.haim.dev", ""), refused(LABELS)),
        ("our prefix as a beginning", "n1", label("k8s.haim.dev.evil/kernel", "x"), refused(LABELS)),
        ("our prefix as an end", "n1", label("evil-k8s.haim.dev/kernel", "x"), refused(LABELS)),
        ("a domain under our prefix", "n1", label("evil.k8s.haim.dev/kernel", "x"), refused(LABELS)),
        ("our prefix without a slash", "n1", label("k8s.haim.dev", "x"), refused(LABELS)),
        ("a new annotation", "n1", annotation("example.com/mine", "x"), refused(ANNOTATIONS)),
        (
            "an annotation with our prefix as a beginning",
            "n1",
            annotation("k8s.haim.dev.evil/kernel", "x"),
            refused(ANNOTATIONS),
        ),
        (
            "an annotation with our prefix in capitals",
            "n1",
            annotation("K8S.haim.dev/kernel", "x"),
            refused(ANNOTATIONS),
        ),
        ("a finalizer", "n1", json!({"metadata": {"finalizers": ["example.com/mine"]}}), refused(OWNERSHIP)),
        ("an owner", "n1", json!({"metadata": {"ownerReferences": owner}}), refused(OWNERSHIP)),
        ("a generated name", "n1", json!({"metadata": {"generateName": "mine-"}}), refused(OWNERSHIP)),
        ("cordoning", "n1", json!({"spec": {"unschedulable": true}}), refused(SPEC)),
        ("a provider's id", "n1", json!({"spec": {"providerID": "evil://1"}}), refused(SPEC)),
        ("cordoning another node", "n2", json!({"spec": {"unschedulable": true}}), refused(OWN_NODE)),
        ("opting out", "n1", label(&key("opt-out"), "yes"), refused(LABELS)),
        ("opting out without a value", "n1", label(&key("opt-out"), ""), refused(LABELS)),
        ("the done label of no collector", "n1", label(&key("forged"), "saved"), refused(LABELS)),
        ("the failed label of no collector", "n1", label(&key("forged.failed"), "saved"), refused(LABELS)),
        ("a failed label that was not installed", "n1", label(&key("kernel.failed"), "2"), refused(LABELS)),
        ("a fact of no collector", "n1", annotation(&key("forged"), "x"), refused(ANNOTATIONS)),
        (
            "a fact that no collector declares",
            "n1",
            annotation(&key("kernel.forged"), "x"),
            refused(ANNOTATIONS),
        ),
        (
            "an oversized error",
            "n1",
            annotation(&key("kernel.error"), &"x".repeat(513)),
            refused(ANNOTATIONS),
        ),
        (
            "an oversized error in characters of two bytes",
            "n1",
            annotation(&key("kernel.error"), &"ä".repeat(257)),
            refused(ANNOTATIONS),
        ),
        ("1,000 annotations", "n1", many("annotations", 1000, "x"), refused(ANNOTATIONS)),
        ("5,000 labels", "n1", many("labels", 5000, "x"), refused(LABELS)),
    ];
    let mut cases = Vec::new();
    for (what, node, change, expected) in rows {
        cases.extend(in_types(&PatchType::ALL, POD, (what, node, &change), expected));
    }
    cases
}

/// What a run can write, as a run writes it and in no other way.
fn as_a_run_writes() -> Vec<Case> {
    let refused = |says| Expected::Refused(422, says);
    let mut cases = Vec::new();
    let (error, own) = (annotation(&key("kernel.error"), "x"), own());
    cases.extend(in_types(
        &PatchType::PATCHES,
        POD,
        ("all that a run can write", "n1", &own),
        Expected::Done(has_own),
    ));
    cases.extend(in_types(
        &PatchType::PATCHES,
        POD,
        ("the same on another node", "n2", &own),
        refused(OWN_NODE),
    ));
    let applied = [PatchType::Apply, PatchType::ForcedApply];
    cases.extend(in_types(&applied, POD, ("what a run does not apply", "n1", &error), refused(CLAIMS)));
    let generation = label(&key("kernel"), "2");
    let longer = annotation(&key("left-by-others"), &"x".repeat(6000));
    let others = [&PatchType::PATCHES[..], &[PatchType::ForcedApply]].concat();
    cases.extend(in_types(
        &others,
        POD,
        ("a generation that was not installed", "n1", &generation),
        refused(LABELS),
    ));
    cases.extend(in_types(
        &others,
        POD,
        ("what somebody else left under our prefix, made longer", "n1", &longer),
        refused(ANNOTATIONS),
    ));
    cases.extend(in_types(
        &[PatchType::Apply],
        POD,
        ("a generation that was not installed", "n1", &generation),
        Expected::Refused(409, CONFLICT_WITH_RUN),
    ));
    let fact = annotation(&key("kernel"), "another");
    cases.extend(in_types(
        &PatchType::PATCHES,
        POD_BUSY,
        ("one more fact", "busy", &fact),
        refused(TOO_SOON),
    ));
    cases.extend(in_types(
        &PatchType::PATCHES,
        POD_BUSY,
        ("one more error", "busy", &error),
        refused(TOO_SOON),
    ));
    let same = label(&key("kernel"), &saved("kernel"));
    let unchanged = Expected::Done(|before, after| before == after);
    cases.extend(in_types(&PatchType::PATCHES, POD_BUSY, ("the same again", "busy", &same), unchanged));
    cases
}

/// What a run writes that gives up, and the run after it.
fn given_up() -> Vec<Case> {
    let refused = |says| Expected::Refused(422, says);
    let giving_up = json!({"metadata": {
        "labels": {key("kernel.failed"): saved("kernel")}, "annotations": {key("kernel.error"): "no luck"},
    }});
    let gave_up =
        |_: &Value, after: &Value| after["metadata"]["labels"][key("kernel.failed")] == saved("kernel");
    let done = json!({"metadata": {"labels": {key("kernel"): saved("kernel"), key("kernel.failed"): null}}});
    let is_done = |_: &Value, after: &Value| {
        let labels = &after["metadata"]["labels"];
        labels[key("kernel")] == saved("kernel") && labels[key("kernel.failed")].is_null()
    };
    let away = json!({"metadata": {"labels": {key("kernel.failed"): null}}});
    let with_another =
        json!({"metadata": {"labels": {key("cpu-model"): "saved", key("kernel.failed"): null}}});
    let of_others = json!({"metadata": {"labels": {"example.com/check.failed": null}}});
    let rows = [
        ("giving up", POD, "n1", giving_up, Expected::Done(gave_up)),
        (
            "giving up a moment after a write",
            POD_BUSY,
            "busy",
            label(&key("kernel.failed"), &saved("kernel")),
            refused(TOO_SOON),
        ),
        ("what is done after it was given up", POD_GIVEN_UP, "given-up", done, Expected::Done(is_done)),
        (
            "a failed label away, so that the run comes again",
            POD_GIVEN_UP,
            "given-up",
            away,
            refused(LABELS_KEPT),
        ),
        ("the same beside another done label", POD_GIVEN_UP, "given-up", with_another, refused(LABELS_KEPT)),
        ("a label of others away that ends as ours", POD, "n1", of_others, refused(LABELS_KEPT)),
    ];
    let cases = rows.into_iter().flat_map(|(what, who, node, change, expected)| {
        in_types(&PatchType::PATCHES, who, (what, node, &change), expected)
    });
    cases.collect()
}

/// What somebody has applied, the server protects from those who apply without force.
fn of_those_who_apply() -> Vec<Case> {
    let refused = |says| Expected::Refused(422, says);
    let taint = json!([{"key": "example.com/mine", "value": "yes", "effect": "NoExecute"}]);
    let mut cases = Vec::new();
    let rows = [
        ("the value of a label", label("example.com/pool", "lead"), LABELS),
        ("the value of an annotation", annotation("example.com/owner", "me"), ANNOTATIONS),
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
        ("a label away", "n1", POD, json!({"metadata": {"labels": {"example.com/pool": null}}}), LABELS_KEPT),
        (
            "a label away that nobody applied",
            "n1",
            POD,
            json!({"metadata": {"labels": {"kubernetes.io/hostname": null}}}),
            LABELS_KEPT,
        ),
        (
            "a done label away, so that the run comes again",
            "n1",
            POD,
            json!({"metadata": {"labels": {key("kernel"): null}}}),
            LABELS_KEPT,
        ),
        (
            "an annotation away that somebody else left under our prefix",
            "n1",
            POD,
            json!({"metadata": {"annotations": {key("left-by-others"): null}}}),
            ANNOTATIONS_KEPT,
        ),
        ("all labels away", "n1", POD, json!({"metadata": {"labels": null}}), LABELS_KEPT),
        (
            "an annotation away",
            "n1",
            POD,
            json!({"metadata": {"annotations": {"example.com/owner": null}}}),
            ANNOTATIONS_KEPT,
        ),
        (
            "an annotation away that nobody applied",
            "n1",
            POD,
            json!({"metadata": {"annotations": {"node.alpha.kubernetes.io/ttl": null}}}),
            ANNOTATIONS_KEPT,
        ),
        ("all annotations away", "n1", POD, json!({"metadata": {"annotations": null}}), ANNOTATIONS_KEPT),
        ("all finalizers away", "n1", POD, json!({"metadata": {"finalizers": null}}), OWNERSHIP),
        ("all owners away", "n1", POD, json!({"metadata": {"ownerReferences": null}}), OWNERSHIP),
        ("all taints away", "n1", POD, json!({"spec": {"taints": null}}), SPEC),
        ("the whole spec away", "n1", POD, json!({"spec": null}), SPEC),
        (
            "the label that opts out away",
            "opted-out",
            POD_OPTED_OUT,
            json!({"metadata": {"labels": {key("opt-out"): null}}}),
            LABELS_KEPT,
        ),
        ("another reason to opt out", "opted-out", POD_OPTED_OUT, label(&key("opt-out"), "no"), LABELS),
    ];
    let cases = rows.into_iter().flat_map(|(what, node, who, change, says)| {
        in_types(&PatchType::PATCHES, who, (what, node, &change), Expected::Refused(422, says))
    });
    let less = json!({"metadata": {"annotations": {key("kernel.build"): null}}});
    let other = json!({"metadata": {"annotations": {key("kernel.build"): null, key("kernel"): "another"}}});
    let alone = in_types(
        &PatchType::PATCHES,
        POD,
        ("a fact of ours away, of which no time is noted", "n1", &less),
        Expected::Refused(422, TOO_SOON),
    );
    cases
        .chain(alone)
        .chain(in_types(
            &PatchType::PATCHES,
            POD,
            ("a fact of ours away, and another one changed", "n1", &other),
            Expected::Done(|_, after| after["metadata"]["annotations"][key("kernel.build")].is_null()),
        ))
        .collect()
}
