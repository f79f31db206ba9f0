//! One run: collect, plan, publish; and the same again for what failed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kube::Config;
use node_annotator_core::{
    Context, DoneMark, GiveUpAfter, LabelFacts, Plan, Prefix, Report, Runner, Selection,
};
use tokio::time::Instant;
use tracing::{error, warn};

use super::finished::{Finished, Written};
use super::publish::{Patience, Writer};
use super::tries::{News, Next, Tries};
use crate::cluster::ClusterError;
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
    /// The facts that are labels too.
    pub labels: LabelFacts,
    /// Where the result goes.
    pub target: Target,
    /// When a try has written what there is to write, counted from its start.
    pub deadline: Duration,
    /// The part of the deadline that is kept for publishing, however long collecting takes.
    pub publish_budget: Duration,
    /// Whether a refusal that may be early is tried again.
    pub patience: Patience,
    /// When a collector that fails is given up; `None` tries it once.
    pub give_up_after: Option<GiveUpAfter>,
}

/// Where the result of a run goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// On the Node of this name.
    Node(String),
    /// Nowhere: the plan is shown, and no cluster is asked.
    DryRun,
}

/// A run, which may take several tries.
#[derive(Debug)]
pub struct Run<'a> {
    settings: &'a Settings,
    cx: Arc<Context>,
    stop: &'a Stop,
    /// There is none in a dry run.
    writer: Option<Writer<'a>>,
    runner: Runner,
    tries: Tries,
    /// The latest outcome of each collector.
    report: Option<Report>,
    /// What the API server could not take yet.
    unwritten: Option<News>,
}

impl<'a> Run<'a> {
    /// Starts to connect. `configuration` finds the cluster; it is not awaited in a dry run.
    pub fn start(
        settings: &'a Settings,
        cx: Arc<Context>,
        configuration: impl Future<Output = Result<Config, ClusterError>> + Send + 'static,
        stop: &'a Stop,
    ) -> Self {
        let writer = match &settings.target {
            Target::Node(node) => Some(Writer::start(node, settings.patience, configuration, stop)),
            Target::DryRun => None,
        };
        Self {
            settings,
            cx,
            stop,
            writer,
            runner: Runner::new(settings.deadline.saturating_sub(settings.publish_budget)),
            tries: Tries::new(settings.give_up_after),
            report: None,
            unwritten: None,
        }
    }

    /// Collects what is not done, and publishes what is new of it.
    ///
    /// The future is done by the deadline at the latest, whatever a collector or the API server does.
    pub async fn attempt(&mut self) -> Finished {
        let deadline = Instant::now() + self.settings.deadline;
        let news = match self.tries.remaining(&self.settings.selection) {
            Some(selection) => {
                let cx = Arc::new(self.cx.afresh());
                let report = tokio::select! {
                    biased;
                    () = self.stop.requested() => return self.stopped(),
                    report = self.runner.run(&selection, cx) => report,
                };
                Some(self.take(report))
            }
            None => None,
        };
        let Some(news) = News::all(self.unwritten.take(), news) else { return self.unchanged() };
        let Settings { prefix, done_mark, labels, .. } = self.settings;
        let plan = Plan::new(&news.changed, prefix, done_mark)
            .labelling(&news.changed, labels, prefix)
            .giving_up(news.given_up.iter().copied(), prefix, done_mark);
        let written = self.write(&plan, deadline).await;
        if matches!(written, Written::Failed { passes: true, .. }) {
            self.unwritten = Some(news);
        }
        let report = self.report.clone().expect("there is no news without a report");
        let finished = Finished::Ran { report, plan, written };
        if let Some(Trouble { what, hint }) = finished.trouble() {
            error!(hint = hint.as_deref(), "{what}");
        }
        finished
    }

    /// Keeps what collectors brought, and returns what is new of it.
    fn take(&mut self, report: Report) -> News {
        let today = || Timestamp::now().to_zoned(TimeZone::UTC).date().to_string();
        let report = report.on_day(self.settings.stamp_day.then(today));
        let news = self.tries.take(&report);
        self.report = Some(match self.report.take() {
            Some(earlier) => earlier.updated(report),
            None => report,
        });
        news
    }

    /// What comes after a try that ended so.
    pub fn next(&self, finished: &Finished) -> Next {
        self.tries.next(finished)
    }

    /// There is nothing to write.
    fn unchanged(&self) -> Finished {
        match self.report.clone() {
            Some(report) => Finished::Ran { report, plan: Plan::default(), written: Written::Unchanged },
            None => self.stopped(),
        }
    }

    /// A stop came before there was anything new to write.
    fn stopped(&self) -> Finished {
        if self.report.is_some() && self.unwritten.is_none() {
            return self.unchanged();
        }
        let trouble = stopped();
        warn!("{}", trouble.what);
        Finished::Stopped(trouble)
    }

    async fn write(&mut self, plan: &Plan, deadline: Instant) -> Written {
        let Some(writer) = &mut self.writer else { return Written::DryRun };
        match writer.write(plan, deadline).await {
            Ok(published) => Written::Stored(published),
            Err(error) => Written::Failed { trouble: error.trouble(writer.node()), passes: error.passes() },
        }
    }
}

fn stopped() -> Trouble {
    Trouble::new("stopped before anything was written", "the next run starts again")
}
