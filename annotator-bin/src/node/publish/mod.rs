//! The only place that writes to a Node: one PATCH, tried again within its budget, and compared with what was
//! stored.

mod error;
mod writer;

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
pub use error::PublishError;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Client, ResourceExt};
use node_annotator_core::Plan;
use node_annotator_core::write::FIELD_MANAGER;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};
pub use writer::Writer;

use crate::cluster::ClusterError;
use crate::process::stop::Stop;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long an answer in flight is awaited once a stop was asked for.
const GRACE: Duration = Duration::from_secs(3);

/// Whether a refusal that lasts may still be early: rights and policies take seconds to reach every API
/// server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It ends the run: somebody waits for the answer.
    None,
    /// It is tried again until the deadline: a pod that would only be started again.
    UntilDeadline,
}

impl Patience {
    fn bears(self, error: &ClusterError) -> bool {
        self == Self::UntilDeadline && error.may_be_early()
    }
}

/// What the API server stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The Node's name.
    pub node: String,
    /// The Node's resource version after the PATCH; the same as before if nothing changed.
    pub resource_version: String,
}

/// Writes the plan on the Node.
///
/// Connection failures, 409, 429, 5xx and a change that our policy finds too soon are tried again with
/// growing, jittered pauses until `deadline`; a `Retry-After` is respected. With `patience` so are a 403 and
/// other refusals by our policy, since an installation may be spreading. Everything else ends the tries,
/// since another one would get the same answer. When a stop is asked for, no request is started any more, and
/// an answer in flight is awaited for a short time.
pub async fn publish(
    client: Client,
    node: &str,
    plan: &Plan,
    deadline: Instant,
    patience: Patience,
    stop: &Stop,
) -> Result<Published, PublishError> {
    let nodes = Api::all(client);
    let mut pauses = pauses();
    let mut last = None;
    let mut told = String::new();
    while !stop.is_requested() {
        let asked = Instant::now();
        let error = tokio::select! {
            biased;
            answer = patch(&nodes, node, plan) => match answer {
                Err(PublishError::Cluster(error)) if error.is_retryable() || patience.bears(&error) => error,
                ended => return ended,
            },
            () = sleep_until(deadline) => return Err(match last {
                None => PublishError::Unanswered(asked.elapsed()),
                last => PublishError::Deadline(last),
            }),
            () = grace_after(stop) => return Err(PublishError::Stopped(last)),
        };
        let pause =
            error.retry_after().map_or(Duration::ZERO, spread) + pauses.next().unwrap_or(LONGEST_PAUSE);
        let what = error::write_trouble(&error, node).what;
        if what == told {
            debug!(?pause, "the Node is not written yet, trying again");
        } else {
            warn!(error = what, ?pause, "the Node is not written yet, trying again");
            told = what;
        }
        last = Some(error);
        tokio::select! {
            biased;
            () = stop.requested() => {}
            () = sleep_until(deadline) => return Err(PublishError::Deadline(last)),
            () = sleep(pause) => {}
        }
    }
    Err(PublishError::Stopped(last))
}

async fn patch(nodes: &Api<Node>, node: &str, plan: &Plan) -> Result<Published, PublishError> {
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let stored: PartialObjectMeta<Node> = nodes
        .patch_metadata(node, &parameters, &Patch::Merge(plan.patch()))
        .await
        .map_err(|error| PublishError::Cluster(ClusterError::from(&error)))?;
    let empty = BTreeMap::new();
    let annotations = stored.metadata.annotations.as_ref().unwrap_or(&empty);
    let differences = plan.compare(annotations, stored.metadata.labels.as_ref().unwrap_or(&empty));
    if !differences.is_empty() {
        return Err(PublishError::Altered(differences));
    }
    let resource_version = stored.resource_version().unwrap_or_default();
    info!(node, resource_version, "the Node is written");
    Ok(Published { node: node.to_owned(), resource_version })
}

fn pauses() -> impl Iterator<Item = Duration> {
    // The deadline ends the tries, not their number.
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

/// What the server asks for, and up to half of it more: all whom it turned away in one moment were told the
/// same.
fn spread(asked: Duration) -> Duration {
    asked.mul_f64(1.0 + fastrand::f64() / 2.0)
}

async fn grace_after(stop: &Stop) {
    stop.requested().await;
    sleep(GRACE).await;
}
