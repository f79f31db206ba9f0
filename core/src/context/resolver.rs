//! The seam to DNS. The resolver itself lives with the binary.

use std::error::Error;
use std::fmt::Debug;
use std::net::IpAddr;

use crate::BoxFuture;

/// Asks the resolver that the node or the pod is configured with.
///
/// "No such name" and "no such record" are answers, and empty.
pub trait Resolver: Debug + Send + Sync {
    /// The addresses of an absolute name.
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>>;

    /// The names that an address points back to (PTR), without the final dot.
    fn names(&self, address: IpAddr) -> BoxFuture<'_, Result<Vec<String>, ResolveError>>;
}

/// Why DNS gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// No resolver is configured, its configuration cannot be read, or this binary was built without one.
    #[error("no resolver")]
    Unconfigured(#[source] Box<dyn Error + Send + Sync>),
    /// The resolver did not answer, or answered with a failure of its own.
    #[error("cannot resolve `{query}`")]
    Failed {
        /// The name or address that was asked for.
        query: String,
        /// What the resolver said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ResolveError {
    /// Whether another try may succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}
