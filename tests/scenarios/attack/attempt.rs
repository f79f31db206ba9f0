//! One thing that an attacker tries, how it is sent, and what must come of it.

use std::fmt;

use anyhow::{Context, Result};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// Who a patch says it is, as a field manager: whoever else is named is refused for that alone.
pub(super) const MANAGER: &str = node_annotator_deploy::policy::FIELD_MANAGER;

/// The ways to send a change of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatchType {
    Merge,
    Strategic,
    Json,
    Apply,
    ForcedApply,
}

impl PatchType {
    pub(super) const ALL: [Self; 5] =
        [Self::Merge, Self::Strategic, Self::Json, Self::Apply, Self::ForcedApply];

    /// Those that can take something away, and that do not fail before anybody else when it belongs to
    /// another manager.
    pub(super) const PATCHES: [Self; 3] = [Self::Merge, Self::Strategic, Self::Json];

    fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge patch",
            Self::Strategic => "strategic patch",
            Self::Json => "JSON patch",
            Self::Apply => "apply",
            Self::ForcedApply => "forced apply",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Json => "application/json-patch+json",
            Self::Apply | Self::ForcedApply => "application/apply-patch+yaml",
        }
    }

    /// The same change, told as this type tells it.
    fn body(self, node: &str, change: &Value) -> Value {
        match self {
            Self::Merge | Self::Strategic => change.clone(),
            Self::Json => {
                let mut operations = Vec::new();
                push_operations(&mut operations, "", change);
                Value::Array(operations)
            }
            Self::Apply | Self::ForcedApply => {
                let mut object = change.clone();
                object["apiVersion"] = json!("v1");
                object["kind"] = json!("Node");
                if object["metadata"]["name"].is_null() {
                    object["metadata"]["name"] = json!(node);
                }
                object
            }
        }
    }
}

/// A JSON patch that does what a merge patch would: `null` takes away, everything else is set.
fn push_operations(operations: &mut Vec<Value>, path: &str, change: &Value) {
    match change {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                push_operations(operations, &format!("{path}/{name}"), value);
            }
        }
        Value::Null => operations.push(json!({"op": "remove", "path": path})),
        value => operations.push(json!({"op": "add", "path": path, "value": value})),
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    method: &'static str,
    path: String,
    query: String,
    content_type: &'static str,
    body: Value,
}

impl Attempt {
    pub(super) fn new(method: &'static str, path: &str, body: Value) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let content_type = "application/json";
        Self { method, path: path.to_owned(), query: query.to_owned(), content_type, body }
    }

    /// A change of a Node; `path` is its name, and a subresource if need be.
    pub(super) fn patch(kind: PatchType, path: &str, change: &Value) -> Self {
        Self::patch_as(MANAGER, kind, path, change)
    }

    /// The same under another field manager.
    pub(super) fn patch_as(manager: &str, kind: PatchType, path: &str, change: &Value) -> Self {
        let force = if kind == PatchType::ForcedApply { "&force=true" } else { "" };
        let node = path.split('/').next().unwrap_or_default();
        Self {
            method: "PATCH",
            path: format!("/api/v1/nodes/{path}"),
            query: format!("fieldManager={manager}{force}"),
            content_type: kind.content_type(),
            body: kind.body(node, change),
        }
    }

    /// A patch whose body is not a change of an object, but what its type has beyond that.
    pub(super) fn raw_patch(kind: PatchType, node: &str, body: Value) -> Self {
        Self { body, ..Self::patch(kind, node, &json!({})) }
    }

    /// The Node that it is about, or nothing.
    pub(super) fn node(&self) -> Option<&str> {
        self.path.strip_prefix("/api/v1/nodes/")?.split('/').next()
    }

    /// Sends it, and returns whatever was answered. With `dry_run` nothing is stored.
    pub(super) async fn send(&self, client: &Client, dry_run: bool) -> Result<Answer> {
        let dry_run = if dry_run { "&dryRun=All" } else { "" };
        let body = if self.body.is_null() { Vec::new() } else { serde_json::to_vec(&self.body)? };
        let request = http::Request::builder()
            .method(self.method)
            .uri(format!("{}?{}{dry_run}", self.path, self.query))
            .header(http::header::CONTENT_TYPE, self.content_type)
            .body(Body::from(body))?;
        let response = client.send(request).await.context("no answer")?;
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.context("half an answer")?.to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let message = match body["kind"].as_str() {
            Some("Status") => body["message"].as_str().unwrap_or_default().to_owned(),
            Some(_) => String::new(),
            None => String::from_utf8_lossy(&bytes).into_owned(),
        };
        Ok(Answer { code, message })
    }
}

/// What the API server says.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) message: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message.chars().take(400).collect::<String>())
    }
}

/// What must come of an attempt.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// This answer, and no Node is changed.
    Refused(u16, &'static str),
    /// 200, and the Node (before and after) satisfies this.
    Done(fn(&Value, &Value) -> bool),
}

impl Expected {
    /// Whether it is this answer.
    pub(super) fn fits(self, answer: &Answer) -> bool {
        match self {
            Self::Refused(code, says) => answer.code == code && answer.message.contains(says),
            Self::Done(_) => answer.code == 200,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code, says) => write!(f, "{code} {says}"),
            Self::Done(_) => f.write_str("200, and what was asked for on the Node"),
        }
    }
}

/// Who tries what, and what must come of it.
#[derive(Clone)]
pub(super) struct Case {
    /// One of the attackers of the stage.
    pub(super) who: &'static str,
    pub(super) what: String,
    pub(super) attempt: Attempt,
    pub(super) expected: Expected,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.who, self.what)
    }
}

/// A change, tried in several types of patches.
pub(super) fn in_types(
    types: &[PatchType],
    who: &'static str,
    (what, path, change): (&str, &str, &Value),
    expected: Expected,
) -> Vec<Case> {
    let case = |kind: &PatchType| Case {
        who,
        what: format!("{what}, by {}", kind.name()),
        attempt: Attempt::patch(*kind, path, change),
        expected,
    };
    types.iter().map(case).collect()
}
