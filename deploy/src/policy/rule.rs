//! A rule of a policy, and what expressions of several are made of.

use node_annotator_core::Prefix;

/// One thing that every write must satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// A short name, for tests that leave it out.
    pub id: &'static str,
    /// What must hold, in CEL.
    pub expression: String,
    /// What the one who is refused is told, on one line.
    pub message: String,
}

/// The beginning of what those are told who change the spec.
pub(super) const SPEC_IS_KEPT: &str = "the Node's spec may not be changed: no taint, no cordon";

/// A rule that is the same for all accounts.
pub(super) struct Shared {
    id: &'static str,
    expression: &'static str,
    message: &'static str,
}

impl Shared {
    pub(super) fn rule(&self) -> Rule {
        let Self { id, expression, message } = self;
        Rule { id, expression: (*expression).to_owned(), message: (*message).to_owned() }
    }
}

pub(super) const UPDATE: Shared = Shared {
    id: "update",
    expression: "request.operation == 'UPDATE' && (!has(request.subResource) || request.subResource == '')",
    message: "only updates of the Node itself are allowed: no create, no delete, no subresource",
};

pub(super) const OWNERSHIP: Shared = Shared {
    id: "ownership",
    expression: "object.metadata.?finalizers.orValue([]) == oldObject.metadata.?finalizers.orValue([])\n\
                 && object.metadata.?ownerReferences.orValue([]) == oldObject.metadata.?ownerReferences.orValue([])\n\
                 && object.metadata.?generateName == oldObject.metadata.?generateName",
    message: "the Node's finalizers, owners and generated name may not be changed",
};

/// What the key of a failed label has behind that of the done label.
pub(super) fn failed_end(prefix: &Prefix) -> String {
    prefix.failed("x").replace(&prefix.done("x"), "")
}

/// The labels and annotations of a Node before and after a write, and what it sets and removes.
pub(super) fn change() -> [(&'static str, String); 8] {
    [
        ("oldLabels", map("oldObject", "labels")),
        new_labels(),
        ("setLabels", set("newLabels", "oldLabels")),
        ("removedLabels", removed("oldLabels", "newLabels")),
        ("oldAnnotations", map("oldObject", "annotations")),
        ("newAnnotations", map("object", "annotations")),
        ("setAnnotations", set("newAnnotations", "oldAnnotations")),
        ("removedAnnotations", removed("oldAnnotations", "newAnnotations")),
    ]
}

/// The labels that the Node has after the write.
pub(super) fn new_labels() -> (&'static str, String) {
    ("newLabels", map("object", "labels"))
}

/// What a write has put into a map, or changed there.
fn set(new: &str, old: &str) -> String {
    format!("variables.{new}.filter(k, !(k in variables.{old}) || variables.{old}[k] != variables.{new}[k])")
}

/// What a write has taken out of a map.
fn removed(old: &str, new: &str) -> String {
    format!("variables.{old}.filter(k, !(k in variables.{new}))")
}

pub(super) fn map(object: &str, field: &str) -> String {
    format!("{object}.metadata.?{field}.orValue({{}})")
}

/// What a token that is bound to a pod says. Values of `extra` are lists, and their keys contain a slash.
pub(super) fn claim(name: &str) -> String {
    format!("request.userInfo.?extra[?'authentication.kubernetes.io/{name}'][?0].orValue('')")
}
