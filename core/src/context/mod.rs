//! What a collector may reach of the world, each part replaceable: the host's files, the environment, HTTP,
//! DNS.

mod environment;
mod host;
mod http;
mod resolver;
mod unconnected;
mod undeclared;

use std::sync::Arc;

pub use environment::Environment;
pub use host::{Access, BootId, HostError, HostErrorKind, HostRoot, HostText, Uname};
pub use http::{HttpBudget, HttpClient, HttpError, HttpMethod, HttpRequest, HttpResponse};
pub use resolver::{ResolveError, Resolver};
pub use unconnected::Unconnected;

use self::undeclared::{Undeclared, UndeclaredNetwork};
use crate::{Collector, Need};

/// Everything a collector gets. A collector opens no path, socket or environment variable by itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Context {
    /// The host's /proc, /sys and declared files.
    pub host: HostRoot,
    /// The environment variables.
    pub environment: Environment,
    /// HTTP without proxy and redirects.
    pub http: Arc<dyn HttpClient>,
    /// DNS.
    pub resolver: Arc<dyn Resolver>,
    undeclared: Undeclared,
}

impl Context {
    /// A context without a variable, whose network answers every request with "there is no network".
    pub fn offline(host: HostRoot) -> Self {
        let network = Arc::new(Unconnected("there is no network"));
        Self {
            host,
            environment: Environment::default(),
            http: network.clone(),
            resolver: network,
            undeclared: Undeclared::default(),
        }
    }

    /// The same with these variables.
    #[must_use]
    pub fn with_environment(self, environment: Environment) -> Self {
        Self { environment, ..self }
    }

    /// The same with this client for metadata services.
    #[must_use]
    pub fn with_http(self, http: Arc<dyn HttpClient>) -> Self {
        Self { http, ..self }
    }

    /// The same with this resolver.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, ..self }
    }

    /// The same world, looked at anew: what was read of the host is forgotten.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self { host: self.host.afresh(), ..self.clone() }
    }

    /// What one collector is handed: the paths, variables and networks that it declares.
    #[must_use]
    pub fn restricted_to(&self, collector: &Collector) -> Self {
        let none = || Arc::new(UndeclaredNetwork(self.undeclared.clone()));
        Self {
            host: self.host.restricted_to(collector.needs),
            environment: self.environment.restricted_to(collector.variables, &self.undeclared),
            http: if collector.needs.contains(&Need::MetadataService) {
                Arc::clone(&self.http)
            } else {
                none()
            },
            resolver: if collector.needs.contains(&Need::Dns) { Arc::clone(&self.resolver) } else { none() },
            undeclared: self.undeclared.clone(),
        }
    }

    /// What collectors asked for and do not declare, whether they made anything of the refusal or not: for
    /// tests.
    pub fn undeclared(&self) -> Vec<String> {
        let paths = self.host.undeclared().into_iter().map(|path| format!("the host path `{path}`"));
        self.undeclared.all().into_iter().chain(paths).collect()
    }
}
