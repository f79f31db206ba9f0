//! The same request from others: who it is decides, and not what is tried.

use serde_json::Value;

use super::attempt::{Case, Expected, PatchType, in_types};
use super::changes::{has_own, label, own};
use super::refusals::{LABELS, OWN_NODE};
use super::stage::{
    BOUND_TO_NODE, IMPERSONATOR, LOOK_ALIKE, NO_RIGHTS, POD_BEFORE_NODE, POD_ELSEWHERE, POD_OF_OLD_NODE,
    PRIVILEGED_POD, SIBLING, SIBLING_UNBOUND, STRANGER, UNBOUND,
};

pub(super) fn cases() -> Vec<Case> {
    let (own, foreign) = (own(), label("example.com/mine", "x"));
    let refused = |says| Expected::Refused(422, says);
    let is_foreign = |_: &Value, after: &Value| after["metadata"]["labels"]["example.com/mine"] == "x";
    let rows = [
        (POD_ELSEWHERE, "keys of ours on its own node", "n2", &own, Expected::Done(has_own)),
        (POD_ELSEWHERE, "keys of ours on n1", "n1", &own, refused(OWN_NODE)),
        (POD_OF_OLD_NODE, "keys of ours on the new node", "replaced", &own, refused(OWN_NODE)),
        (POD_BEFORE_NODE, "keys of ours on a node that came later", "late", &own, refused(OWN_NODE)),
        (BOUND_TO_NODE, "keys of ours on that node", "n1", &own, refused(OWN_NODE)),
        (IMPERSONATOR, "keys of ours on n1", "n1", &own, refused(OWN_NODE)),
        (IMPERSONATOR, "a new label", "n1", &foreign, refused(OWN_NODE)),
        (UNBOUND, "keys of ours on n1", "n1", &own, refused(OWN_NODE)),
        (PRIVILEGED_POD, "keys of ours on its own node", "n1", &own, Expected::Done(has_own)),
        (PRIVILEGED_POD, "keys of ours on another node", "n2", &own, refused(OWN_NODE)),
        (PRIVILEGED_POD, "a new label", "n1", &foreign, refused(LABELS)),
        (SIBLING, "keys of ours on its own node", "n1", &own, Expected::Done(has_own)),
        (SIBLING, "keys of ours on another node", "n2", &own, refused(OWN_NODE)),
        (SIBLING, "a new label", "n1", &foreign, refused(LABELS)),
        (SIBLING_UNBOUND, "keys of ours on n1", "n1", &own, refused(OWN_NODE)),
        (
            NO_RIGHTS,
            "keys of ours on its own node",
            "n1",
            &own,
            Expected::Refused(403, "cannot patch resource \"nodes\""),
        ),
        (STRANGER, "a new label", "n1", &foreign, Expected::Done(is_foreign)),
        (STRANGER, "a new label on another node", "n2", &foreign, Expected::Done(is_foreign)),
        (LOOK_ALIKE, "a new label", "n1", &foreign, Expected::Done(is_foreign)),
    ];
    let mut cases = Vec::new();
    for (who, what, node, change, expected) in rows {
        cases.extend(in_types(&PatchType::PATCHES, who, (what, node, change), expected));
    }
    cases
}
