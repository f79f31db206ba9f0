//! Which requests were made, told by the API server's audit log and not by the client that made them.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// With what the user agent of the product under test begins.
pub const ANNOTATOR: &str = "node-annotator/";

/// One request to the API server.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The server's identifier for it.
    #[serde(rename = "auditID")]
    pub audit_id: String,
    /// `patch`, `get`, `watch`, …
    pub verb: String,
    /// Path and query.
    #[serde(rename = "requestURI")]
    pub uri: String,
    /// What the client says it is.
    #[serde(default)]
    pub user_agent: String,
    /// Who the server says it is.
    #[serde(default)]
    pub user: User,
    /// What it is about; nothing for requests such as `/version`.
    #[serde(rename = "objectRef", default)]
    pub object: Object,
    /// The body of a request that writes nodes; other bodies are not logged.
    pub request_object: Option<Value>,
    /// The answer; nothing while a watch is running.
    pub response_status: Option<Status>,
    /// When it came in (RFC 3339).
    #[serde(rename = "requestReceivedTimestamp", default)]
    pub received: String,
}

/// An authenticated user.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct User {
    /// For example `system:serviceaccount:<namespace>:<name>`.
    pub username: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Claims of a token, the node among them.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// The object of a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Object {
    /// Plural, lower case.
    pub resource: String,
    /// Empty on the main resource.
    pub subresource: String,
    /// Empty for resources of the cluster.
    pub namespace: String,
    /// Empty for lists and watches.
    pub name: String,
}

/// The answer to a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The HTTP status.
    pub code: u16,
    /// Why it was refused.
    pub message: String,
}

impl Request {
    /// Whether the product under test made it.
    pub fn is_annotators(&self) -> bool {
        self.user_agent.starts_with(ANNOTATOR)
    }

    /// Whether it is about this node, or a subresource of it.
    pub fn is_on_node(&self, name: &str) -> bool {
        self.object.resource == "nodes" && self.object.name == name
    }

    /// The HTTP status; 0 while a watch is running.
    pub fn code(&self) -> u16 {
        self.response_status.as_ref().map_or(0, |status| status.code)
    }
}

/// The audit log of one API server, over all its restarts.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    parsed: Mutex<Parsed>,
}

#[derive(Debug, Default)]
struct Parsed {
    offset: u64,
    requests: Vec<Request>,
    positions: HashMap<String, usize>,
}

impl AuditLog {
    /// A log that need not exist yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, parsed: Mutex::default() }
    }

    /// The requests logged so far that `filter` picks, in order of their first entry.
    ///
    /// The server answers before it logs; [`Cluster::requests`](crate::cluster::Cluster::requests) waits for
    /// that.
    pub fn requests(&self, mut filter: impl FnMut(&Request) -> bool) -> Result<Vec<Request>> {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if self.path.exists() {
            let mut file = File::open(&self.path).context("cannot open the audit log")?;
            file.seek(SeekFrom::Start(parsed.offset)).context("cannot seek in the audit log")?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).context("cannot read the audit log")?;
            parsed.add(&bytes);
        }
        Ok(parsed.requests.iter().filter(|request| filter(request)).cloned().collect())
    }
}

impl Parsed {
    /// Takes what was appended, up to the last complete line.
    fn add(&mut self, bytes: &[u8]) {
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |position| position + 1);
        self.offset += end as u64;
        for line in bytes[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            // A line that the server was killed over tells nothing.
            let Ok(request) = serde_json::from_slice::<Request>(line) else { continue };
            // A watch is logged when it starts and when it ends: one request all the same.
            if let Some(position) = self.positions.get(&request.audit_id) {
                self.requests[*position] = request;
            } else {
                self.positions.insert(request.audit_id.clone(), self.requests.len());
                self.requests.push(request);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_of_one_request_are_one() {
        let mut parsed = Parsed::default();
        let line = |id: &str, rest: &str| {
            format!("{{\"auditID\":\"{id}\",\"verb\":\"watch\",\"requestURI\":\"/api/v1/nodes\"{rest}}}\n")
        };
        let text =
            line("a", "") + "torn {\n" + &line("b", ",\"userAgent\":\"node-annotator/0.1.0\"") + "{\"aud";
        parsed.add(text.as_bytes());
        assert_eq!(parsed.offset, text.len() as u64 - 5);
        parsed.add(line("a", ",\"responseStatus\":{\"code\":200}").as_bytes());
        let codes: Vec<_> = parsed.requests.iter().map(Request::code).collect();
        assert_eq!(codes, [200, 0]);
        assert!(parsed.requests[1].is_annotators());
    }
}
