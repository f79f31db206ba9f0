//! The only place that writes to a Node: one PATCH, tried again within its budget, and compared with what was stored.

mod error;

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
pub use error::{PublishError, Reason};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Client, ResourceExt};
use node_annotator_core::Plan;
use tokio::time::Instant;
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
    let nodes: Api<Node> = Api::all(client);
    // The first failure that says something beats the deadline that ends the tries.
    let mut last = None;
    let tries = (|| patch(&nodes, node, plan))
        .retry(pauses())
        .when(|error: &PublishError| error.is_retryable() && !stop.is_requested())
        .adjust(|error, pause| pause.map(|pause| pause.max(error.retry_after().unwrap_or_default())))
        .notify(|error, pause| {
            warn!(error = %error, ?pause, "the Node is not written yet, trying again");
            last = Some(error.to_string());
        });
    let outcome = tokio::select! {
        outcome = tokio::time::timeout_at(deadline, tries) => outcome.map_err(|_| Reason::Deadline),
        () = grace_after(stop) => Err(Reason::Stopped),
    };
    match outcome {
        Ok(Ok(stored)) => Ok(stored),
        Ok(Err(error)) => Err(error),
        Err(reason) => Err(PublishError::new(reason, node, last)),
    }
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

fn pauses() -> ExponentialBuilder {
    // The deadline ends the tries, not their number.
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
}

async fn grace_after(stop: &Stop) {
    stop.requested().await;
    tokio::time::sleep(GRACE).await;
}
