//! Where the API server is and how to talk to it.

use std::path::Path;
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// Who we are in the API server's audit log.
pub const AGENT: &str = concat!("node-annotator/", env!("CARGO_PKG_VERSION"));

/// An API server that says nothing for this long is silent.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Finds the cluster: the given kubeconfig, else the pod's service account, else the user's own kubeconfig.
///
/// # Errors
/// Names the place that was looked at and what is wrong there.
pub async fn configuration(kubeconfig: Option<&Path>) -> Result<Config, ClusterError> {
    let options = KubeConfigOptions::default();
    if let Some(path) = kubeconfig {
        let kubeconfig = Kubeconfig::read_from(path).map_err(ClusterError::Kubeconfig)?;
        return Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(ClusterError::Kubeconfig);
    }
    let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    if in_pod && std::env::var_os("KUBECONFIG").is_none() {
        return Config::incluster().map_err(ClusterError::ServiceAccount);
    }
    Config::from_kubeconfig(&options).await.map_err(ClusterError::Kubeconfig)
}

/// A client that tries once, with bounds: who publishes decides what is worth another try.
pub fn client(mut config: Config) -> Result<Client, kube::Error> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.write_timeout = Some(READ_TIMEOUT);
    // The pause between two tries is no silence of the server.
    config.reset_reader_on_write = true;
    config.default_retry = false;
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    Client::try_from(config)
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
