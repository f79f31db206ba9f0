//! What goes wrong between us and the API server, told apart by what the operator has to do.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use kube::core::Status;
use node_annotator_core::error::chain;
use node_annotator_core::fact::clean;

use super::{answers, causes, credentials, refusal, tls};
use crate::trouble::Trouble;

/// Longest part of a server's message or of a cause that we repeat.
const MAX_DETAIL_BYTES: usize = 1024;

/// Longest pause that a server is given. The API server asks for up to 32 s; what stands before it may ask
/// for hours.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

/// The API server was not found or not reached, or it did not do what was asked.
#[derive(Debug, Clone)]
pub struct ClusterError {
    reason: Reason,
    /// The HTTP status, if there was an answer.
    code: Option<u16>,
    /// The server's message, or the cause.
    detail: String,
    retry_after: Option<Duration>,
    /// The name of the policy, webhook or platform that refused it.
    refuser: Option<String>,
    /// What to do about it, where the reason alone does not say.
    hint: Option<Cow<'static, str>>,
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
    /// Our own admission policy refused it.
    OurPolicy,
    /// Our own admission policy refused it, since it comes too soon after another change.
    TooSoon,
    /// An admission policy of somebody else refused it.
    OtherPolicy,
    /// A webhook refused it.
    Webhook,
    /// A webhook did not answer, and nothing goes without it.
    WebhookFailed,
    /// The plugin `NodeRestriction` refused it: a kubelet may change its own Node alone.
    NodeRestriction,
    /// The platform keeps its nodes to itself.
    Platform,
    /// All annotations of the Node together would be longer than Kubernetes allows.
    AnnotationQuota,
    /// Another admission plugin, or the validation of the API server (422), refused it.
    Refused,
    /// No connection to the API server.
    Unreachable,
    /// The certificate of the API server is not one that we trust.
    Untrusted,
    /// A certificate is not valid at the time that this machine's clock shows.
    Clock,
    /// Our own certificate cannot be used, or the API server does not accept it.
    ClientCertificate,
    /// A certificate has a key or a signature of a kind that we cannot check.
    Algorithm,
    /// What answers is no API server.
    Foreign,
    /// The answer is longer than any that an API server gives to us.
    TooLong,
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
        Self::told(reason, chain(error))
    }

    /// A failure in words of our own.
    pub(super) fn told(reason: Reason, detail: impl AsRef<str>) -> Self {
        let detail = clean(detail.as_ref(), MAX_DETAIL_BYTES);
        Self { reason, code: None, detail, retry_after: None, refuser: None, hint: None }
    }

    /// No answer came in the time that the operator gave it.
    #[cfg(feature = "operator")]
    pub(crate) fn silent_for(time: Duration) -> Self {
        Self::told(Reason::Silent, format!("no answer within {time:?}"))
    }

    /// The same, with what to do about it.
    pub(super) fn with_hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// A client could not be made; `plugin` is the program that was to give credentials.
    pub(super) fn setup(error: &kube::Error, plugin: Option<&str>) -> Self {
        match error {
            kube::Error::Auth(error) => {
                let plugin = plugin.map(|plugin| format!(" (`{plugin}`)")).unwrap_or_default();
                Self::told(Reason::NoCredentials, credentials::told(error) + &plugin)
            }
            kube::Error::RustlsTls(error) => {
                let (reason, what) = tls::setup(error);
                Self::told(reason, what)
            }
            _ => Self::without_answer(Reason::Setup, error),
        }
    }

    /// What kind of trouble it is.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether the same request may succeed in a moment.
    pub fn is_retryable(&self) -> bool {
        self.is_out_of_reach() || matches!(self.reason, Reason::TooSoon | Reason::WebhookFailed)
    }

    /// Whether the API server cannot be asked, or has too much to do.
    pub fn is_out_of_reach(&self) -> bool {
        matches!(self.reason, Reason::Unreachable | Reason::Silent | Reason::Broken | Reason::Busy)
    }

    /// Whether it may pass while an installation spreads: rights and policies take seconds to reach every API
    /// server.
    pub fn may_be_early(&self) -> bool {
        matches!(self.reason, Reason::Forbidden | Reason::OurPolicy)
    }

    /// Who refused it, in backticks if it has a name of its own.
    pub fn refuser(&self) -> &str {
        self.refuser.as_deref().unwrap_or("?")
    }

    /// How long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The trouble in other words than those for reading: `what` was tried in vain.
    pub fn with_words(&self, what: impl fmt::Display, hint: impl Into<Cow<'static, str>>) -> Trouble {
        let code = self.code.map(|code| format!(" ({code})")).unwrap_or_default();
        let colon = if self.detail.is_empty() { "" } else { ": " };
        let hint = self.hint.clone().unwrap_or_else(|| hint.into());
        Trouble::new(format!("{what}{code}{colon}{}", self.detail), hint)
    }
}

