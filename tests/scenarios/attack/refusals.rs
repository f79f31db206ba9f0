//! What the API server says to those who are refused.

pub(super) const UPDATE: &str =
    "only updates of the Node itself are allowed: no create, no delete, no subresource";
pub(super) const OWN_NODE: &str =
    "only the Node that the pod runs on may be changed, with a token that is bound to the pod";
pub(super) const SPEC: &str = "the Node's spec may not be changed: no taint, no cordon";
pub(super) const OWNERSHIP: &str = "the Node's finalizers, owners and generated name may not be changed";
pub(super) const FOREIGN_LABEL: &str = "only labels under `k8s.haim.dev/` may be changed";
pub(super) const FOREIGN_ANNOTATION: &str = "only annotations under `k8s.haim.dev/` may be changed";
pub(super) const OPT_OUT: &str = "the label `k8s.haim.dev/opt-out` is the operator's alone";
pub(super) const VALUE_SIZE: &str = "no annotation under `k8s.haim.dev/` may have more than 4096 bytes";
pub(super) const TOTAL_SIZE: &str =
    "the annotations under `k8s.haim.dev/` together may not have more than 131072 bytes";
pub(super) const ANNOTATION_COUNT: &str = "no more than 512 annotations under `k8s.haim.dev/` are allowed";
pub(super) const LABEL_COUNT: &str = "no more than 128 labels under `k8s.haim.dev/` are allowed";
pub(super) const APPLIED_FIELDS: &str = "fields that others applied may not be taken from them";
pub(super) const MANAGER_COUNT: &str = "no field manager may be added to a Node that has 64";
pub(super) const CLAIM_SIZE: &str =
    "the lists of managed fields together may not have more than 131072 bytes";
pub(super) const CLAIM_DEPTH: &str = "no deeper lists of managed fields may be added";

/// What the API server says before any admission.
pub(super) const CONFLICT: &str = "conflict with \"inventory\"";
