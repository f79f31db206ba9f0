//! Where the API server is, how to talk to it, and what goes wrong on the way.

mod answers;
mod authority;
mod causes;
mod client;
mod credentials;
mod error;
mod kubeconfig;
mod preconnected;
mod proxy;
mod refusal;
mod service_account;
mod tls;
mod token_file;

use std::env;
use std::path::Path;

pub use client::{
    client, client_off_thread, connecting_client, has_credential_plugin, listing_client_off_thread, over,
    plugin,
};
pub use error::{ADMINISTRATOR, ClusterError, Reason, WEBHOOK_FAILED};
use http::HeaderValue;
use http::header::USER_AGENT;
use kube::Config;

/// Finds the cluster: the given kubeconfig, else the pod's service account, else the user's own kubeconfig.
/// Requests to it will name the user agent.
///
/// # Errors
/// Names the place that was looked at and what is wrong there.
pub async fn configuration(kubeconfig: Option<&Path>, user_agent: &str) -> Result<Config, ClusterError> {
    configuration_of(kubeconfig, None, user_agent).await
}

/// The same with a context of the kubeconfig by its name; a service account has none.
///
/// # Errors
/// Names the place that was looked at and what is wrong there.
pub async fn configuration_of(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    user_agent: &str,
) -> Result<Config, ClusterError> {
    let mut config = found(kubeconfig, context).await?;
    let agent = HeaderValue::from_str(user_agent).expect("name and version of an app are visible ASCII");
    config.headers.push((USER_AGENT, agent));
    Ok(config)
}

async fn found(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config, ClusterError> {
    let listed = env::var_os("KUBECONFIG").filter(|listed| !listed.is_empty());
    if kubeconfig.is_none() && listed.is_none() && context.is_none() {
        let folder = Path::new(service_account::FOLDER);
        if let Some(found) = service_account::find(folder, |name| env::var(name).ok()) {
            return found;
        }
    }
    let read = match kubeconfig {
        Some(path) => kubeconfig::read_from(path),
        None => kubeconfig::read(listed),
    };
    kubeconfig::configuration(read, context).await
}
