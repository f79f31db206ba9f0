//! Why the Node was not written.

use std::time::Duration;

use node_annotator_core::fact::clean;
use node_annotator_core::plan::Difference;

use crate::cluster::{ClusterError, Reason, WEBHOOK_FAILED};
use crate::trouble::Trouble;

/// Longest list of differences.
const MAX_LIST_BYTES: usize = 1024;

/// The Node was not written as planned.
#[derive(Debug)]
pub enum PublishError {
    /// The API server refused it, or could not be asked.
    Cluster(ClusterError),
    /// The API server stored something else than was sent.
    Altered(Vec<Difference>),
    /// The deadline ended the tries; with what the last one met.
    Deadline(Option<ClusterError>),
    /// The deadline came while the API server had not answered the first try for this long.
    Unanswered(Duration),
    /// The deadline came before there was a client to ask with.
    Unprepared,
    /// A stop was asked for before an answer came; with what the last try met.
    Stopped(Option<ClusterError>),
}

impl PublishError {
    /// Whether the API server was out of reach or had too much to do: it may take the same later.
    pub fn passes(&self) -> bool {
        match self {
            Self::Deadline(Some(last)) => last.is_out_of_reach(),
            Self::Unanswered(_) => true,
            _ => false,
        }
    }

    /// What went wrong on this node, and what to do about it.
    pub fn trouble(&self, node: &str) -> Trouble {
        match self {
            Self::Cluster(error) => write_trouble(error, node),
            Self::Altered(differences) => {
                let list = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Trouble::new(
                    format!("node `{node}` is not as it was written: {}", clean(&list, MAX_LIST_BYTES)),
                    "a mutating webhook or admission policy takes the key out or changes it: exempt keys under our prefix \
                     there, and look at `kubectl get mutatingwebhookconfigurations,mutatingadmissionpolicies`",
                )
            }
            Self::Deadline(last) => ended(
                format!("node `{node}` could not be written before the deadline"),
                "raise --deadline and --publish-budget if the API server needs longer",
                last.as_ref(),
                node,
            ),
            Self::Unanswered(silence) => Trouble::new(
                format!(
                    "node `{node}` could not be written before the deadline: the API server had not answered for {:.1} s",
                    silence.as_secs_f64()
                ),
                "is the API server overloaded, or a webhook for Nodes slow? raise --publish-budget, and --deadline with \
                 it, if it needs longer",
            ),
            Self::Unprepared => Trouble::new(
                format!(
                    "node `{node}` could not be written before the deadline: there are no credentials yet"
                ),
                "the credential plugin of the kubeconfig has not ended, or the kubeconfig cannot be read: does the plugin \
                 work on a shell?",
            ),
            Self::Stopped(last) => ended(
                format!("stopped before node `{node}` was written"),
                "the next run writes the Node",
                last.as_ref(),
                node,
            ),
        }
    }
}

/// The end of the tries. If one of them failed, its failure is the cause, and its hint the one that helps.
fn ended(what: String, hint: &'static str, last: Option<&ClusterError>, node: &str) -> Trouble {
    match last.map(|error| write_trouble(error, node)) {
        Some(cause) => Trouble { what: format!("{what}: {}", cause.what), hint: cause.hint },
        None => Trouble::new(what, hint),
    }
}

/// A failed request in the words of who writes a Node.
pub(super) fn write_trouble(error: &ClusterError, node: &str) -> Trouble {
    let refused_by = |who: &str| format!("{who} `{}` refused the change of node `{node}`", error.refuser());
    match error.reason() {
        Reason::Forbidden => error.with_words(
            format_args!("not allowed to patch node `{node}`"),
            "grant the service account the verb `patch` on `nodes`, as the generated ClusterRole does",
        ),
        Reason::NotFound => error.with_words(
            format_args!("there is no node `{node}`"),
            "NODE_NAME must be the name of a Node: in a pod, set it from `spec.nodeName`",
        ),
        Reason::OurPolicy => error.with_words(
            refused_by("our own admission policy"),
            "it allows a pod to write what its collectors declare, on the Node that it runs on: is the policy that of this \
             version and these collectors? `node-annotator doctor` tells, `node-annotator manifests` makes it anew",
        ),
        Reason::TooSoon => error.with_words(
            refused_by("our own admission policy"),
            "another pod of ours changed this Node a moment ago, and a later try gets through; a run that only removes facts \
             beside its done labels never does: take one of these labels away and run again",
        ),
        Reason::OtherPolicy => error.with_words(
            refused_by("the admission policy"),
            "waiting does not help: whoever wrote that policy, which is not ours, has to let the service account change \
             labels and annotations under our prefix on Nodes",
        ),
        Reason::Webhook => error.with_words(
            refused_by("the webhook"),
            "waiting does not help: whoever runs that webhook has to let the service account change labels and \
             annotations under our prefix on Nodes",
        ),
        Reason::WebhookFailed => error.with_words(
            format_args!(
                "the webhook `{}` does not answer, and the API server does not change node `{node}` without it",
                error.refuser()
            ),
            WEBHOOK_FAILED,
        ),
        Reason::Platform => error.with_words(
            format_args!("{} does not let anybody change node `{node}`", error.refuser()),
            "waiting does not help, and neither do rights: this platform keeps its nodes to itself; exclude them from the \
             DaemonSets, or ask the provider",
        ),
        Reason::NodeRestriction => error.with_words(
            format_args!("the plugin NodeRestriction refused the change of node `{node}`"),
            "waiting does not help: these are the credentials of a kubelet, which may not set such keys; use a service \
             account",
        ),
        Reason::AnnotationQuota => error.with_words(
            format_args!("the annotations of node `{node}` are full"),
            "waiting does not help: all annotations of a Node together may take 256 KiB; see who fills them with `kubectl \
             get node -o yaml`, and take some away",
        ),
        Reason::Refused => error.with_words(
            format_args!("the API server refused the change of node `{node}`"),
            "waiting does not help: the message names the field or the plugin",
        ),
        Reason::Busy => error.with_words(
            "the API server cannot take the change now",
            "the API server is overloaded or starting; the pod's next start tries again",
        ),
        Reason::Other => {
            error.with_words(format_args!("cannot write node `{node}`"), "run again with --log-level debug")
        }
        _ => error.clone().into(),
    }
}
