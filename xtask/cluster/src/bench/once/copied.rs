//! The pattern that people copy.

use serde_json::{Value, json};

/// Where it says that a node is done.
pub(super) const LABEL: &str = "example.com/setup";

/// What is found in many places: the work in an init container, which says by a label that it is done, and a
/// container that keeps the pod from ending.
pub(super) fn manifests(namespace: &str, script: &str, kubectl: &str) -> Vec<Value> {
    // As in a pod, where nothing that kubectl has cached is left of an earlier one.
    let done = format!(
        "export HOME=$(mktemp -d); {script} && {kubectl} label --overwrite node \"$NODE\" {LABEL}=done"
    );
    let metadata = json!({"name": "setup", "namespace": namespace});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": namespace}});
    let with = |mut object: Value, more: Value| {
        let more = more.as_object().cloned().unwrap_or_default();
        object.as_object_mut().expect("it is an object").extend(more);
        object
    };
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        with(
            role.clone(),
            json!({"kind": "ClusterRole", "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "patch"]}]}),
        ),
        with(
            role,
            json!({
                "kind": "ClusterRoleBinding",
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace},
                "subjects": [{"kind": "ServiceAccount", "name": "setup", "namespace": namespace}],
            }),
        ),
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": {
            "selector": {"matchLabels": {"app": namespace}},
            "template": {"metadata": {"labels": {"app": namespace}}, "spec": {
                "serviceAccountName": "setup",
                "initContainers": [{
                    "name": "setup", "image": "setup", "command": ["sh", "-c", done],
                    "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
                }],
                "containers": [{"name": "pause", "image": "pause", "command": ["sleep", "1000000"]}],
            }},
        }}),
    ]
}
