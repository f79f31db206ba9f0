//! What goes wrong between us and the API server, told apart by what the operator has to do.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use kube::core::Status;
use node_annotator_core::error::chain;
use node_annotator_core::fact::clean;
use node_annotator_core::write::TOO_SOON;

use super::causes;
use crate::trouble::Trouble;

/// Longest part of a server's message or of a cause that we repeat.
const MAX_DETAIL_BYTES: usize = 1024;

/// The API server was not found or not reached, or it did not do what was asked.
#[derive(Debug, Clone)]
pub struct ClusterError {
    reason: Reason,
    /// The HTTP status, if there was an answer.
    code: Option<u16>,
    /// The server's message, or the cause.
    detail: String,
    retry_after: Option<Duration>,
}

/// The reasons that call for different actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// We run in a pod, and its service account is not usable.
    ServiceAccount,
    /// There is no usable kubeconfig.
    Kubeconfig,
    /// The configuration names something that no connection can be made from.
    Setup,
    /// There is no token, or it cannot be fetched.
    NoCredentials,
    /// 401: the token is not accepted.
    Unauthorized,
    /// 403: RBAC does not allow it.
    Forbidden,
    /// 404: there is no such object.
    NotFound,
    /// An admission policy, webhook or plugin refused it (422, 403 and others), or the validation of the API
    /// server (422).
    Refused,
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
    /// Anything else.
    Other,
}

impl ClusterError {
    /// A failure before anything could be asked. Some causes, such as those of a YAML parser, are several
    /// lines long.
    pub(super) fn without_answer(reason: Reason, error: &dyn Error) -> Self {
        Self { reason, code: None, detail: clean(&chain(error), MAX_DETAIL_BYTES), retry_after: None }
    }

    /// A client could not be made.
    pub(super) fn setup(error: &kube::Error) -> Self {
        match error {
            kube::Error::Auth(_) => error.into(),
            _ => Self::without_answer(Reason::Setup, error),
        }
    }

    /// What kind of trouble it is.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether the same request may succeed in a moment.
    pub fn is_retryable(&self) -> bool {
        matches!(self.reason, Reason::Unreachable | Reason::Silent | Reason::Broken | Reason::Busy)
    }

    /// How long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The trouble in other words than those for reading: `what` was tried in vain.
    pub fn with_words(&self, what: impl fmt::Display, hint: &'static str) -> Trouble {
        let code = self.code.map(|code| format!(" ({code})")).unwrap_or_default();
        let colon = if self.detail.is_empty() { "" } else { ": " };
        Trouble::new(format!("{what}{code}{colon}{}", self.detail), hint)
    }
}

impl From<&kube::Error> for ClusterError {
    fn from(error: &kube::Error) -> Self {
        let (reason, code, detail, retry_after) = match error {
            kube::Error::Api(status) => {
                (status_reason(status), Some(status.code), status.message.clone(), retry_after(status))
            }
            _ => (causes::reason(error), None, causes::innermost(error), None),
        };
        Self { reason, code, detail: clean(&detail, MAX_DETAIL_BYTES), retry_after }
    }
}

/// In the words of who reads; a writer has words of its own for the reasons that speak of the request.
impl From<ClusterError> for Trouble {
    fn from(error: ClusterError) -> Self {
        let (what, hint) = match error.reason {
            Reason::ServiceAccount => (
                "the pod's service account is not usable",
                "does the pod set `automountServiceAccountToken: false`?",
            ),
            Reason::Kubeconfig => (
                "no usable kubeconfig",
                "in a pod nothing is needed; elsewhere set KUBECONFIG or --kubeconfig, or see the facts with --dry-run",
            ),
            Reason::Setup => (
                "cannot set up the connection",
                "check the certificates and the server address of the kubeconfig or service account; proxies (HTTPS_PROXY) \
                 are not supported",
            ),
            Reason::NoCredentials => (
                "there are no usable credentials",
                "is the service account's token mounted, does the kubeconfig's credential plugin work on a shell?",
            ),
            Reason::Unauthorized => (
                "the API server does not accept our credentials",
                "the token is expired, its pod or service account is gone, or it belongs to another cluster",
            ),
            Reason::Unreachable => (
                "cannot reach the API server",
                "is the API server up, and does a NetworkPolicy let the pod reach it? see KUBERNETES_SERVICE_HOST or the \
                 kubeconfig",
            ),
            Reason::Untrusted => (
                "cannot trust the API server",
                "the certificate of the API server is not signed by the given authority, or is made out to another name",
            ),
            Reason::Foreign => (
                "what answers is no API server",
                "another service, a proxy or a port without TLS answers there: see KUBERNETES_SERVICE_HOST and \
                 KUBERNETES_SERVICE_PORT, or the kubeconfig",
            ),
            Reason::Silent => (
                "the API server does not answer",
                "a firewall or NetworkPolicy drops the packets, or a load balancer has no API server behind it",
            ),
            Reason::Broken => (
                "the connection to the API server broke",
                "the API server is restarting, or a proxy or load balancer in between closes the connection",
            ),
            Reason::Forbidden => return Self::new(format!("not allowed: {}", error.detail), ADMINISTRATOR),
            Reason::NotFound | Reason::Refused | Reason::Busy | Reason::Other => {
                let Some(code) = error.code else {
                    return error.with_words("the request failed", "run it again with --log-level debug");
                };
                return Self::new(
                    format!("the API server says {code}: {}", error.detail),
                    "run it again; if it stays so, look at the API server's own health",
                );
            }
        };
        error.with_words(what, hint)
    }
}

/// The rights that an operator's commands need.
pub const ADMINISTRATOR: &str =
    "run it with the rights of a cluster administrator: `kubectl auth can-i '*' '*'` must say yes";

/// For commands that read, each failure of which is a trouble.
impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        ClusterError::from(&error).into()
    }
}

fn status_reason(status: &Status) -> Reason {
    match status.code {
        // The client library says so of an answer that is no Status.
        404 if status.reason == "Failed to parse error data" => Reason::Foreign,
        // Our own policy, which holds every writer to its pace.
        _ if status.message.contains(TOO_SOON) => Reason::Busy,
        400..=499 if names_admission(&status.message) => Reason::Refused,
        401 => Reason::Unauthorized,
        403 => Reason::Forbidden,
        404 => Reason::NotFound,
        422 => Reason::Refused,
        409 | 429 | 500..=599 => Reason::Busy,
        _ => Reason::Other,
    }
}

/// Whether an admission policy, a webhook or the plugin `NodeRestriction` refused it. RBAC says `cannot patch
/// resource`.
fn names_admission(message: &str) -> bool {
    ["denied request", "denied the request", "is not allowed to"].iter().any(|words| message.contains(words))
}

fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}