impl From<&kube::Error> for ClusterError {
    fn from(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            let (reason, detail) = causes::told(error);
            return Self::told(reason, detail);
        };
        let (reason, refuser) = status_reason(status);
        Self {
            code: Some(status.code),
            retry_after: retry_after(status),
            refuser,
            ..Self::told(reason, &status.message)
        }
    }
}

/// In the words of who reads; a writer has words of its own for the reasons that speak of the request.
impl From<ClusterError> for Trouble {
    fn from(error: ClusterError) -> Self {
        let (what, hint) = match error.reason {
            Reason::ServiceAccount => (
                "the pod's service account is not usable",
                "does the pod mount a token at /var/run/secrets/kubernetes.io/serviceaccount, as that of `node-annotator \
                 manifests` does?",
            ),
            Reason::Kubeconfig => (
                "no usable kubeconfig",
                "in a pod nothing is needed; elsewhere set KUBECONFIG or --kubeconfig, or see the facts with --dry-run",
            ),
            Reason::Setup => (
                "cannot set up the connection",
                "check the certificates and the server address of the kubeconfig or service account",
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
                "does `certificate-authority` of the kubeconfig, or the pod's ca.crt, belong to this API server, and is it \
                 addressed by a name that its certificate has?",
            ),
            Reason::Clock => (
                "cannot trust the API server now",
                "if this machine's clock is wrong, set it (is NTP running?); else a certificate has to be renewed, the API \
                 server's or its authority's",
            ),
            Reason::ClientCertificate => (
                "our own certificate does not serve",
                "it is the kubeconfig's `client-certificate` with its `client-key`, not the API server's: make it anew, \
                 signed by the authority that the API server trusts for clients",
            ),
            Reason::Algorithm => (
                "the API server's certificate is of a kind that cannot be checked",
                "keys may be RSA, Ed25519 and ECDSA on P-256 or P-384, signatures RSA, Ed25519 and ECDSA with SHA-256 or \
                 SHA-384: give the API server, or its authority, such a certificate",
            ),
            Reason::Foreign => (
                "what answers is no API server",
                "another service, a proxy or a port without TLS answers there: see KUBERNETES_SERVICE_HOST and \
                 KUBERNETES_SERVICE_PORT, or the kubeconfig",
            ),
            Reason::TooLong => (
                "the API server's answer is too long",
                "no API server answers that much to one request of ours: what stands before it, a proxy, portal or load \
                 balancer, sends something else",
            ),
            Reason::Silent => (
                "the API server does not answer",
                "a firewall or NetworkPolicy drops the packets, or a load balancer has no API server behind it",
            ),
            Reason::Broken => (
                "the connection to the API server broke",
                "the API server is restarting, or a proxy or load balancer in between closes the connection",
            ),
            Reason::Forbidden => return Self::new(format!("not allowed: {}", error.detail), RIGHTS),
            Reason::WebhookFailed => {
                return error.with_words(
                    format_args!("the webhook `{}` does not answer the API server", error.refuser()),
                    WEBHOOK_FAILED,
                );
            }
            Reason::NotFound
            | Reason::OurPolicy
            | Reason::TooSoon
            | Reason::OtherPolicy
            | Reason::Webhook
            | Reason::NodeRestriction
            | Reason::Platform
            | Reason::AnnotationQuota
            | Reason::Refused
            | Reason::Busy
            | Reason::Other => {
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

/// What to do about a webhook that does not answer.
pub const WEBHOOK_FAILED: &str = "whoever runs the webhook has to bring it back; see `kubectl get \
     mutatingwebhookconfigurations,validatingwebhookconfigurations`";

/// The rights that an operator's commands need.
pub const ADMINISTRATOR: &str =
    "run it with the rights of a cluster administrator: `kubectl auth can-i '*' '*'` must say yes";

/// Who looks at a fleet needs less than that.
const RIGHTS: &str = "a cluster administrator may grant it: kubectl apply --kustomize deploy/rbac, and a binding of the \
     ClusterRole `node-annotator.read` (deploy/rbac/reading.yaml) or, for rerun, expire and clean, `node-annotator.write` \
     (writing.yaml); doctor needs all rights";

/// For commands that read, each failure of which is a trouble.
impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        ClusterError::from(&error).into()
    }
}

/// What kind of failure it is, and who refused it.
fn status_reason(status: &Status) -> (Reason, Option<String>) {
    if let Some(refused) = refusal::refuser(&status.message) {
        return refused;
    }
    let reason = match status.code {
        404 if status.reason == answers::NO_STATUS => Reason::Foreign,
        401 => Reason::Unauthorized,
        403 => Reason::Forbidden,
        404 => Reason::NotFound,
        422 => Reason::Refused,
        409 | 429 | 500..=599 => Reason::Busy,
        _ => Reason::Other,
    };
    (reason, None)
}

fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)).min(MAX_RETRY_AFTER))
}
