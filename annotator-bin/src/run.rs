//! One run: collect, plan, publish, linger.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use kube::{Client, Config};
use node_annotator_core::error::chain;
use node_annotator_core::fact::clean;
use node_annotator_core::{Context, DoneMark, Plan, Prefix, Report, Runner, Selection};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tracing::{error, info, warn};

use crate::cluster::{self, ClusterError};
use crate::exit::Exit;
use crate::publish::{PublishError, Published, publish};
use crate::stop::Stop;

/// What to run, and within which bounds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The collectors.
    pub selection: Selection,
    /// The prefix of all keys.
    pub prefix: Prefix,
    /// What the done label says.
    pub mark: DoneMark,
    /// Where the result goes.
    pub target: Target,
    /// When the process has written what there is to write and ends, counted from its start.
    pub deadline: Duration,
    /// The part of the deadline that is kept for publishing, however long collecting takes.
    pub publish_budget: Duration,
    /// How long a successful run waits for SIGTERM; `None` does not wait.
    pub linger: Option<Duration>,
}

/// Where the result of a run goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// On the Node of this name.
    Node(String),
    /// Nowhere: the plan is shown, and no cluster is asked.
    DryRun,
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    /// What the exit status will say.
    pub exit: Exit,
    /// The outcomes; `None` if the run was stopped while collecting.
    pub report: Option<Report>,
    /// What was to be written.
    pub plan: Option<Plan>,
    /// What the API server stored; `None` if nothing was written.
    pub published: Option<Published>,
    /// Why nothing was written.
    pub error: Option<Failure>,
}

/// Why a run wrote nothing, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, with its causes.
    pub message: String,
    /// What the operator can do.
    pub hint: &'static str,
}

/// Collects, connects meanwhile, and publishes. `connect` finds the cluster; it is not called for a dry run.
///
/// A connection is no request: the API server hears nothing but the handshake before there is something to write.
/// The future is done by the deadline at the latest, whatever a collector or the API server does.
pub async fn run(
    settings: &Settings,
    cx: Arc<Context>,
    connect: impl AsyncFnOnce() -> Result<Config, ClusterError>,
    stop: &Stop,
) -> Finished {
    let deadline = Instant::now() + settings.deadline;
    let runner = Runner { collect_budget: settings.deadline.saturating_sub(settings.publish_budget) };
    let collected = Notify::new();
    let mut opening = pin!(open(&settings.target, connect, &collected));
    let mut collecting = pin!(runner.run(&settings.selection, cx));
    let mut opened = None;
    let report = loop {
        tokio::select! {
            biased;
            () = stop.requested() => return stopped_while_collecting(),
            // First, since then the network works while we do.
            result = &mut opening, if opened.is_none() => opened = Some(result),
            report = &mut collecting => break report,
        }
    };
    collected.notify_one();
    let plan = Plan::new(&report, &settings.prefix, &settings.mark);
    let published = match &settings.target {
        Target::DryRun => Ok(None),
        Target::Node(node) => {
            let client = async {
                match opened {
                    Some(client) => client,
                    None => opening.await,
                }
            };
            write(node, &plan, client, deadline, stop).await.map(Some)
        }
    };
    let (exit, published, error) = match published {
        Ok(published) if report.failures().next().is_none() => (Exit::Done, published, None),
        Ok(published) => (Exit::SomeFailed, published, None),
        Err(failure) => {
            error!(hint = failure.hint, "{}", failure.message);
            (Exit::NotPublished, None, Some(failure))
        }
    };
    Finished { exit, report: Some(report), plan: Some(plan), published, error }
}

/// Finds the cluster, and starts to connect.
async fn open(
    target: &Target,
    connect: impl AsyncFnOnce() -> Result<Config, ClusterError>,
    collected: &Notify,
) -> Result<Client, Failure> {
    let Target::Node(node) = target else { return pending().await };
    let config =
        connect().await.map_err(|error| Failure { message: one_line(&error), hint: error.hint() })?;
    let auth = &config.auth_info;
    let client = if auth.exec.is_some() || auth.auth_provider.is_some() {
        // A credential plugin blocks this thread, and with it every timer of the collectors.
        collected.notified().await;
        cluster::client(config)
    } else {
        cluster::connected_client(config)
    };
    client.map_err(|error| match error {
        kube::Error::Auth(_) => PublishError::from_client(&error, node).into(),
        error => Failure {
            message: format!("cannot set up the connection: {}", one_line(&error)),
            hint: "check the certificates and the server address of the kubeconfig or service account; proxies (HTTPS_PROXY) are not supported",
        },
    })
}

async fn write(
    node: &str,
    plan: &Plan,
    client: impl Future<Output = Result<Client, Failure>>,
    deadline: Instant,
    stop: &Stop,
) -> Result<Published, Failure> {
    let client = tokio::select! {
        biased;
        () = stop.requested() => return Err(stopped()),
        client = timeout_at(deadline, client) => client,
    };
    let client = client.map_err(|_| PublishError::deadline(node))??;
    Ok(publish(client, node, plan, deadline, stop).await?)
}

/// Some causes, such as those of a YAML parser, draw pictures.
fn one_line(error: &dyn std::error::Error) -> String {
    clean(&chain(error), 1024)
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

fn stopped() -> Failure {
    Failure { message: "stopped before anything was written".to_owned(), hint: "the next run starts again" }
}

fn stopped_while_collecting() -> Finished {
    let failure = stopped();
    warn!("{}", failure.message);
    Finished { exit: Exit::NotPublished, report: None, plan: None, published: None, error: Some(failure) }
}

/// Waits for the DaemonSet controller to take the pod away, so that the kubelet sees no exit that it would answer with a restart.
///
/// The wait is bounded, and the bound varies by a tenth, so that a fleet whose labels were all taken away does not come back
/// in one moment.
pub async fn linger(limit: Duration, stop: &Stop) {
    let limit = limit.mul_f64(0.9 + 0.2 * fastrand::f64());
    info!(seconds = limit.as_secs(), "done; waiting to be taken away");
    tokio::select! {
        () = stop.requested() => info!("taken away"),
        () = tokio::time::sleep(limit) => {
            warn!(
                "nobody took this pod away: the done label was removed, or the DaemonSet's affinity is not keyed on it; \
                 the next run repairs what was lost"
            );
        }
    }
}
