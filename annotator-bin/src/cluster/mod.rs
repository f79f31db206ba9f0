//! Where the API server is and how to talk to it.

mod client;
mod early;
mod kubeconfig;

use std::env;
use std::path::Path;

pub use client::{client, connected_client};
use kube::Config;
use kube::config::{InClusterError, KubeConfigOptions, KubeconfigError};

/// Who we are in the API server's audit log.
pub const AGENT: &str = concat!("node-annotator/", env!("CARGO_PKG_VERSION"));

/// Finds the cluster: the given kubeconfig, else the pod's service account, else the user's own kubeconfig.
///
/// # Errors
/// Names the place that was looked at and what is wrong there.
pub async fn configuration(kubeconfig: Option<&Path>) -> Result<Config, ClusterError> {
    let in_pod = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    if kubeconfig.is_none() && in_pod && env::var_os("KUBECONFIG").is_none() {
        return Config::incluster().map_err(ClusterError::ServiceAccount);
    }
    let kubeconfig = kubeconfig.map_or_else(kubeconfig::read, kubeconfig::read_from);
    let kubeconfig = kubeconfig.map_err(ClusterError::Kubeconfig)?;
    let options = KubeConfigOptions::default();
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(ClusterError::Kubeconfig)
}

/// Why no cluster was found.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// We run in a pod, and its service account is not usable.
    #[error("the pod's service account is not usable")]
    ServiceAccount(#[source] InClusterError),
    /// There is no usable kubeconfig.
    #[error("no usable kubeconfig")]
    Kubeconfig(#[source] KubeconfigError),
}

impl ClusterError {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::ServiceAccount(_) => "does the pod set `automountServiceAccountToken: false`?",
            Self::Kubeconfig(_) => {
                "in a pod nothing is needed; elsewhere set KUBECONFIG or --kubeconfig, or see the facts with --dry-run"
            }
        }
    }
}
