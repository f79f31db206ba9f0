//! What is not a patch of a Node: the rights that the manifests grant do not reach that far.

use serde_json::{Value, json};

use super::attempt::{Attempt, Case, Expected, PatchType, in_types};
use super::changes::own;
use super::stage::POD;
use crate::support::key;

pub(super) fn cases() -> Vec<Case> {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": {key("forged"): "x"}}});
    let new = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine"}});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mine"},
        "spec": {"nodeName": "n2", "containers": [{"name": "mine", "image": "none"}]},
    });
    let token = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let status = json!({"status": {"capacity": {"cpu": "1000"}}});
    let finalizers = json!({"metadata": {"finalizers": []}});
    let ours = "/api/v1/namespaces/node-annotator";
    let (pods, tokens) = (format!("{ours}/pods"), format!("{ours}/serviceaccounts/node-annotator/token"));
    let admission = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic";
    let policy = format!("{admission}ies/node-annotator");
    let binding = format!("{admission}ybindings/node-annotator");
    let nothing = Value::Null;
    let rows = [
        ("reading its own node", "GET", "/api/v1/nodes/n1", &nothing, "cannot get resource \"nodes\""),
        ("listing nodes", "GET", "/api/v1/nodes", &nothing, "cannot list resource \"nodes\""),
        ("watching nodes", "GET", "/api/v1/nodes?watch=true", &nothing, "cannot watch resource \"nodes\""),
        ("replacing its own node", "PUT", "/api/v1/nodes/n1", &node, "cannot update resource \"nodes\""),
        ("creating a node", "POST", "/api/v1/nodes", &new, "cannot create resource \"nodes\""),
        ("deleting its own node", "DELETE", "/api/v1/nodes/n1", &nothing, "cannot delete resource \"nodes\""),
        (
            "deleting all nodes",
            "DELETE",
            "/api/v1/nodes",
            &nothing,
            "cannot deletecollection resource \"nodes\"",
        ),
        (
            "replacing the status",
            "PUT",
            "/api/v1/nodes/n1/status",
            &node,
            "cannot update resource \"nodes/status\"",
        ),
        (
            "the kubelet's own API",
            "GET",
            "/api/v1/nodes/n1/proxy/pods",
            &nothing,
            "cannot get resource \"nodes/proxy\"",
        ),
        (
            "a command by it",
            "POST",
            "/api/v1/nodes/n1/proxy/run/x/y/z",
            &nothing,
            "cannot create resource \"nodes/proxy\"",
        ),
        ("a pod on another node", "POST", &pods, &pod, "cannot create resource \"pods\""),
        ("another token", "POST", &tokens, &token, "cannot create resource \"serviceaccounts/token\""),
        ("reading secrets", "GET", "/api/v1/secrets", &nothing, "cannot list resource \"secrets\""),
        ("deleting the policy", "DELETE", &policy, &nothing, "cannot delete resource"),
        ("deleting the policy's binding", "DELETE", &binding, &nothing, "cannot delete resource"),
    ];
    let patches = [
        ("creating a node by apply", "mine", &json!({}), "cannot create resource \"nodes\""),
        ("a status", "n1/status", &status, "cannot patch resource \"nodes/status\""),
        ("finalizers apart", "n1/finalizers", &finalizers, "cannot patch resource \"nodes/finalizers\""),
    ];
    let requests =
        rows.map(|(what, method, path, body, says)| (what, Attempt::new(method, path, body.clone()), says));
    let patches = patches
        .map(|(what, path, change, says)| (what, Attempt::patch(PatchType::ForcedApply, path, change), says));
    let case = |(what, attempt, says): (&str, _, _)| Case {
        who: POD,
        what: what.to_owned(),
        attempt,
        expected: Expected::Refused(403, says),
    };
    let mut cases: Vec<_> = requests.into_iter().chain(patches).map(case).collect();
    cases.extend(in_types(
        &PatchType::PATCHES,
        POD,
        ("a node that does not exist", "mine", &own()),
        Expected::Refused(404, "nodes \"mine\" not found"),
    ));
    cases
}
