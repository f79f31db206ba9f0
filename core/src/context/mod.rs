//! What a collector may reach of the world, each part replaceable: the host's files, the environment, HTTP, DNS, the time.

mod environment;
mod host;
mod http;
mod resolver;
mod unconnected;

use std::sync::Arc;
use std::time::SystemTime;

pub use environment::Environment;
pub use host::{HostError, HostRoot};
pub use http::{HttpClient, HttpError, HttpMethod, HttpRequest, HttpResponse};
pub use resolver::{ResolveError, Resolver};
pub use unconnected::Unconnected;

/// Everything a collector gets. A collector opens no path, socket or environment variable by itself.
#[derive(Debug)]
pub struct Context {
    /// The host's /proc, /sys and /etc.
    pub host: HostRoot,
    /// The environment variables.
    pub environment: Environment,
    /// HTTP without proxy and redirects.
    pub http: Arc<dyn HttpClient>,
    /// DNS.
    pub resolver: Arc<dyn Resolver>,
    /// When the run began.
    pub started_at: SystemTime,
}

impl Context {
    /// A context whose network answers every request with "not connected": for collectors that only read files.
    pub fn offline(host: HostRoot, environment: Environment) -> Self {
        let network = Arc::new(Unconnected("there is no network"));
        Self {
            host,
            environment,
            http: network.clone(),
            resolver: network,
            started_at: SystemTime::UNIX_EPOCH,
        }
    }
}
