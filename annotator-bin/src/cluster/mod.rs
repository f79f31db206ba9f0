//! Where the API server is, how to talk to it, and what goes wrong on the way.

mod causes;
mod client;
mod error;
mod kubeconfig;
mod preconnected;

use std::env;
use std::path::Path;

pub use client::{client, connecting_client};
pub use error::{ADMINISTRATOR, ClusterError, Reason};
use http::HeaderValue;
use http::header::USER_AGENT;
use kube::Config;
use kube::config::KubeConfigOptions;

/// Finds the cluster: the given kubeconfig, else the pod's service account, else the user's own kubeconfig.
/// Requests to it will name the user agent.
///
/// # Errors
/// Names the place that was looked at and what is wrong there.
pub async fn configuration(kubeconfig: Option<&Path>, user_agent: &str) -> Result<Config, ClusterError> {
    let mut config = found(kubeconfig).await?;
    let agent = HeaderValue::from_str(user_agent).expect("name and version of an app are visible ASCII");
    config.headers.push((USER_AGENT, agent));
    Ok(config)
}

async fn found(kubeconfig: Option<&Path>) -> Result<Config, ClusterError> {
    let in_pod = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    if kubeconfig.is_none() && in_pod && env::var_os("KUBECONFIG").is_none() {
        return Config::incluster()
            .map_err(|error| ClusterError::without_answer(Reason::ServiceAccount, &error));
    }
    let unusable = |error| ClusterError::without_answer(Reason::Kubeconfig, &error);
    let kubeconfig = kubeconfig.map_or_else(kubeconfig::read, kubeconfig::read_from).map_err(unusable)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(unusable)
}

/// Whether a program outside fetches the credentials. The client library waits for it on the calling thread.
pub fn has_credential_plugin(config: &Config) -> bool {
    config.auth_info.exec.is_some() || config.auth_info.auth_provider.is_some()
}
