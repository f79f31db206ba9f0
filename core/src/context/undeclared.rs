//! What a collector does not declare: it is not handed out, and it is noted who asked for it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::{HttpClient, HttpError, HttpRequest, HttpResponse, ResolveError, Resolver, Unconnected};
use crate::BoxFuture;

/// What was asked for without being declared. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Undeclared(Arc<Mutex<BTreeSet<String>>>);

impl Undeclared {
    pub(super) fn note(&self, what: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(what);
    }

    pub(super) fn all(&self) -> BTreeSet<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The network of a collector that declares none.
#[derive(Debug)]
pub(super) struct UndeclaredNetwork(pub(super) Undeclared);

const NETWORK: Unconnected = Unconnected("the collector does not declare that it needs it");

impl HttpClient for UndeclaredNetwork {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        self.0.note(format!("the metadata service `{}`", request.url));
        NETWORK.send(request)
    }
}

impl Resolver for UndeclaredNetwork {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        self.0.note(format!("the addresses of `{name}` in DNS"));
        NETWORK.addresses(name)
    }

    fn names(&self, address: IpAddr) -> BoxFuture<'_, Result<Vec<String>, ResolveError>> {
        self.0.note(format!("the names of `{address}` in DNS"));
        NETWORK.names(address)
    }
}
