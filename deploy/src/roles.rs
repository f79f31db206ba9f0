//! The rights that the commands of an operator need: a ClusterRole for those that read, and one for those that
//! write. Who has them is not ours to say.

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};

use crate::installation::EXPIRED;
use crate::{File, Installation, Manifests, Object, labels};

/// The component of the roles.
const OPERATOR: &str = "operator";

/// The ClusterRole of the commands that read.
pub const READ: &str = "node-annotator.read";

/// The ClusterRole of the commands that write.
pub const WRITE: &str = "node-annotator.write";

/// Both, as files.
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
