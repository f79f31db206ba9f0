//! The publisher of a task: it waits for the outcomes of all steps, and writes them on the Node.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use node_annotator_core::fact::clean;
use node_annotator_core::task::VALUE_FILE;
use node_annotator_core::{
    CollectError, Collector, DoneMark, Entry, Facts, HostRoot, Outcome, Plan, Prefix, Report,
};
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use super::verdict::{Seen, Verdict};
use crate::cluster;
use crate::exit::Exit;
use crate::node::linger::linger;
use crate::node::publish::{Patience, PublishError, Published, publish};
use crate::node::termination;
use crate::process::stop::Stop;
use crate::process::watchdog::{LastWords, Watchdog};
use crate::trouble::Trouble;

/// How often the records are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a write is tried.
const DEADLINE: Duration = Duration::from_mins(1);

/// A write ends itself by its deadline; the watchdog acts this much later, if it cannot.
const OVERTIME: Duration = Duration::from_millis(1500);

/// The longest pause before the process ends that could not write.
const LONGEST_PAUSE_BEFORE_END: Duration = Duration::from_mins(1);

/// What is published, and of which task.
#[derive(Debug)]
pub struct Publisher {
    /// What stands for the task.
    pub collector: &'static Collector,
    /// Its steps, in the order in which they start.
    pub steps: Vec<String>,
    /// Where their records are.
    pub state: PathBuf,
    /// How long a try may take, and the start of a step.
    pub timeout: Duration,
    /// How often a step is tried.
    pub tries: u32,
    /// The prefix of all keys.
    pub prefix: Prefix,
    /// What the done label says.
    pub done_mark: DoneMark,
    /// Whether the day is written beside the facts.
    pub stamp_day: bool,
    /// The Node.
    pub node: String,
    /// Where the boot is told.
    pub host: HostRoot,
    /// The kubeconfig, if it is not looked for.
    pub kubeconfig: Option<PathBuf>,
    /// Who it is in the API server's audit log.
    pub user_agent: String,
    /// Where the kubelet reads the termination message.
    pub termination_message_path: PathBuf,
    /// How long it waits to be taken away at most.
    pub linger_limit: Duration,
}

impl Publisher {
    /// Publishes the outcomes, with all that belongs to a process, and waits to be taken away.
    pub async fn run(self) -> anyhow::Result<Exit> {
        hide_from_others().context("cannot hide from other processes")?;
        let ended = Arc::new(Mutex::new(Exit::Unfinished));
        let (watchdog, stop) = Watchdog::start({
            let ended = Arc::clone(&ended);
            move || LastWords {
                code: ended.lock().unwrap_or_else(PoisonError::into_inner).code(),
                message: "stuck: the runtime does not answer",
            }
        })
        .context("cannot handle signals")?;
        let (mut told, mut since) = (None, Instant::now());
        let mut seen = Seen::look(&self.state, &self.steps);
        info!(steps = self.steps.join(", "), "waiting for the steps to end");
        while !stop.is_requested() {
            let now = Seen::look(&self.state, &self.steps);
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            let verdict = seen.verdict(since.elapsed(), self.timeout, self.tries);
            let is_last = matches!(verdict, Verdict::Done(_) | Verdict::Failed(_));
            if let Some(report) = self.report(&verdict)
                && (is_last || told.is_none())
            {
                watchdog.work_begins(DEADLINE + OVERTIME);
                let written = self.write(&report, matches!(verdict, Verdict::Failed(_)), &stop).await;
                let exit = self.tell(&report, written.as_ref().err()).await;
                *ended.lock().unwrap_or_else(PoisonError::into_inner) = exit;
                watchdog.work_is_done();
                if written.is_err() {
                    // The kubelet shows it, and starts this container again.
                    stop.or_after(LONGEST_PAUSE_BEFORE_END.mul_f64(fastrand::f64())).await;
                    return Ok(exit);
                }
                if is_last {
                    linger(self.linger_limit, exit, &stop).await;
                    return Ok(exit);
                }
                told = Some(verdict);
            }
            tokio::select! {
                () = stop.requested() => {}
                () = sleep(LOOK_EVERY) => {}
            }
        }
        info!("taken away before the steps have ended");
        Ok(Exit::Done)
    }

    /// What is to be written; nothing while all goes well.
    fn report(&self, verdict: &Verdict) -> Option<Report> {
        let outcome = match verdict {
            Verdict::Pending => return None,
            Verdict::Failing(text) | Verdict::Failed(text) => Outcome::failed(&CollectError::new(text)),
            Verdict::Done(facts) => Outcome::Collected(self.facts(facts)),
        };
        let entry = Entry { collector: self.collector, outcome, attempts: 1, duration: Duration::ZERO };
        let today = || Timestamp::now().to_zoned(TimeZone::UTC).date().to_string();
        let report = Report::new(vec![entry]).bounded(0).in_boot(self.host.boot_id());
        Some(report.on_day(self.stamp_day.then(today)))
    }

    /// What the commands wrote, of what is declared. They may have written records of their own, too.
    fn facts(&self, written: &std::collections::BTreeMap<String, String>) -> Facts {
        self.collector.facts.iter().fold(Facts::new(""), |facts, fact| {
            let value = written.get(fact.name.unwrap_or(VALUE_FILE));
            facts.with_some(fact, value.map(|value| clean(value, fact.max_bytes)))
        })
    }

    async fn write(&self, report: &Report, gives_up: bool, stop: &Stop) -> Result<Published, Trouble> {
        let Self { prefix, done_mark, node, .. } = self;
        let mut plan = Plan::new(report, prefix, done_mark);
        if gives_up {
            plan = plan.giving_up([self.collector], prefix, done_mark);
        }
        let deadline = Instant::now() + DEADLINE;
        let connecting = async {
            let config = cluster::configuration(self.kubeconfig.as_deref(), &self.user_agent).await?;
            cluster::client_off_thread(config).await
        };
        let client = connecting.await.map_err(|error| PublishError::Cluster(error).trouble(node))?;
        publish(client, node, &plan, deadline, Patience::UntilDeadline, stop)
            .await
            .map_err(|error| error.trouble(node))
    }

    /// Says in the log and in the termination message how it went.
    async fn tell(&self, report: &Report, trouble: Option<&Trouble>) -> Exit {
        let failure = report.failures().next().and_then(|entry| entry.outcome.error());
        let exit = match (trouble, &failure) {
            (Some(_), _) => Exit::Unfinished,
            (None, Some(_)) => Exit::Failures,
            (None, None) => Exit::Done,
        };
        if let Some(Trouble { what, hint }) = trouble {
            error!(hint = hint.as_deref(), "{what}");
        }
        if let Some(failure) = failure {
            warn!(failure, "the task has failed");
        } else {
            info!("the task is done");
        }
        let message = termination::message(exit, trouble, Some(report));
        termination::write(self.termination_message_path.clone(), message).await;
        exit
    }
}

/// Neither memory nor files of this process can be looked into by another one of its user.
fn hide_from_others() -> io::Result<()> {
    // Pods run on Linux alone.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
