//! A metadata service on loopback whose answers a test changes while it runs.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Where `DigitalOcean` serves a Droplet's metadata as JSON.
pub const DIGITAL_OCEAN_PATH: &str = "/metadata/v1.json";

/// What is answered to a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status with a body.
    Body {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
        /// How long it takes.
        delay: Duration,
    },
    /// The request is read, and never answered.
    Hang,
}

impl Answer {
    /// 200, at once.
    pub fn ok(body: impl Into<String>) -> Self {
        Self::status(200, body)
    }

    /// Any status, at once.
    pub fn status(status: u16, body: impl Into<String>) -> Self {
        Self::Body { status, body: body.into(), delay: Duration::ZERO }
    }

    /// The body of a Droplet with this anchor IP.
    pub fn droplet(anchor_ip: &str) -> Self {
        let body = serde_json::json!({
            "droplet_id": 2_756_294,
            "hostname": "sample-droplet",
            "region": "nyc3",
            "auth_key": "secret",
            "user_data": "secret",
            "interfaces": {"public": [{
                "ipv4": {"ip_address": "192.0.2.17", "netmask": "255.255.240.0", "gateway": "192.0.2.1"},
                "anchor_ipv4": {"ip_address": anchor_ip, "netmask": "255.255.0.0", "gateway": "10.17.0.1"},
                "mac": "04:01:2a:0f:2a:01",
                "type": "public",
            }]},
            "reserved_ip": {"ipv4": {"active": false}},
        });
        Self::ok(body.to_string())
    }
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`, `PUT`, …
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// The service. Ends when dropped.
#[derive(Debug)]
pub struct MetadataServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    count: watch::Sender<usize>,
}

#[derive(Debug)]
struct State {
    answer: Answer,
    by_path: HashMap<String, Answer>,
    connections: usize,
    seen: Vec<Seen>,
}

impl MetadataServer {
    /// Listens on a free port, and answers everything with `answer`.
    pub async fn start(answer: Answer) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen")?;
        let address = listener.local_addr().context("cannot tell the address")?;
        let state = State { answer, by_path: HashMap::new(), connections: 0, seen: Vec::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), count: watch::Sender::new(0) });
        let task = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, for example of [`DIGITAL_OCEAN_PATH`].
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Changes the answer for all paths that have none of their own.
    pub fn set(&self, answer: Answer) {
        self.state().answer = answer;
    }

    /// Changes the answer for one path: one server can be many nodes' that way.
    pub fn set_at(&self, path: &str, answer: Answer) {
        self.state().by_path.insert(path.to_owned(), answer);
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Waits until this many requests came in.
    pub async fn wait_for_requests(&self, count: usize) -> Result<()> {
        let mut counts = self.shared.count.subscribe();
        let reached = tokio::time::timeout(crate::wait::DEADLINE, counts.wait_for(|seen| *seen >= count));
        let reached = reached.await.map(drop);
        reached.with_context(|| format!("waited for {count} requests; seen: {:?}", self.requests()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for MetadataServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let headers = request.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let seen = Seen { method: request.method().to_string(), uri: request.uri().to_string(), headers };
        let answer = {
            let mut state = self.state();
            state.seen.push(seen);
            self.count.send_replace(state.seen.len());
            state.by_path.get(request.uri().path()).unwrap_or(&state.answer).clone()
        };
        match answer {
            Answer::Body { status, body, delay } => {
                tokio::time::sleep(delay).await;
                let mut response = Response::new(Full::new(Bytes::from(body)));
                *response.status_mut() =
                    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Ok(response)
            }
            Answer::Hang => std::future::pending().await,
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        shared.state().connections += 1;
        while connections.try_join_next().is_some() {}
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| shared.clone().respond(request));
            // A client that goes away is its own business.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn get(server: &MetadataServer, path: &str) -> String {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn answers_change_at_run_time() {
        let server = MetadataServer::start(Answer::status(500, "")).await.unwrap();
        assert!(get(&server, "/a").await.starts_with("HTTP/1.1 500 "));
        server.set(Answer::ok("one"));
        server.set_at("/b", Answer::ok("two"));
        assert!(get(&server, "/a").await.ends_with("\r\n\r\none"));
        assert!(get(&server, "/b").await.ends_with("\r\n\r\ntwo"));
        assert_eq!(server.connections(), 3);
        assert_eq!(server.requests().last().unwrap().uri, "/b");
        server.wait_for_requests(3).await.unwrap();
    }
}
