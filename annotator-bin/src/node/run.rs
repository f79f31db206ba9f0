//! One run: collect, plan, publish.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kube::{Client, Config};
use node_annotator_core::{Context, DoneMark, Plan, Prefix, Report, Runner, Selection};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

use super::publish::{Patience, PublishError, Published, publish};
use crate::cluster::{self, ClusterError};
use crate::exit::Exit;
use crate::process::stop::Stop;
use crate::trouble::Trouble;

/// What to run, and within which bounds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The collectors.
    pub selection: Selection,
    /// The prefix of all keys.
    pub prefix: Prefix,
    /// What the done label says.
    pub done_mark: DoneMark,
    /// Whether the day is written beside the facts.
    pub stamp_day: bool,
    /// Where the result goes.
    pub target: Target,
    /// When the process has written what there is to write and ends, counted from its start.
    pub deadline: Duration,
    /// The part of the deadline that is kept for publishing, however long collecting takes.
    pub publish_budget: Duration,
    /// Whether a refusal that may be early is tried again.
    pub patience: Patience,
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
pub enum Finished {
    /// It was stopped while it collected.
    Stopped(Trouble),
    /// It collected.
    Ran {
        /// The outcomes.
        report: Report,
        /// What was to be written.
        plan: Plan,
        /// What became of the plan.
        written: Written,
    },
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It was to be shown alone.
    DryRun,
    /// It is on the Node.
    Stored(Published),
    /// It is not on the Node.
    Failed(Trouble),
}

impl Finished {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Stopped(_) | Self::Ran { written: Written::Failed(_), .. } => Exit::Unfinished,
            Self::Ran { report, .. } if report.failures().next().is_some() => Exit::Failures,
            Self::Ran { .. } => Exit::Done,
        }
    }

    /// The outcomes, if it collected.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Stopped(_) => None,
            Self::Ran { report, .. } => Some(report),
        }
    }

    /// Why nothing is written.
    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Stopped(trouble) | Self::Ran { written: Written::Failed(trouble), .. } => Some(trouble),
            Self::Ran { .. } => None,
        }
    }
}

/// Collects, connects meanwhile, and publishes. `configuration` finds the cluster; it is not awaited in a dry
/// run.
///
/// A connection is no request: the API server hears nothing but the handshake before there is something to
/// write. The future is done by the deadline at the latest, whatever a collector or the API server does.
pub async fn run(
    settings: &Settings,
    cx: Arc<Context>,
    configuration: impl Future<Output = Result<Config, ClusterError>> + Send + 'static,
    stop: &Stop,
) -> Finished {
    let deadline = Instant::now() + settings.deadline;
    // Dropping the set ends the task in it.
    let mut connecting = JoinSet::new();
    if settings.target != Target::DryRun {
        connecting.spawn(connect(configuration));
    }
    let runner = Runner { collect_budget: settings.deadline.saturating_sub(settings.publish_budget) };
    let report = tokio::select! {
        biased;
        () = stop.requested() => {
            let trouble = stopped();
            warn!("{}", trouble.what);
            return Finished::Stopped(trouble);
        }
        report = runner.run(&settings.selection, cx) => report,
    };
    let today = || Timestamp::now().to_zoned(TimeZone::UTC).date().to_string();
    let report = report.on_day(settings.stamp_day.then(today));
    let plan = Plan::new(&report, &settings.prefix, &settings.done_mark);
    let written = match &settings.target {
        Target::DryRun => Written::DryRun,
        Target::Node(node) => {
            let client = tokio::select! {
                biased;
                () = stop.requested() => Err(stopped()),
                client = timeout_at(deadline, connected(&mut connecting)) => client
                    .unwrap_or(Err(PublishError::Unprepared))
                    .map_err(|error| error.trouble(node)),
            };
            let stored = match client {
                Ok(client) => publish(client, node, &plan, deadline, settings.patience, stop)
                    .await
                    .map_err(|error| error.trouble(node)),
                Err(trouble) => Err(trouble),
            };
            stored.map_or_else(Written::Failed, Written::Stored)
        }
    };
    let finished = Finished::Ran { report, plan, written };
    if let Some(Trouble { what, hint }) = finished.trouble() {
        error!(hint = hint.as_deref(), "{what}");
    }
    finished
}

/// Finds the cluster, and starts to connect.
async fn connect(
    configuration: impl Future<Output = Result<Config, ClusterError>>,
) -> Result<Client, ClusterError> {
    let config = configuration.await?;
    if cluster::has_credential_plugin(&config) {
        // The plugin would block this thread, and with it every timer of the collectors.
        return spawn_blocking(|| cluster::client(config)).await.expect("it does not panic");
    }
    cluster::connecting_client(config)
}

/// The client, once it is there.
async fn connected(connecting: &mut JoinSet<Result<Client, ClusterError>>) -> Result<Client, PublishError> {
    let client = connecting.join_next().await.expect("it is started whenever there is a Node to write");
    client.expect("it does not panic").map_err(PublishError::Cluster)
}

fn stopped() -> Trouble {
    Trouble::new("stopped before anything was written", "the next run starts again")
}
