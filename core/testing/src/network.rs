//! Fakes of the network: a metadata service and a DNS zone. Nothing leaves the process.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use node_annotator_core::BoxFuture;
use node_annotator_core::context::{
    HttpClient, HttpError, HttpRequest, HttpResponse, ResolveError, Resolver,
};

type Answer = dyn Fn(&HttpRequest, usize) -> Result<HttpResponse, HttpError> + Send + Sync;

/// A metadata service that remembers what it was asked.
pub struct Service {
    answer: Box<Answer>,
    requests: Mutex<Vec<HttpRequest>>,
}

impl Service {
    /// A service whose answer depends on the request, and on how many came before it.
    pub fn new(
        answer: impl Fn(&HttpRequest, usize) -> Result<HttpResponse, HttpError> + Send + Sync + 'static,
    ) -> Self {
        Self { answer: Box::new(answer), requests: Mutex::default() }
    }

    /// A service that answers everything alike.
    pub fn answers(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::new(move |_, _| Ok(HttpResponse::new(status, body.clone())))
    }

    /// A service that cannot be reached.
    pub fn unreachable() -> Self {
        Self::new(|_, _| Err(HttpError::Connect("connection refused".into())))
    }

    /// A service whose answers are files of a folder: `http://169.254.169.254/metadata/v1.json` is the file
    /// `metadata/v1.json`, a path that ends in a slash the file `index` below it. The method and what follows
    /// a `?` do not matter; what is no file is answered with status 404. Header fields that all answers have
    /// are lines of the file `headers`.
    pub fn of_folder(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let headers = fs::read_to_string(folder.join("headers")).unwrap_or_default();
        Self::new(move |request, _| {
            let url = request.url.split(['?', '#']).next().unwrap_or_default();
            let path = url.splitn(4, '/').nth(3).unwrap_or_default();
            let file =
                if path.is_empty() || path.ends_with('/') { format!("{path}index") } else { path.to_owned() };
            let inside = !file.split('/').any(|part| part.is_empty() || part == "..");
            let body = inside.then(|| fs::read(folder.join(file)).ok()).flatten();
            let status = if body.is_some() { 200 } else { 404 };
            let response = HttpResponse::new(status, body.unwrap_or_default());
            let fields = headers.lines().filter_map(|line| line.split_once(": "));
            Ok(fields.fold(response, |response, (name, value)| response.with_header(name, value)))
        })
    }

    /// The answer to a request that so many came before. A body longer than the request allows is an error,
    /// as with the real client.
    pub fn answer(&self, request: &HttpRequest, before: usize) -> Result<HttpResponse, HttpError> {
        let limit = request.max_body_bytes;
        match (self.answer)(request, before) {
            Ok(response) if response.body.len() > limit => Err(HttpError::TooLong { limit }),
            answer => answer,
        }
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = self.answer(&request, requests.len());
        requests.push(request);
        Box::pin(async { answer })
    }
}

/// A DNS zone: names by address, and addresses by name. What it does not know does not exist, unless it is
/// broken.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    /// The names that an address points back to.
    pub names: BTreeMap<IpAddr, Vec<String>>,
    /// The addresses of a name, by its spelling in lower case.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// Whether the server fails.
    pub broken: bool,
}

impl Zone {
    /// A zone in which addresses and a name point to each other.
    pub fn with_node(addresses: &[IpAddr], name: &str) -> Self {
        Self {
            names: addresses.iter().map(|address| (*address, vec![name.to_owned()])).collect(),
            addresses: [(name.to_ascii_lowercase(), addresses.to_vec())].into(),
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
        let answer = self.look_up(&self.addresses, &name.to_ascii_lowercase());
        Box::pin(async { answer })
    }

    fn names(&self, address: IpAddr) -> BoxFuture<'_, Result<Vec<String>, ResolveError>> {
        let answer = self.look_up(&self.names, &address);
        Box::pin(async { answer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_answers_by_path() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("root/latest")).unwrap();
        for (path, text) in [("root/latest/id", "i-1"), ("root/latest/index", "id"), ("secret", "no")] {
            fs::write(folder.path().join(path), text).unwrap();
        }
        let service = Service::of_folder(folder.path().join("root"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (path, answer) in [
            ("/latest/id", Some("i-1")),
            ("/latest/id?wait=1", Some("i-1")),
            ("/latest/", Some("id")),
            ("/latest", None),
            ("/latest/other", None),
            ("/../secret", None),
            ("//secret", None),
            ("", None),
        ] {
            let request = HttpRequest::get(format!("http://169.254.169.254{path}"));
            let response = runtime.block_on(service.send(request)).unwrap();
            assert_eq!(response.status, if answer.is_some() { 200 } else { 404 }, "{path}");
            assert_eq!(response.body, answer.unwrap_or_default().as_bytes(), "{path}");
        }
        assert_eq!(service.requests().len(), 8);
    }
}
