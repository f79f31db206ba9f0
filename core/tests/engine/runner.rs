//! Collectors that behave and collectors that do not, on a paused clock where no thread has to be kept
//! waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use node_annotator_core::context::HttpError;
use node_annotator_core::error::FailureKind;
use node_annotator_core::fact::{MAX_RUN_BYTES, MAX_VALUE_BYTES};
use node_annotator_core::facts::UNDECLARED as UNDECLARED_FACT;
use node_annotator_core::report::TimeLimit;
use node_annotator_core::{
    Collect, Collector, Context, Entry, Fact, Facts, Outcome, Report, Runner, Stability, Topic,
};
use tokio::time::Instant;

use crate::fakes::{self, Reply};
use crate::fakes::{
    ABSENT, ASK, EMPTY, EXTRA, FAIL, HANG_LONG, HANG_SHORT, SLOW_A, SLOW_B, STUCK, STUCK_TASK, SURPRISE,
    UNDECLARED, VALUE,
};
use crate::fakes::{
    PANIC_ODD, PANIC_TASK_STR, PANIC_TASK_STRING, PANIC_THREAD_STR, PANIC_THREAD_STRING, VALUE_FILE,
};

const BUDGET: Duration = Duration::from_mins(1);

async fn run_within(budget: Duration, collectors: &[&'static Collector], cx: Context) -> Report {
    Runner::new(budget).run(&fakes::select(collectors), Arc::new(cx)).await
}

async fn run(collectors: &[&'static Collector]) -> Report {
    run_within(BUDGET, collectors, fakes::offline()).await
}

/// Runs the collector that asks the network.
async fn ask(replies: impl IntoIterator<Item = Reply>) -> Entry {
    let report = run_within(BUDGET, &[&ASK], fakes::scripted(replies)).await;
    report.entries()[0].clone()
}

fn outcomes(report: &Report) -> Vec<(&'static str, Outcome)> {
    report.entries().iter().map(|entry| (entry.collector.name, entry.outcome.clone())).collect()
}

fn collected() -> Outcome {
    Outcome::Collected(Facts::new("42").with(&EXTRA, 23))
}

fn failed(error: &str) -> Outcome {
    Outcome::Failed { error: error.to_owned(), hint: None, kind: FailureKind::Passing }
}

fn lasting(error: &str) -> Outcome {
    Outcome::Failed { error: error.to_owned(), hint: None, kind: FailureKind::Lasting }
}

fn timed_out(collector: &Collector) -> Outcome {
    Outcome::TimedOut(TimeLimit::Timeout(collector.timeout))
}

fn no_answer() -> Reply {
    Reply::Error(HttpError::Timeout)
}

#[tokio::test(start_paused = true)]
async fn whatever_a_collector_says_ends_as_its_outcome() {
    let report = run(&[&VALUE, &VALUE_FILE, &ABSENT, &FAIL]).await;
    let on_fire = Outcome::Failed {
        error: "cannot read: disk on fire".to_owned(),
        hint: Some("call the fire brigade".to_owned()),
        kind: FailureKind::Passing,
    };
    assert_eq!(
        outcomes(&report),
        [
            ("absent", Outcome::NotApplicable("made by [2J Somebody".to_owned())),
            ("fail", on_fire),
            ("value", collected()),
            ("value-file", collected()),
        ]
    );
    assert!(report.entries().iter().all(|entry| entry.attempts == 1));
}

#[tokio::test(start_paused = true)]
async fn each_hanging_collector_ends_at_its_own_timeout_and_the_others_are_collected() {
    let started = Instant::now();
    let report = run(&[&HANG_SHORT, &HANG_LONG, &VALUE, &VALUE_FILE]).await;
    assert_eq!(started.elapsed().as_secs(), 8, "they run at once");
    assert_eq!(
        outcomes(&report),
        [
            ("hang-long", timed_out(&HANG_LONG)),
            ("hang-short", timed_out(&HANG_SHORT)),
            ("value", collected()),
            ("value-file", collected()),
        ]
    );
    let seconds: Vec<_> = report.entries().iter().map(|entry| entry.duration.as_secs()).collect();
    assert_eq!(seconds, [8, 2, 0, 0]);
    assert_eq!(report.entries()[1].outcome.error().unwrap(), "timed out after 2s");
}

#[tokio::test(start_paused = true)]
async fn the_collect_budget_ends_what_would_take_longer() {
    let budget = Duration::from_secs(2);
    let started = Instant::now();
    let report = run_within(budget, &[&HANG_SHORT, &HANG_LONG, &VALUE], fakes::offline()).await;
    assert_eq!(started.elapsed().as_secs(), 2);
    assert_eq!(
        outcomes(&report),
        [
            ("hang-long", Outcome::TimedOut(TimeLimit::CollectBudget(budget))),
            ("hang-short", timed_out(&HANG_SHORT)),
            ("value", collected()),
        ]
    );
    assert_eq!(
        report.entries()[0].outcome.error().unwrap(),
        "not finished when the collect budget of 2s ended"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_as_the_entry_of_its_collector() {
    let report = run(&[
        &PANIC_TASK_STR,
        &PANIC_TASK_STRING,
        &PANIC_THREAD_STR,
        &PANIC_THREAD_STRING,
        &PANIC_ODD,
        &VALUE,
    ])
    .await;
    let panicked = |message: &str| Outcome::Panicked(message.to_owned());
    assert_eq!(
        outcomes(&report),
        [
            ("panic-odd", panicked("no message")),
            ("panic-task-str", panicked("literal")),
            ("panic-task-string", panicked("owned")),
            ("panic-thread-str", panicked("literal")),
            ("panic-thread-string", panicked("owned")),
            ("value", collected()),
        ]
    );
    assert_eq!(report.entries()[1].outcome.error().unwrap(), "panicked: literal");
    assert!(report.entries().iter().all(|entry| entry.attempts == 1), "a defect does not pass");
}

#[tokio::test(start_paused = true)]
async fn what_contradicts_the_declaration_is_not_published() {
    let report = run(&[&UNDECLARED, &EMPTY]).await;
    assert_eq!(
        outcomes(&report),
        [
            ("empty", lasting("the primary fact is empty")),
            ("undeclared", Outcome::Collected(Facts::new("42").without(&SURPRISE, UNDECLARED_FACT))),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again() {
    let entry = ask([no_answer(), no_answer(), Reply::Body("42\n")]).await;
    assert_eq!(entry.outcome, Outcome::Collected(Facts::new("42")));
    assert_eq!(entry.attempts, 3);
    assert!(entry.duration >= Duration::from_millis(250 + 500), "{:?}", entry.duration);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_given_up_with_what_was_said() {
    let entry = ask((0..4).map(|_| no_answer())).await;
    assert_eq!(entry.outcome, failed("no answer in time"));
    assert_eq!(entry.attempts, 4);
    assert!(entry.duration < ASK.timeout);
}

#[tokio::test(start_paused = true)]
async fn what_will_not_pass_is_not_tried_again() {
    let entry = ask([Reply::Error(HttpError::TooLong { limit: 5 })]).await;
    let error = "the answer is longer than 5 bytes".to_owned();
    assert_eq!(entry.outcome, Outcome::Failed { error, hint: None, kind: FailureKind::Malformed });
    assert_eq!(entry.attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_error_says_more_than_a_timeout() {
    let refused = Reply::Error(HttpError::Connect("refused".into()));
    let entry = ask([no_answer(), refused, Reply::Never]).await;
    assert_eq!(entry.outcome, failed("cannot connect: refused"));
    assert_eq!((entry.attempts, entry.duration.as_secs()), (3, ASK.timeout.as_secs()));

    let entry = ask([Reply::Never]).await;
    assert_eq!(entry.outcome, timed_out(&ASK));
}

#[tokio::test(start_paused = true)]
async fn the_report_is_in_order_of_name_and_not_of_arrival() {
    let report = run(&[&SLOW_A, &SLOW_B, &VALUE]).await;
    let names: Vec<_> = report.entries().iter().map(|entry| entry.collector.name).collect();
    assert_eq!(names, ["slow-a", "slow-b", "value"]);
    let seconds: Vec<_> = report.entries().iter().map(|entry| entry.duration.as_secs()).collect();
    assert_eq!(seconds, [3, 1, 0]);
}

/// An error is written on the Node: were its text to change from run to run, the Node would.
#[tokio::test(start_paused = true)]
async fn failing_again_in_the_same_way_is_told_in_the_same_words() {
    let errors = async || {
        let collectors = [&ASK, &EMPTY, &FAIL, &HANG_LONG, &HANG_SHORT, &PANIC_ODD, &PANIC_TASK_STRING];
        let replies = [no_answer(), Reply::Error(HttpError::Connect("refused".into())), Reply::Never];
        let report = run_within(Duration::from_secs(5), &collectors, fakes::scripted(replies)).await;
        let errors: Vec<_> = report.entries().iter().map(|entry| entry.outcome.error().unwrap()).collect();
        errors
    };
    assert_eq!(errors().await, errors().await);
}

/// On the real clock and in a thread of its own, so that a run that waits for the read is seen and not waited
/// for.
#[test]
fn a_read_that_never_returns_does_not_hold_up_the_run() {
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let report = runtime.block_on(run(&[&STUCK, &STUCK_TASK, &VALUE, &VALUE_FILE]));
        runtime.shutdown_background();
        send.send(report).unwrap();
    });
    let report = received.recv_timeout(Duration::from_secs(20)).expect("the run returns");
    assert_eq!(
        outcomes(&report),
        [
            ("stuck", timed_out(&STUCK)),
            ("stuck-task", timed_out(&STUCK_TASK)),
            ("value", collected()),
            ("value-file", collected())
        ]
    );
}

static STARTS: AtomicU32 = AtomicU32::new(0);
static ASYNC_STARTS: AtomicU32 = AtomicU32::new(0);
static LET_GO: AtomicBool = AtomicBool::new(false);

fn read_until_let_go() {
    while !LET_GO.load(Ordering::Relaxed) {
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

static HANGING: Collector = fakes::fake(
    "hanging",
    Collect::Blocking(|_| {
        STARTS.fetch_add(1, Ordering::Relaxed);
        read_until_let_go();
        Ok(Facts::new("42").into())
    }),
)
.timeout(Duration::from_millis(50));

static HANGING_TASK: Collector = fakes::fake(
    "hanging-task",
    Collect::Async(|cx| {
        Box::pin(async {
            ASYNC_STARTS.fetch_add(1, Ordering::Relaxed);
            cx.host.blocking(|_| read_until_let_go()).await;
            Ok(Facts::new("42").into())
        })
    }),
)
.timeout(Duration::from_millis(50));

/// Each would take a thread more.
#[tokio::test]
async fn what_still_hangs_is_not_started_again_until_it_has_ended() {
    let mut runner = Runner::new(BUDGET);
    let selection = fakes::select(&[&HANGING, &HANGING_TASK]);
    let cx = Arc::new(fakes::offline());
    for _ in 0..20 {
        let report = runner.run(&selection, Arc::clone(&cx)).await;
        let expected = [("hanging", timed_out(&HANGING)), ("hanging-task", timed_out(&HANGING_TASK))];
        assert_eq!(outcomes(&report), expected);
    }
    let starts = || (STARTS.load(Ordering::Relaxed), ASYNC_STARTS.load(Ordering::Relaxed));
    let while_hanging = starts();
    // The threads end, whatever was found: the runtime waits for them.
    LET_GO.store(true, Ordering::Relaxed);
    assert_eq!(while_hanging, (1, 1));
    let until = Instant::now() + Duration::from_secs(20);
    let mut remaining = selection;
    loop {
        let report = runner.run(&remaining, Arc::clone(&cx)).await;
        let failed: Vec<_> = report.failures().map(|entry| entry.collector.name).collect();
        match remaining.only(|collector| failed.contains(&collector.name)) {
            None => break,
            Some(rest) => remaining = rest,
        }
        assert!(Instant::now() < until, "{report:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(starts(), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn all_tries_of_a_run_together_are_bounded() {
    const TEXT: Fact = Fact::primary("A text", "x", Stability::Immutable).max_bytes(MAX_VALUE_BYTES);
    let large = |number: usize| -> &'static Collector {
        let collect = Collect::Blocking(|_| Ok(Facts::new("x".repeat(MAX_VALUE_BYTES)).into()));
        let name = format!("large-{number:02}").leak();
        Box::leak(Box::new(Collector::new(name, Topic::Other("fakes"), "Large", const { &[TEXT] }, collect)))
    };
    // One more than there is room for.
    let collectors: Vec<_> = (0..=MAX_RUN_BYTES / MAX_VALUE_BYTES).map(large).collect();
    let mut runner = Runner::new(BUDGET);
    let cx = Arc::new(fakes::offline());
    let first = runner.run(&fakes::select(&collectors), Arc::clone(&cx)).await;
    let failed: Vec<_> = first.failures().map(|entry| entry.collector).collect();
    assert_eq!(failed.len(), 1, "{first:?}");
    let again = runner.run(&fakes::select(&failed), cx).await;
    assert_eq!(again.failures().next().unwrap().outcome.failure(), Some(FailureKind::Lasting));
}

/// One more than the threads that collectors share.
static STUCK_READS: [Collector; 5] = [
    stuck_read("stuck-1"),
    stuck_read("stuck-2"),
    stuck_read("stuck-3"),
    stuck_read("stuck-4"),
    stuck_read("stuck-5"),
];

const fn stuck_read(name: &'static str) -> Collector {
    fakes::fake(name, STUCK.collect).timeout(Duration::from_millis(200))
}

#[test]
fn threads_that_hang_are_not_waited_for_and_waiting_for_one_is_not_counted() {
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut collectors: Vec<_> = STUCK_READS.iter().collect();
        collectors.push(&VALUE_FILE);
        let report = runtime.block_on(run(&collectors));
        runtime.shutdown_background();
        send.send(report).unwrap();
    });
    let report = received.recv_timeout(Duration::from_secs(20)).expect("the run returns");
    let (last, stuck) = report.entries().split_last().unwrap();
    assert_eq!((last.collector.name, &last.outcome), ("value-file", &collected()));
    for entry in stuck {
        assert_eq!(entry.outcome, timed_out(entry.collector));
        assert!(entry.duration < Duration::from_millis(400), "the wait is not part of it: {entry:?}");
    }
}

#[test]
fn whoever_gets_no_thread_within_the_budget_says_so() {
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let collectors: Vec<_> = STUCK_READS.iter().collect();
        let report = runtime.block_on(run_within(Duration::from_millis(100), &collectors, fakes::offline()));
        runtime.shutdown_background();
        send.send(report).unwrap();
    });
    let report = received.recv_timeout(Duration::from_secs(20)).expect("the run returns");
    let ended = Outcome::TimedOut(TimeLimit::CollectBudget(Duration::from_millis(100)));
    assert!(report.entries().iter().all(|entry| entry.outcome == ended), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_collector_is_handed_the_network_only_if_it_declares_it() {
    static UNDECLARED_ASK: Collector = fakes::fake("undeclared-ask", ASK.collect);
    let report = run_within(BUDGET, &[&UNDECLARED_ASK], fakes::scripted([Reply::Body("42")])).await;
    let refused = "cannot connect: the collector does not declare that it needs it";
    assert_eq!(report.entries()[0].outcome, failed(refused));
}
