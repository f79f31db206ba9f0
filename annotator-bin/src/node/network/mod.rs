//! The real network behind the collectors' context: HTTP and DNS.

mod http;
#[cfg(feature = "dns")]
mod resolver;

use std::sync::Arc;

pub use http::MetadataClient;
use node_annotator_core::context::Resolver;

/// The resolver that this machine is configured with. Its configuration is read when it is first asked.
#[cfg(feature = "dns")]
pub fn system_resolver() -> Arc<dyn Resolver> {
    Arc::new(resolver::SystemResolver::default())
}

/// This binary was built without a resolver: every question is answered with that.
#[cfg(not(feature = "dns"))]
pub fn system_resolver() -> Arc<dyn Resolver> {
    Arc::new(node_annotator_core::context::Unconnected("this binary was built without the feature `dns`"))
}
