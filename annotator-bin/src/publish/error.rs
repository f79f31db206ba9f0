//! Why the Node was not written, told apart by what the operator has to do.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use kube::core::Status;
use node_annotator_core::error::chain;
use node_annotator_core::fact::clean;
use node_annotator_core::plan::Difference;

/// Longest part of a server's message that we repeat.
const MAX_MESSAGE_BYTES: usize = 1024;

/// The Node was not written as planned.
#[derive(Debug)]
pub struct PublishError {
    reason: Reason,
    node: String,
    detail: Option<String>,
    retry_after: Option<Duration>,
}

/// The causes that call for different actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// 401: the token is not accepted.
    Unauthorized,
    /// 403: RBAC, or an admission plugin, does not allow it.
    Forbidden,
    /// 404: there is no such Node.
    NoSuchNode,
    /// 422: an admission policy or the validation of the API server refused it.
    Refused,
    /// The API server stored something else than was sent.
    Altered,
    /// No connection to the API server.
    Unreachable,
    /// The connection stands, and the certificates do not match.
    Untrusted,
    /// Connected, and no answer came.
    Silent,
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
    pub(super) fn new(reason: Reason, node: &str, detail: Option<String>) -> Self {
        Self { reason, node: node.to_owned(), detail, retry_after: None }
    }

    pub(super) fn altered(differences: &[Difference], node: &str) -> Self {
        let list = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Self::new(Reason::Altered, node, Some(clean(&list, MAX_MESSAGE_BYTES)))
    }

    pub(super) fn from_client(error: &kube::Error, node: &str) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::new(connection_reason(error), node, Some(connection_detail(error)));
        };
        let detail = Some(clean(&status.message, MAX_MESSAGE_BYTES)).filter(|text| !text.is_empty());
        Self { retry_after: retry_after(status), ..Self::new(status_reason(status.code), node, detail) }
    }

    /// What kind of failure it is.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether the same request may succeed in a moment.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(self.reason, Reason::Unreachable | Reason::Silent | Reason::Busy)
    }

    /// How long the server asks to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.reason {
            Reason::Unauthorized => {
                "the token is expired, its pod or service account is gone, or it belongs to another cluster"
            }
            Reason::Forbidden => {
                "grant the service account the verb `patch` on `nodes`, as the ClusterRole of `node-annotator manifests` does"
            }
            Reason::NoSuchNode => {
                "NODE_NAME must be the name of a Node: in a pod, set it from `spec.nodeName`"
            }
            Reason::Refused => {
                "the message names the policy or rule; ours allows a pod to change only the Node that it runs on, and only keys under \
                 its prefix"
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
            Reason::Silent => {
                "something accepts the connection and does not answer: a load balancer without a server behind it, or a firewall"
            }
            Reason::Busy => "the API server is overloaded or starting; the pod's next start tries again",
            Reason::Deadline => "raise --deadline if the API server needs longer",
            Reason::Stopped => "the next run writes the Node",
            Reason::Other => "run again with --log-level debug",
        }
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, node, detail, retry_after: _ } = self;
        match reason {
            Reason::Unauthorized => f.write_str("the API server does not accept our credentials (401)")?,
            Reason::Forbidden => write!(f, "not allowed to patch node `{node}` (403)")?,
            Reason::NoSuchNode => write!(f, "there is no node `{node}` (404)")?,
            Reason::Refused => write!(f, "the API server refused the change of node `{node}` (422)")?,
            Reason::Altered => write!(f, "node `{node}` is not as it was written")?,
            Reason::Unreachable => f.write_str("cannot reach the API server")?,
            Reason::Untrusted => f.write_str("cannot trust the API server")?,
            Reason::Silent => f.write_str("the API server does not answer")?,
            Reason::Busy => f.write_str("the API server cannot take the change now")?,
            Reason::Deadline => write!(f, "node `{node}` could not be written before the deadline")?,
            Reason::Stopped => write!(f, "stopped before node `{node}` was written")?,
            Reason::Other => write!(f, "cannot write node `{node}`")?,
        }
        match detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl Error for PublishError {}

fn status_reason(code: u16) -> Reason {
    match code {
        401 => Reason::Unauthorized,
        403 => Reason::Forbidden,
        404 => Reason::NoSuchNode,
        422 => Reason::Refused,
        409 | 429 | 500..=599 => Reason::Busy,
        _ => Reason::Other,
    }
}

fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}

/// The first cause in the chain that says what kind of failure it is.
fn connection_reason(error: &kube::Error) -> Reason {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut reason = Reason::Other;
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return Reason::Untrusted;
        }
        if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            reason = if error.is_connect() { Reason::Unreachable } else { Reason::Silent };
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // An io::Error does not list what it wraps among its sources.
            if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
                return Reason::Untrusted;
            }
        }
        cause = error.source();
    }
    reason
}

/// The innermost cause says it best; what is around it are the layers of a client library.
fn connection_detail(error: &kube::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    clean(&chain(innermost), MAX_MESSAGE_BYTES)
}
