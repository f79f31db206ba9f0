//! The network of a context that has none.

use std::net::IpAddr;

use super::{HttpClient, HttpError, HttpRequest, HttpResponse, ResolveError, Resolver};
use crate::BoxFuture;

/// Answers every request and question with the reason why there is no network.
#[derive(Debug, Clone, Copy)]
pub struct Unconnected(pub &'static str);

impl HttpClient for Unconnected {
    fn send(&self, _: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        Box::pin(async { Err(HttpError::Connect(self.0.into())) })
    }
}

impl Resolver for Unconnected {
    fn addresses<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        Box::pin(async { Err(ResolveError::Unconfigured(self.0.into())) })
    }

    fn names(&self, _: IpAddr) -> BoxFuture<'_, Result<Vec<String>, ResolveError>> {
        Box::pin(async { Err(ResolveError::Unconfigured(self.0.into())) })
    }
}
