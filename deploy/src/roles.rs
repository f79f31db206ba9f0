//! The rights that the commands of an operator need: a ClusterRole for those that read, one for those that
//! write, and one that checks. Who has them is not ours to say.

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};

use crate::installation::EXPIRED;
use crate::{File, Installation, Manifests, Object, labels};

/// The component of the roles.
const OPERATOR: &str = "operator";

/// The ClusterRole of the commands that read.
pub const READ: &str = "node-annotator.read";

/// The ClusterRole of the commands that write.
pub const WRITE: &str = "node-annotator.write";

/// The ClusterRole of `doctor --no-impersonation`.
pub const CHECK: &str = "node-annotator.check";

/// All of them, as files.
pub fn manifests(version: &str, command: &str) -> Manifests {
    let file = |name: &str, about: &str, role: ClusterRole| {
        let mut object = Object::from(role);
        object.label_version(version);
        File { name: name.to_owned(), about: about.to_owned(), objects: vec![object] }
    };
    Manifests::of_files(
        command,
        vec![
            file(
                "reading.yaml",
                "What commands need that read: `status`, `wait`, `get`, `diff`, `drift`, `check`, `report`.",
                reading(),
            ),
            file(
                "checking.yaml",
                "What `doctor --no-impersonation` needs; the whole of `doctor` takes an administrator.",
                checking(),
            ),
            file("writing.yaml", "What commands need that write: `rerun`, `expire`, `clean`.", writing()),
        ],
    )
}

/// Pods tell what is in the way of a run, and events why one could not be made; the policy names the startup
/// taint.
pub fn reading() -> ClusterRole {
    role(
        READ,
        vec![
            rule("", "nodes", &["list", "watch"], &[]),
            rule("apps", "daemonsets", &["list"], &[]),
            rule("", "pods", &["list"], &[]),
            rule("", "events", &["list"], &[]),
            rule(
                "admissionregistration.k8s.io",
                "validatingadmissionpolicies",
                &["get"],
                &[&Installation::default().cluster_object()],
            ),
        ],
    )
}

/// Pods tell where one has run and is still there: it would run nothing again.
pub fn writing() -> ClusterRole {
    role(
        WRITE,
        vec![
            rule("", "nodes", &["list", "patch", "watch"], &[]),
            rule("apps", "daemonsets", &["list"], &[]),
            rule("", "pods", &["list"], &[]),
            rule("", "configmaps", &["get", "patch"], &[EXPIRED]),
        ],
    )
}

/// It reads what is installed, all that is granted and all nodes, and asks what our accounts may do.
pub fn checking() -> ClusterRole {
    let admission =
        ["mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "validatingadmissionpolicybindings"];
    let grants = ["clusterrolebindings", "clusterroles", "rolebindings", "roles"];
    let queues = ["flowschemas", "prioritylevelconfigurations"];
    let group = "admissionregistration.k8s.io";
    let mut rules = vec![
        rule("", "namespaces", &["get"], &[]),
        rule("", "nodes", &["list"], &[]),
        rule("", "pods", &["list"], &[]),
        rule("", "events", &["list"], &[]),
        rule("", "serviceaccounts", &["list"], &[]),
        rule("apps", "daemonsets", &["list"], &[]),
        rule("batch", "cronjobs", &["get"], &[]),
        rule(group, "validatingadmissionpolicies", &["get", "list"], &[]),
        rule("authorization.k8s.io", "subjectaccessreviews", &["create"], &[]),
    ];
    rules.extend(admission.map(|resource| rule(group, resource, &["get"], &[])));
    rules.extend(grants.map(|resource| rule("rbac.authorization.k8s.io", resource, &["list"], &[])));
    rules.extend(queues.map(|resource| rule("flowcontrol.apiserver.k8s.io", resource, &["get"], &[])));
    role(CHECK, rules)
}

fn role(name: &str, rules: Vec<PolicyRule>) -> ClusterRole {
    ClusterRole {
        metadata: labels::metadata(&Installation::default(), OPERATOR, name),
        rules: Some(rules),
        aggregation_rule: None,
    }
}

/// A right on one kind of object, or on those of it that have a name.
pub(crate) fn rule(group: &str, resource: &str, verbs: &[&str], names: &[&str]) -> PolicyRule {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        resource_names: (!names.is_empty()).then(|| owned(names)),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}
