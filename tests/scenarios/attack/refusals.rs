//! What the API server says to those who are refused.

pub(super) const UPDATE: &str =
    "only updates of the Node itself are allowed: no create, no delete, no subresource";
pub(super) const OWN_NODE: &str =
    "only the Node that the pod runs on may be changed, with a token that is bound to the pod";
pub(super) const SPEC: &str = "the Node's spec may not be changed: no taint, no cordon";
pub(super) const OWNERSHIP: &str = "the Node's finalizers, owners and generated name may not be changed";
pub(super) const LABELS: &str =
    "of labels only `k8s.haim.dev/<collector>` and `k8s.haim.dev/<collector>.failed` may be set";
pub(super) const LABELS_KEPT: &str =
    "no label may be removed but `k8s.haim.dev/<collector>.failed` where the collector is done";
pub(super) const ANNOTATIONS: &str =
    "of annotations only facts and errors of the installed collectors under `k8s.haim.dev/` may be set";
pub(super) const ANNOTATIONS_KEPT: &str =
    "only annotations of the installed collectors under `k8s.haim.dev/` may be removed";
pub(super) const MANAGED_FIELDS: &str =
    "managed fields change with the fields that they tell of, and not alone";
pub(super) const CLAIMS: &str = "in managed fields only `node-annotator` may claim more than before";
pub(super) const CLAIMS_KEPT: &str = "managed fields of others may not be taken from them";

pub(super) const TOO_SOON: &str = node_annotator_deploy::policy::TOO_SOON;

/// What the API server says before any admission.
pub(super) const CONFLICT: &str = "conflict with \"inventory\"";
pub(super) const CONFLICT_WITH_RUN: &str = "conflict with \"node-annotator\"";
