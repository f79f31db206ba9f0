//! Fakes of the network: a metadata service, a DNS zone, and one that must not be used.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Mutex;

use node_annotator_core::BoxFuture;
use node_annotator_core::context::{
    HttpClient, HttpError, HttpRequest, HttpResponse, ResolveError, Resolver,
};

type Answer = dyn Fn(usize) -> Result<HttpResponse, HttpError> + Send + Sync;

/// A metadata service that remembers what it was asked.
pub(crate) struct Service {
    answer: Box<Answer>,
    pub(crate) requests: Mutex<Vec<HttpRequest>>,
}

impl Service {
    /// A service whose answer depends on how many requests came before.
    pub(crate) fn new(
        answer: impl Fn(usize) -> Result<HttpResponse, HttpError> + Send + Sync + 'static,
    ) -> Self {
        Self { answer: Box::new(answer), requests: Mutex::default() }
    }

    pub(crate) fn answers(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::new(move |_| Ok(HttpResponse { status, body: body.clone().into_bytes() }))
    }

    pub(crate) fn unreachable() -> Self {
        Self::new(|_| Err(HttpError::Connect("connection refused".into())))
    }

    pub(crate) fn asked(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

impl HttpClient for Service {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        if !request.url.starts_with("http://") {
            return Box::pin(async { Err(HttpError::Address { url: request.url }) });
        }
        let mut requests = self.requests.lock().unwrap();
        requests.push(request);
        let answer = (self.answer)(requests.len() - 1);
        Box::pin(async { answer })
    }
}

/// A DNS zone: names by address, and addresses by name. What it does not know does not exist, unless it is broken.
#[derive(Debug, Default)]
pub(crate) struct Zone {
    pub(crate) names: BTreeMap<IpAddr, Vec<String>>,
    pub(crate) addresses: BTreeMap<String, Vec<IpAddr>>,
    pub(crate) broken: bool,
}

impl Zone {
    /// A zone in which addresses and a name point to each other.
    pub(crate) fn with_node(addresses: &[&str], name: &str) -> Self {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Self {
            names: addresses.iter().map(|address| (*address, vec![name.to_owned()])).collect(),
            addresses: [(name.to_ascii_lowercase(), addresses)].into(),
            broken: false,
        }
    }

    fn look_up<K: Ord + ToString, V: Clone>(
        &self,
        records: &BTreeMap<K, Vec<V>>,
        key: &K,
    ) -> Result<Vec<V>, ResolveError> {
        if self.broken {
            return Err(ResolveError::Failed { query: key.to_string(), source: "server failure".into() });
        }
        Ok(records.get(key).cloned().unwrap_or_default())
    }
}

impl Resolver for Zone {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        let answer = self.look_up(&self.addresses, &name.to_owned());
        Box::pin(async { answer })
    }

    fn names(&self, address: IpAddr) -> BoxFuture<'_, Result<Vec<String>, ResolveError>> {
        let answer = self.look_up(&self.names, &address);
        Box::pin(async { answer })
    }
}

/// The network of a collector that declared none. The runner turns the panic into an outcome, and the test sees it.
#[derive(Debug)]
pub(crate) struct Forbidden;

impl HttpClient for Forbidden {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        panic!("asks {} without declaring the need", request.url)
    }
}

impl Resolver for Forbidden {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        panic!("resolves {name} without declaring the need")
    }

    fn names(&self, address: IpAddr) -> BoxFuture<'_, Result<Vec<String>, ResolveError>> {
        panic!("resolves {address} without declaring the need")
    }
}
