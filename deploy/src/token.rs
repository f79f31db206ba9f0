//! The token of a pod, and what else a client of the API server expects beside it.
//!
//! The volume that a pod gets by itself has a token that API servers extend to a year by default, for clients
//! that never read it again. A run takes seconds, so its token is valid for the shortest time that there is,
//! and the kubelet renews it in time.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath, ProjectedVolumeSource,
    ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};

use crate::pod::field_of_pod;

/// The API server refuses less.
const SECONDS: i64 = 600;

/// Where every client looks.
const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

const NAME: &str = "token";

pub(crate) fn volume() -> Volume {
    let token = VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            path: "token".to_owned(),
            expiration_seconds: Some(SECONDS),
            audience: None,
        }),
        ..VolumeProjection::default()
    };
    let authority = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            // Kubernetes keeps one in every namespace.
            name: "kube-root-ca.crt".to_owned(),
            items: Some(vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    let namespace = VolumeProjection {
        downward_api: Some(DownwardAPIProjection {
            items: Some(vec![DownwardAPIVolumeFile {
                path: "namespace".to_owned(),
                field_ref: Some(field_of_pod("metadata.namespace")),
                ..DownwardAPIVolumeFile::default()
            }]),
        }),
        ..VolumeProjection::default()
    };
    Volume {
        name: NAME.to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(vec![token, authority, namespace]),
            default_mode: None,
        }),
        ..Volume::default()
    }
}

pub(crate) fn mount() -> VolumeMount {
    VolumeMount {
        name: NAME.to_owned(),
        mount_path: FOLDER.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}
