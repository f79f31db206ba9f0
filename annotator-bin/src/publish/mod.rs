//! The only place that writes to a Node: one PATCH, tried again within its budget, and compared with what was stored.

mod connection;
mod error;

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
pub use error::{PublishError, Reason};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Client, ResourceExt};
use node_annotator_core::Plan;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use crate::stop::Stop;

/// Who owns our keys in the Node's `managedFields`.
pub const FIELD_MANAGER: &str = "node-annotator";

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long an answer in flight is awaited once a stop was asked for.
const GRACE: Duration = Duration::from_secs(3);

/// What the API server stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The Node's resource version after the PATCH; the same as before if nothing changed.
    pub resource_version: String,
}

/// Writes the plan on the Node.
///
/// Connection failures, 409, 429 and 5xx are tried again with growing, jittered pauses until `deadline`; a `Retry-After` is
/// respected. Everything else is answered at once, since another try would get the same answer. When a stop is asked for, nothing
/// is started any more, and an answer in flight is awaited for a short time.
pub async fn publish(
    client: Client,
    node: &str,
    plan: &Plan,
    deadline: Instant,
    stop: &Stop,
) -> Result<Published, PublishError> {
    let nodes = Api::all(client);
    // The last failure says more than the deadline that ended the tries.
    let mut last = None;
    let tries = timeout_at(deadline, try_again_and_again(&nodes, node, plan, stop, &mut last));
    let ended = tokio::select! {
        outcome = tries => match outcome {
            Ok(Ok(stored)) => return Ok(stored),
            Ok(Err(ended)) => ended,
            Err(_) => Ended::Deadline,
        },
        () = grace_after(stop) => Ended::Stopped,
    };
    Err(match ended {
        Ended::Answered(error) => error,
        Ended::Deadline => PublishError::deadline(node).after(last),
        Ended::Stopped => PublishError::stopped(node).after(last),
    })
}

/// Why there are no more tries.
enum Ended {
    /// Another try would get the same answer.
    Answered(PublishError),
    Deadline,
    Stopped,
}

async fn try_again_and_again(
    nodes: &Api<Node>,
    node: &str,
    plan: &Plan,
    stop: &Stop,
    last: &mut Option<PublishError>,
) -> Result<Published, Ended> {
    let mut pauses = pauses();
    while !stop.is_requested() {
        let error = match patch(nodes, node, plan).await {
            Ok(stored) => return Ok(stored),
            Err(error) if error.is_retryable() => error,
            Err(error) => return Err(Ended::Answered(error)),
        };
        // Beyond what the server asks for, or all whom it turned away come back in the same moment.
        let pause = error.retry_after().unwrap_or_default() + pauses.next().unwrap_or(LONGEST_PAUSE);
        warn!(%error, ?pause, "the Node is not written yet, trying again");
        *last = Some(error);
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.requested() => {}
        }
    }
    Err(Ended::Stopped)
}

async fn patch(nodes: &Api<Node>, node: &str, plan: &Plan) -> Result<Published, PublishError> {
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let stored: PartialObjectMeta<Node> = nodes
        .patch_metadata(node, &parameters, &Patch::Merge(plan.patch()))
        .await
        .map_err(|error| PublishError::from_client(&error, node))?;
    let empty = BTreeMap::new();
    let annotations = stored.metadata.annotations.as_ref().unwrap_or(&empty);
    let differences = plan.compare(annotations, stored.metadata.labels.as_ref().unwrap_or(&empty));
    if !differences.is_empty() {
        return Err(PublishError::altered(&differences, node));
    }
    let resource_version = stored.resource_version().unwrap_or_default();
    info!(node, resource_version, "the Node is written");
    Ok(Published { resource_version })
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

async fn grace_after(stop: &Stop) {
    stop.requested().await;
    sleep(GRACE).await;
}
