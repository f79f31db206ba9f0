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
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::verdict::{Seen, Verdict};
use crate::cluster;
use crate::exit::Exit;
use crate::node::linger::linger;
use crate::node::publish::{Patience, PublishError, Writer};
use crate::node::termination;
use crate::node::tries::pause_unwritten;
use crate::process::stop::Stop;
use crate::process::watchdog::{LastWords, Watchdog};
use crate::trouble::Trouble;

/// How often the records are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a write is tried.
const DEADLINE: Duration = Duration::from_mins(1);

/// A write ends itself by its deadline; the watchdog acts this much later, if it cannot.
const OVERTIME: Duration = Duration::from_millis(1500);

/// How long it goes on while the API server is out of reach or busy.
const WRITES_FOR: Duration = Duration::from_hours(1);

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

/// What a publisher tells the process that it runs in.
enum Moment {
    /// It begins to write, and ends within [`DEADLINE`].
    Begins,
    /// It has written, or could not. Were it the last time, the process would end so.
    Ended(Exit),
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
        let connect = || {
            let (kubeconfig, user_agent) = (self.kubeconfig.clone(), self.user_agent.clone());
            let configuration =
                async move { cluster::configuration(kubeconfig.as_deref(), &user_agent).await };
            Writer::start(&self.node, Patience::UntilDeadline, configuration, &stop)
        };
        let tell = |moment| match moment {
            Moment::Begins => watchdog.work_begins(DEADLINE + OVERTIME),
            Moment::Ended(exit) => {
                *ended.lock().unwrap_or_else(PoisonError::into_inner) = exit;
                watchdog.work_is_done();
            }
        };
        Ok(self.until_done(connect, &stop, tell).await)
    }

    /// Waits for the outcomes, and writes the first failure and the end. Nobody connects before.
    async fn until_done<'a>(
        &self,
        connect: impl Fn() -> Writer<'a>,
        stop: &Stop,
        mut tell: impl FnMut(Moment),
    ) -> Exit {
        let (mut writer, mut is_told, mut unwritten_since) = (None, false, None);
        let (mut seen, mut since) = (Seen::look(&self.state, &self.steps), Instant::now());
        info!(steps = self.steps.join(", "), "waiting for the steps to end");
        while !stop.is_requested() {
            let now = Seen::look(&self.state, &self.steps);
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            let verdict = seen.verdict(since.elapsed(), self.timeout, self.tries);
            let is_last = matches!(verdict, Verdict::Done(_) | Verdict::Failed(_));
            let Some(report) = self.report(&verdict).filter(|_| is_last || !is_told) else {
                stop.or_after(LOOK_EVERY).await;
                continue;
            };
            let writer = writer.get_or_insert_with(&connect);
            tell(Moment::Begins);
            let plan = self.plan(&report, matches!(verdict, Verdict::Failed(_)));
            let written = writer.write(&plan, Instant::now() + DEADLINE).await;
            let exit = self.log(&report, written.as_ref().err()).await;
            tell(Moment::Ended(exit));
            let Err(error) = written else {
                if is_last {
                    linger(self.linger_limit, exit, stop).await;
                    return exit;
                }
                (is_told, unwritten_since) = (true, None);
                continue;
            };
            let is_over = unwritten_since.get_or_insert_with(Instant::now).elapsed() >= WRITES_FOR;
            let (ends, pause) = (is_over || !error.passes(), pause_unwritten());
            let what = if ends { "the process ends" } else { "writing again" };
            info!(?pause, "the outcome is not written, {what}");
            stop.or_after(pause).await;
            if ends {
                return exit;
            }
        }
        if unwritten_since.is_some() {
            warn!("taken away before the outcome was written");
            return Exit::Unfinished;
        }
        info!("taken away before the steps have ended");
        Exit::Done
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

    fn plan(&self, report: &Report, gives_up: bool) -> Plan {
        let Self { prefix, done_mark, .. } = self;
        let plan = Plan::new(report, prefix, done_mark);
        let ended = gives_up.then_some(self.collector);
        plan.giving_up(ended, prefix, done_mark)
    }

    /// Says in the log and in the termination message how it went.
    async fn log(&self, report: &Report, error: Option<&PublishError>) -> Exit {
        let trouble = error.map(|error| error.trouble(&self.node));
        let failure = report.failures().next().and_then(|entry| entry.outcome.error());
        let exit = match (&trouble, &failure) {
            (Some(_), _) => Exit::Unfinished,
            (None, Some(_)) => Exit::Failures,
            (None, None) => Exit::Done,
        };
        if let Some(Trouble { what, hint }) = &trouble {
            error!(hint = hint.as_deref(), "{what}");
        }
        if let Some(failure) = failure {
            warn!(failure, "the task has failed");
        } else {
            info!("the task is done");
        }
        let message = termination::message(exit, trouble.as_ref(), Some(report));
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

#[cfg(test)]
mod tests;
