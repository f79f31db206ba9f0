//! What `helm test` runs: the part of `doctor` that reads, with an account that lives as long as the test.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use node_annotator_core::PrivilegeClass;
use serde_json::{Value, json};

use crate::installation::PRODUCT;
use crate::pod_metadata::pod_metadata;
use crate::{Installation, Settings, labels, placement, pod, roles, token};

/// The component of what checks, and the end of its names.
const CHECK: &str = "check";

/// The name of the account.
pub(super) fn account(installation: &Installation) -> String {
    format!("{}-{CHECK}", installation.service_account())
}

/// Account, role, binding and pod.
pub(super) fn objects(settings: &Settings) -> Value {
    let installation = &settings.installation;
    let namespace = installation.namespace(PrivilegeClass::Restricted);
    let account = account(installation);
    let of_cluster =
        || labels::metadata(installation, CHECK, format!("{}.{CHECK}", installation.cluster_object()));
    let of_namespace = || ObjectMeta {
        namespace: Some(namespace.clone()),
        ..labels::metadata(installation, CHECK, account.clone())
    };
    let role = ClusterRole { metadata: of_cluster(), ..roles::checking() };
    let binding = ClusterRoleBinding {
        metadata: of_cluster(),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: format!("{}.{CHECK}", installation.cluster_object()),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: account.clone(),
            namespace: Some(namespace.clone()),
            api_group: None,
        }]),
    };
    let service_account = ServiceAccount {
        metadata: of_namespace(),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    };
    let pod_labels = labels::recommended(installation, CHECK);
    let pod = Pod {
        metadata: ObjectMeta {
            name: Some(account.clone()),
            namespace: Some(namespace.clone()),
            ..pod_metadata(settings, pod_labels)
        },
        spec: Some(PodSpec { service_account_name: Some(account), ..pod_spec(settings) }),
        status: None,
    };
    json!([service_account, role, binding, pod])
}

fn pod_spec(settings: &Settings) -> PodSpec {
    let args = ["doctor", "--no-impersonation"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("--namespace={}", settings.installation), format!("--prefix={}", settings.prefix)]);
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        node_selector: Some(placement::node_selector_of_image(settings)),
        volumes: Some(vec![token::volume()]),
        containers: vec![Container {
            name: PRODUCT.to_owned(),
            args: Some(args.collect()),
            volume_mounts: Some(vec![token::mount()]),
            ..pod::container(settings)
        }],
        ..pod::pod(settings)
    }
}
