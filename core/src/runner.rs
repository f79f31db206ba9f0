//! Runs the selected collectors at once, each within its own time, and makes a report of whatever happens.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use crate::context::BootId;
use crate::facts::LeftOut;
use crate::report::TimeLimit;
use crate::{Collect, CollectError, Collected, Collector, Context, Entry, Outcome, Report, Selection};

/// How often a retryable failure is tried again within the collector's timeout, and how long between tries.
///
/// A node that starts may wait seconds for its network, so a few tries pay; beyond that the whole run is
/// tried again.
const RETRIES: usize = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// How many collectors read files at once: enough to use the time that one waits, few enough for a pod's
/// memory.
const THREADS: usize = 4;

/// Runs collectors. Nothing that a collector does fails the run: it ends as its entry in the report.
///
/// One runner serves all tries of a process, since it knows what is left of earlier ones.
#[derive(Debug)]
pub struct Runner {
    collect_budget: Duration,
    /// The size of all values that were found so far.
    found: usize,
    /// What failed at the last try, each with what tells whether a thread of it still reads.
    failed: BTreeMap<&'static str, (Weak<()>, Outcome)>,
}

impl Runner {
    /// All collectors together may take so long in each try.
    pub fn new(collect_budget: Duration) -> Self {
        Self { collect_budget, found: 0, failed: BTreeMap::new() }
    }

    /// Runs all selected collectors at once and waits until each is done or out of time.
    ///
    /// Collectors that read files share a few threads, and the wait for one is not counted against their
    /// timeout. A read that never returns keeps its thread, and nothing else: whoever owns the runtime must
    /// not wait for it. A collector with such a thread is not started again, and has the outcome that it had,
    /// so that threads do not pile up.
    pub async fn run(&mut self, selection: &Selection, cx: Arc<Context>) -> Report {
        let (threads, end) = (Arc::new(Semaphore::new(THREADS)), Instant::now() + self.collect_budget);
        let boot_id = boot_id(&cx, end);
        let mut running = JoinSet::new();
        let mut stuck = Vec::new();
        let mut readers = BTreeMap::new();
        for collector in selection.iter() {
            if let Some((reader, outcome)) = self.failed.remove(collector.name)
                && reader.strong_count() > 0
            {
                let entry = Entry { collector, outcome, attempts: 0, duration: Duration::ZERO };
                readers.insert(collector.name, reader);
                stuck.push(entry);
                continue;
            }
            let (cx, threads) = (cx.restricted_to(collector), Arc::clone(&threads));
            readers.insert(collector.name, cx.host.reader());
            let budget = self.collect_budget;
            running.spawn(async move {
                let Ok(thread) = timeout_at(end, thread(collector, &threads)).await else {
                    let outcome = Outcome::TimedOut(TimeLimit::CollectBudget(budget));
                    return Entry { collector, outcome, attempts: 0, duration: budget };
                };
                let entry = run_one(collector, Arc::new(cx), budget, end).await;
                // Whatever the thread does: one that hangs is not waited for, and another takes its place.
                drop(thread);
                entry
            });
        }
        let mut entries = running.join_all().await;
        entries.extend(stuck);
        let report = Report::new(entries).bounded(self.found).in_boot(boot_id.await);
        self.found += report.bytes();
        for entry in report.failures() {
            let reader = readers.remove(entry.collector.name).unwrap_or_default();
            self.failed.insert(entry.collector.name, (reader, entry.outcome.clone()));
        }
        report.entries().iter().for_each(log);
        report
    }
}

/// The boot of the node, read on a thread of its own while the collectors run; nothing where that takes too
/// long.
fn boot_id(cx: &Context, end: Instant) -> impl Future<Output = Option<BootId>> + use<> {
    let host = cx.host.clone();
    let mut reading = JoinSet::new();
    reading.spawn_blocking(move || host.boot_id());
    async move { timeout_at(end, reading.join_next()).await.ok()??.ok()? }
}

/// A place among the threads, for a collector that takes one.
async fn thread<'a>(collector: &Collector, threads: &'a Semaphore) -> Option<SemaphorePermit<'a>> {
    match collector.collect {
        Collect::Blocking(_) => threads.acquire().await.ok(),
        Collect::Async(_) => None,
    }
}

