//! Why the Node was not written, told apart by what the operator has to do.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use kube::core::Status;
use node_annotator_core::fact::clean;
use node_annotator_core::plan::Difference;

use super::connection;

/// Longest part of a server's message that we repeat.
const MAX_MESSAGE_BYTES: usize = 1024;

/// The Node was not written as planned.
#[derive(Debug)]
pub struct PublishError {
    reason: Reason,
    /// Whose hint is given: a deadline that ended the tries did not cause the trouble.
    cause: Reason,
    node: String,
    /// The HTTP status, if there was an answer.
    code: Option<u16>,
    detail: Option<String>,
    retry_after: Option<Duration>,
}

/// The causes that call for different actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// 401: the token is not accepted.
    Unauthorized,
    /// There is no token, or it cannot be fetched.
    NoCredentials,
    /// 403: RBAC does not allow it.
    Forbidden,
    /// 404: there is no such Node.
    NoSuchNode,
    /// An admission policy, webhook or plugin refused it (422, 403 and others), or the validation of the API server (422).
    Refused,
    /// The API server stored something else than was sent.
    Altered,
    /// No connection to the API server.
    Unreachable,
    /// The connection stands, and the certificates do not match.
    Untrusted,
    /// What answers is no API server.
    Foreign,
    /// Connected or not, no answer came in time.
    Silent,
    /// The connection was closed before the whole answer had come.
    Broken,
    /// 409, 429, 5xx: the API server is busy or starting.
    Busy,
    /// The deadline ended the tries.
    Deadline,
    /// A stop was asked for before an answer came.
    Stopped,
    /// Anything else.
    Other,
}

impl PublishError {
    fn new(reason: Reason, node: &str, detail: Option<String>) -> Self {
        let detail = detail.map(|text| clean(&text, MAX_MESSAGE_BYTES)).filter(|text| !text.is_empty());
        Self { reason, cause: reason, node: node.to_owned(), code: None, detail, retry_after: None }
    }

    pub(crate) fn deadline(node: &str) -> Self {
        Self::new(Reason::Deadline, node, None)
    }

    pub(super) fn stopped(node: &str) -> Self {
        Self::new(Reason::Stopped, node, None)
    }

    /// Says what the last try had met, and what to do about that.
    pub(super) fn after(self, last: Option<Self>) -> Self {
        match last {
            Some(last) => Self { cause: last.reason, detail: Some(last.to_string()), ..self },
            None => self,
        }
    }

    pub(super) fn altered(differences: &[Difference], node: &str) -> Self {
        let list = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Self::new(Reason::Altered, node, Some(list))
    }

    pub(crate) fn from_client(error: &kube::Error, node: &str) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::new(connection::reason(error), node, Some(connection::detail(error)));
        };
        Self {
            retry_after: retry_after(status),
            code: Some(status.code),
            ..Self::new(status_reason(status), node, Some(status.message.clone()))
        }
    }

    /// What kind of failure it is.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether the same request may succeed in a moment.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(self.reason, Reason::Unreachable | Reason::Silent | Reason::Broken | Reason::Busy)
    }

    /// How long the server asks to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.cause {
            Reason::Unauthorized => {
                "the token is expired, its pod or service account is gone, or it belongs to another cluster"
            }
            Reason::NoCredentials => {
                "is the service account's token mounted, does the kubeconfig's credential plugin work on a shell?"
            }
            Reason::Forbidden => {
                "grant the service account the verb `patch` on `nodes`, as the ClusterRole of `node-annotator manifests` does"
            }
            Reason::NoSuchNode => {
                "NODE_NAME must be the name of a Node: in a pod, set it from `spec.nodeName`"
            }
            Reason::Refused => {
                "the message names the policy, webhook or rule; ours allows a pod to change only the Node that it runs on, and only \
                 keys under its prefix"
            }
            Reason::Altered => {
                "a mutating webhook or admission policy takes the key out or changes it: exempt keys under our prefix there, and look at \
                 `kubectl get mutatingwebhookconfigurations,mutatingadmissionpolicies`"
            }
            Reason::Unreachable => {
                "is the API server up, and does a NetworkPolicy let the pod reach it? see KUBERNETES_SERVICE_HOST or the kubeconfig"
            }
            Reason::Untrusted => {
                "the certificate of the API server is not signed by the given authority, or is made out to another name"
            }
            Reason::Foreign => {
                "another service, a proxy or a port without TLS answers there: see KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, or \
                 the kubeconfig"
            }
            Reason::Silent => {
                "a firewall or NetworkPolicy drops the packets, or a load balancer has no API server behind it"
            }
            Reason::Broken => {
                "the API server is restarting, or a proxy or load balancer in between closes the connection"
            }
            Reason::Busy => "the API server is overloaded or starting; the pod's next start tries again",
            Reason::Deadline => "raise --deadline and --publish-budget if the API server needs longer",
            Reason::Stopped => "the next run writes the Node",
            Reason::Other => "run again with --log-level debug",
        }
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, cause: _, node, code, detail, retry_after: _ } = self;
        match reason {
            Reason::Unauthorized => f.write_str("the API server does not accept our credentials")?,
            Reason::NoCredentials => f.write_str("there are no usable credentials")?,
            Reason::Forbidden => write!(f, "not allowed to patch node `{node}`")?,
            Reason::NoSuchNode => write!(f, "there is no node `{node}`")?,
            Reason::Refused => write!(f, "the API server refused the change of node `{node}`")?,
            Reason::Altered => write!(f, "node `{node}` is not as it was written")?,
            Reason::Unreachable => f.write_str("cannot reach the API server")?,
            Reason::Untrusted => f.write_str("cannot trust the API server")?,
            Reason::Foreign => f.write_str("what answers is no API server")?,
            Reason::Silent => f.write_str("the API server does not answer")?,
            Reason::Broken => f.write_str("the connection to the API server broke")?,
            Reason::Busy => f.write_str("the API server cannot take the change now")?,
            Reason::Deadline => write!(f, "node `{node}` could not be written before the deadline")?,
            Reason::Stopped => write!(f, "stopped before node `{node}` was written")?,
            Reason::Other => write!(f, "cannot write node `{node}`")?,
        }
        if let Some(code) = code {
            write!(f, " ({code})")?;
        }
        match detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl Error for PublishError {}

fn status_reason(status: &Status) -> Reason {
    match status.code {
        // The client puts this in where the answer was no Status at all.
        404 if status.reason == "Failed to parse error data" => Reason::Foreign,
        400..=499 if names_admission(&status.message) => Reason::Refused,
        401 => Reason::Unauthorized,
        403 => Reason::Forbidden,
        404 => Reason::NoSuchNode,
        422 => Reason::Refused,
        409 | 429 | 500..=599 => Reason::Busy,
        _ => Reason::Other,
    }
}

/// Whether an admission policy, a webhook or the plugin `NodeRestriction` says no. RBAC says `cannot patch resource`.
fn names_admission(message: &str) -> bool {
    ["denied request", "denied the request", "is not allowed to"].iter().any(|words| message.contains(words))
}

fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}
