//! What all DaemonSets share: namespaces, accounts, the one right they have, and how the rest of the cluster
//! is kept away.

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicySpec};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use node_annotator_core::PrivilegeClass;

use crate::Installation;
use crate::installation::PRODUCT;
use crate::labels::base_metadata;

/// The version whose Pod Security rules count: a newer server must not refuse what this version's tests saw
/// admitted.
const POD_SECURITY_VERSION: &str = "v1.35";

/// Keep the node selector of a cluster or of a plugin out of our pods: the DaemonSet controller, which picks
/// the nodes, does not know of it, and pods on nodes that it excludes would stay pending for ever.
const ANY_NODE: [&str; 2] = ["openshift.io/node-selector", "scheduler.alpha.kubernetes.io/node-selector"];

/// The name of what keeps connections away.
pub(crate) const DENY_INGRESS: &str = "deny-ingress";

/// Below the cut-off (-10) under which autoscalers neither add nor keep a node for a pod.
const PRIORITY: i32 = -100;

/// The namespace of a privilege class, with the Pod Security labels that keep other pods out.
pub fn namespace(installation: &Installation, class: PrivilegeClass) -> Namespace {
    with_pod_security(base_metadata(installation, installation.namespace(class)), class)
}

/// A namespace that admits what a privilege class needs, and no other pod.
pub(crate) fn with_pod_security(mut metadata: ObjectMeta, class: PrivilegeClass) -> Namespace {
    let labels = metadata.labels.get_or_insert_default();
    for mode in ["enforce", "audit", "warn"] {
        let key = format!("pod-security.kubernetes.io/{mode}");
        labels.insert(format!("{key}-version"), POD_SECURITY_VERSION.to_owned());
        labels.insert(key, class.as_str().to_owned());
    }
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.extend(ANY_NODE.map(|key| (key.to_owned(), String::new())));
    Namespace { metadata, spec: None, status: None }
}

/// Hands out no token by itself: the pods of our DaemonSets mount one, and nothing else gets one.
pub(crate) fn service_account(installation: &Installation, class: PrivilegeClass) -> ServiceAccount {
    ServiceAccount {
        metadata: namespaced(installation, installation.service_account(), class),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// The one right that a run uses.
pub(crate) fn cluster_role(installation: &Installation) -> ClusterRole {
    ClusterRole {
        metadata: base_metadata(installation, installation.cluster_object()),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["nodes".to_owned()]),
            verbs: vec!["patch".to_owned()],
            ..PolicyRule::default()
        }]),
        aggregation_rule: None,
    }
}

pub(crate) fn cluster_role_binding(
    installation: &Installation,
    classes: &[PrivilegeClass],
) -> ClusterRoleBinding {
    let subject = |class: &PrivilegeClass| Subject {
        kind: "ServiceAccount".to_owned(),
        name: installation.service_account().to_owned(),
        namespace: Some(installation.namespace(*class)),
        api_group: None,
    };
    ClusterRoleBinding {
        metadata: base_metadata(installation, installation.cluster_object()),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: installation.cluster_object(),
        },
        subjects: Some(classes.iter().map(subject).collect()),
    }
}

/// No pod of ours listens. What they connect to cannot be said here: the API server's address is the
/// cluster's own.
pub(crate) fn network_policy(installation: &Installation, class: PrivilegeClass) -> NetworkPolicy {
    deny_ingress(namespaced(installation, DENY_INGRESS, class))
}

/// For all pods of a namespace.
pub(crate) fn deny_ingress(metadata: ObjectMeta) -> NetworkPolicy {
    NetworkPolicy {
        metadata,
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector::default()),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ..NetworkPolicySpec::default()
        }),
    }
}

/// On a full node a run waits until there is room, and pushes nobody out.
pub(crate) fn priority_class(installation: &Installation) -> PriorityClass {
    PriorityClass {
        metadata: base_metadata(installation, installation.cluster_object()),
        description: Some(format!("pods of {PRODUCT}: short runs that wait until there is room")),
        preemption_policy: Some("Never".to_owned()),
        value: PRIORITY,
        global_default: None,
    }
}

fn namespaced(installation: &Installation, name: &str, class: PrivilegeClass) -> ObjectMeta {
    ObjectMeta { namespace: Some(installation.namespace(class)), ..base_metadata(installation, name) }
}