async fn run_one(
    collector: &'static Collector,
    cx: Arc<Context>,
    collect_budget: Duration,
    end: Instant,
) -> Entry {
    let started = Instant::now();
    let attempts = AtomicU32::new(0);
    let (limit, until) = if started + collector.timeout <= end {
        (TimeLimit::Timeout(collector.timeout), started + collector.timeout)
    } else {
        (TimeLimit::CollectBudget(collect_budget), end)
    };
    // What the last try said is worth more to the operator than "timed out".
    let mut last_error = None;
    let tries = (|| {
        attempts.fetch_add(1, Ordering::Relaxed);
        attempt(collector, Arc::clone(&cx))
    })
    .retry(pauses())
    .when(Failure::is_retryable)
    .notify(|failure, pause| {
        let Failure::Collect(error) = failure else { return };
        debug!(collector = collector.name, error = error.chain(), ?pause, "trying again");
        last_error = Some(Outcome::failed(error));
    });
    let outcome = match timeout_at(until, tries).await {
        Ok(Ok(Collected::Facts(facts))) => Outcome::Collected(facts),
        Ok(Ok(Collected::NotApplicable(reason))) => Outcome::not_applicable(&reason),
        Ok(Ok(Collected::Unknown(reason))) => Outcome::unknown(&reason),
        Ok(Err(Failure::Collect(error))) => match error.sandbox() {
            Some(evidence) => Outcome::of_sandbox(&evidence),
            None => Outcome::failed(&error),
        },
        Ok(Err(Failure::Panicked(message))) => Outcome::panicked(&message),
        Err(_) => last_error.unwrap_or(Outcome::TimedOut(limit)),
    };
    Entry { collector, outcome, attempts: attempts.into_inner(), duration: started.elapsed() }
}

/// Starts the collector once, as a task or thread of its own, so that a panic ends there.
async fn attempt(collector: &'static Collector, cx: Arc<Context>) -> Result<Collected, Failure> {
    // Dropping the set at a timeout aborts the task; a thread goes on and is abandoned.
    let mut started = JoinSet::new();
    match collector.collect {
        Collect::Blocking(collect) => started.spawn_blocking(move || collect(&cx)),
        Collect::Async(collect) => started.spawn(async move { collect(&cx).await }),
    };
    match started.join_next().await.expect("one was started")?? {
        Collected::Facts(facts) => Ok(Collected::Facts(facts.conform(collector)?)),
        without @ (Collected::NotApplicable(_) | Collected::Unknown(_)) => Ok(without),
    }
}

/// How one try failed.
enum Failure {
    Collect(CollectError),
    Panicked(String),
}

impl Failure {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::Collect(error) if error.is_retryable())
    }
}

impl From<CollectError> for Failure {
    fn from(error: CollectError) -> Self {
        Self::Collect(error)
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        match error.try_into_panic() {
            Ok(payload) => Self::Panicked(panic_message(payload.as_ref())),
            // Nobody aborts a task that is still waited for.
            Err(error) => Self::Panicked(error.to_string()),
        }
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_times(RETRIES).with_jitter()
}

fn log(entry: &Entry) {
    let Entry { collector, outcome, attempts, duration } = entry;
    let (collector, kind) = (collector.name, outcome.as_str());
    let milliseconds = duration.as_millis();
    if let Outcome::Collected(facts) = outcome {
        for LeftOut { fact, reason } in facts.left_out() {
            debug!(collector, fact, reason, "fact is left out");
        }
    }
    match (outcome, outcome.error()) {
        (_, Some(error)) => {
            let hint = outcome.hint();
            warn!(collector, outcome = kind, error, hint, attempts, milliseconds, "collector is not done");
        }
        (Outcome::NotApplicable(reason) | Outcome::Unknown(reason), None) => {
            debug!(collector, outcome = kind, reason, milliseconds, "collector is done");
        }
        (_, None) => debug!(collector, outcome = kind, milliseconds, "collector is done"),
    }
}
