//! Why the Node was not written.

use node_annotator_core::fact::clean;
use node_annotator_core::plan::Difference;

use crate::cluster::{ClusterError, Reason};
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
    /// A stop was asked for before an answer came; with what the last try met.
    Stopped(Option<ClusterError>),
}

impl PublishError {
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
    match error.reason() {
        Reason::Forbidden => error.with_words(
            format_args!("not allowed to patch node `{node}`"),
            "grant the service account the verb `patch` on `nodes`, as the generated ClusterRole does",
        ),
        Reason::NotFound => error.with_words(
            format_args!("there is no node `{node}`"),
            "NODE_NAME must be the name of a Node: in a pod, set it from `spec.nodeName`",
        ),
        Reason::Refused => error.with_words(
            format_args!("the API server refused the change of node `{node}`"),
            "the message names the policy, webhook or rule; ours allows a pod to change only the Node that it runs on, and \
             only keys under its prefix",
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
