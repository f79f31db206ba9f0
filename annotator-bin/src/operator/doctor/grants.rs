//! What RBAC grants in the whole cluster.

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::Client;

use crate::operator::lists::list;
use crate::trouble::Trouble;

/// The grants that hold in all namespaces, in the shape of those that hold in one.
pub(super) struct ClusterGrants {
    pub(super) roles: Vec<Role>,
    pub(super) bindings: Vec<RoleBinding>,
}

impl ClusterGrants {
    pub(super) async fn read(client: &Client) -> Result<Self, Trouble> {
        let roles = list(client, None).await?.into_iter();
        let bindings = list(client, None).await?.into_iter();
        Ok(Self {
            roles: roles.map(|ClusterRole { metadata, rules, .. }| Role { metadata, rules }).collect(),
            bindings: bindings
                .map(|ClusterRoleBinding { metadata, role_ref, subjects }| RoleBinding {
                    metadata,
                    role_ref,
                    subjects,
                })
                .collect(),
        })
    }
}
