//! Tries of what failed, in-process and on a paused clock: when, for how long, and what they write.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kube::Config;
use node_annotator::exit::Exit;
use node_annotator::node::finished::{Finished, Written};
use node_annotator::node::job::{Job, Moment};
use node_annotator::node::run::{Run, Settings, Target};
use node_annotator::node::tries::Next;
use node_annotator::output::Format;
use node_annotator::process::stop::{Stopper, channel};
use node_annotator_core::{
    Collect, CollectError, Collector, Context, Fact, Facts, GiveUpAfter, HostRoot, Registry, Selection,
    Stability, Topic,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::run::settings;

const WORD: &[Fact] = &[Fact::primary("a word", "word", Stability::Immutable)];
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

const fn collector(name: &'static str, collect: Collect) -> Collector {
    Collector::new(name, Topic::System, "a fake", WORD, collect)
}

static GOOD: Collector = collector("good", Collect::Blocking(|_| Ok(Facts::new("hello").into())));
static PASSING: Collector = collector("passing", Collect::Blocking(|_| Err(CollectError::new("no"))));
static MALFORMED: Collector =
    collector("malformed", Collect::Blocking(|_| Err(CollectError::new("nonsense").malformed())));
static DENIED: Collector =
    collector("denied", Collect::Blocking(|_| Err(CollectError::new("not permitted").lasting())));
static DEFECT: Collector =
    collector("defect", Collect::Async(|_| Box::pin(async { panic!("lost my head") })));

/// What was seen of a try: when it ended, and what it would have written.
#[derive(Debug)]
struct Try {
    ended: Duration,
    labels: Value,
    errors: Value,
}

/// Runs these until the job ends, or after so many tries. What is to be written is shown, and nowhere else.
async fn run(
    collectors: &[&'static Collector],
    give_up_after: GiveUpAfter,
    most: usize,
) -> (Exit, Vec<Try>, Duration) {
    let folder = TempDir::new().unwrap();
    let registry = Registry::new(collectors.iter().copied()).unwrap();
    let job = Job {
        settings: Settings {
            selection: Selection::parse("all", &registry).unwrap(),
            give_up_after: Some(give_up_after),
            ..settings(collectors[0], Target::DryRun)
        },
        context: Arc::new(Context::offline(HostRoot::new(folder.path()))),
        user_agent: "test/1".to_owned(),
        kubeconfig: None,
        output: Format::Json,
        termination_message_path: folder.path().join("none"),
        linger_limit: 10 * MINUTE,
    };
    let (stopper, stop) = channel();
    let (started, mut tries) = (Instant::now(), Vec::new());
    let tell = |moment| {
        if let Moment::Ended(_, text) = moment {
            let report: Value = serde_json::from_str(&text).unwrap();
            let metadata = &report["patch"]["metadata"];
            let (labels, errors) = (metadata["labels"].clone(), metadata["annotations"].clone());
            tries.push(Try { ended: started.elapsed(), labels, errors });
            stop_after(&stopper, tries.len(), most);
        }
        Ok(())
    };
    let exit = job.until_done(&stop, tell).await.unwrap();
    (exit, tries, started.elapsed())
}

fn stop_after(stopper: &Stopper, tries: usize, most: usize) {
    if tries == most {
        stopper.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_for_an_hour_and_given_up() {
    let (mut first_pauses, mut last_tries) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..10 {
        let (exit, tries, ended) = run(&[&GOOD, &PASSING], GiveUpAfter::default(), usize::MAX).await;
        assert_eq!(exit, Exit::Failures);
        assert!((10..=25).contains(&tries.len()), "{tries:?}");
        let (first, last) = (&tries[0], &tries[tries.len() - 1]);
        assert_eq!(first.labels["k8s.haim.dev/good"], "saved");
        assert_eq!(first.errors["k8s.haim.dev/passing.error"], "no");
        let pauses: Vec<_> =
            tries.windows(2).map(|pair| pair[1].ended.saturating_sub(pair[0].ended)).collect();
        assert!((Duration::from_secs(3)..=Duration::from_secs(6)).contains(&pauses[0]), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= 10 * MINUTE), "{pauses:?}");
        assert!(pauses[pauses.len() - 2] >= 5 * MINUTE, "{pauses:?}");
        for between in &tries[1..tries.len() - 1] {
            assert!(between.labels.is_null() && between.errors.is_null(), "nothing has changed: {between:?}");
        }
        assert!((HOUR..=HOUR + 6 * MINUTE).contains(&last.ended), "{:?}", last.ended);
        assert_eq!(last.labels, serde_json::json!({"k8s.haim.dev/passing.failed": "saved"}));
        assert_eq!(last.errors["k8s.haim.dev/passing.error"], "no");
        let lingered = ended.saturating_sub(last.ended);
        assert!((9 * MINUTE..=11 * MINUTE).contains(&lingered), "{lingered:?}");
        first_pauses.insert(pauses[0]);
        last_tries.insert(last.ended);
    }
    assert!(first_pauses.len() > 5, "a fleet tries again in one moment: {first_pauses:?}");
    assert!(last_tries.len() > 5, "a fleet gives up in one moment: {last_tries:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waiting_does_not_mend_ends_sooner_and_each_by_itself() {
    let (exit, tries, _) =
        run(&[&DEFECT, &MALFORMED, &PASSING, &GOOD], GiveUpAfter::default(), usize::MAX).await;
    assert_eq!(exit, Exit::Failures);
    let given_up = |name: &str| {
        let key = format!("k8s.haim.dev/{name}.failed");
        tries.iter().position(|it| it.labels[&key] == "saved").unwrap_or_else(|| panic!("{name}: {tries:?}"))
    };
    assert_eq!(given_up("defect"), 1);
    assert!(tries[1].ended < Duration::from_secs(10));
    let malformed = tries[given_up("malformed")].ended;
    assert!((5 * MINUTE..=6 * MINUTE).contains(&malformed), "{malformed:?}");
    assert!((HOUR..=HOUR + 6 * MINUTE).contains(&tries[given_up("passing")].ended));
    let written = tries.iter().filter(|it| !it.errors.is_null()).count();
    assert_eq!(written, 4, "the first try, and one for each that is given up: {tries:?}");
}

#[tokio::test(start_paused = true)]
async fn never_is_never() {
    let (exit, tries, ended) = run(&[&DENIED, &MALFORMED], GiveUpAfter::Never, 300).await;
    assert_eq!((exit, tries.len()), (Exit::Failures, 300));
    assert!(tries[1..].iter().all(|it| it.labels.is_null() && it.errors.is_null()));
    assert_eq!(ended, tries[299].ended, "a stop ends the pause at once");
}

#[tokio::test(start_paused = true)]
async fn a_kind_of_failure_that_changes_is_written_and_counts_anew() {
    static STARTS: AtomicU32 = AtomicU32::new(0);
    static MOODY: Collector = collector(
        "moody",
        Collect::Blocking(|_| match STARTS.fetch_add(1, Ordering::Relaxed) {
            // The text alone differs.
            number @ 0..2 => Err(CollectError::new(format!("no {number}"))),
            2 | 4 => Err(CollectError::new("not permitted").lasting()),
            3 => Err(CollectError::new("no")),
            _ => Ok(Facts::new("hello").into()),
        }),
    );
    let (exit, tries, _) = run(&[&MOODY], GiveUpAfter::default(), usize::MAX).await;
    assert_eq!((exit, tries.len()), (Exit::Done, 6));
    let written: Vec<_> = tries.iter().map(|it| it.errors["k8s.haim.dev/moody.error"].as_str()).collect();
    assert_eq!(written, [Some("no 0"), None, Some("not permitted"), Some("no"), Some("not permitted"), None]);
    let labels = serde_json::json!({"k8s.haim.dev/moody": "saved", "k8s.haim.dev/moody.failed": null});
    assert_eq!(tries[5].labels, labels, "it is done all the same");
}

#[tokio::test(start_paused = true)]
async fn each_try_reads_its_files_anew() {
    static FILE: Collector = collector(
        "file",
        Collect::Blocking(|cx| match cx.host.line("/proc/word")? {
            Some(word) if word == "ready" => Ok(Facts::new(word).into()),
            _ => {
                // There by the next look.
                WROTE.fetch_add(1, Ordering::Relaxed);
                Err(CollectError::new("not ready"))
            }
        }),
    );
    static WROTE: AtomicU32 = AtomicU32::new(0);
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("proc")).unwrap();
    std::fs::write(folder.path().join("proc/word"), "not yet\n").unwrap();
    let cx = Context::offline(HostRoot::new(folder.path()));
    let settings =
        Settings { give_up_after: Some(GiveUpAfter::default()), ..settings(&FILE, Target::DryRun) };
    let (_stopper, stop) = channel();
    let configuration = std::future::poll_fn(|_| panic!("a cluster is asked"));
    let mut run = node_annotator::node::run::Run::start(&settings, Arc::new(cx), configuration, &stop);
    assert_eq!(run.attempt().await.exit(), Exit::Failures);
    std::fs::write(folder.path().join("proc/word"), "ready\n").unwrap();
    assert_eq!(run.attempt().await.exit(), Exit::Done);
    assert_eq!(WROTE.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_written_is_kept_and_collected_once() {
    static COLLECTED: AtomicU32 = AtomicU32::new(0);
    static ONCE: Collector = collector(
        "once",
        Collect::Blocking(|_| {
            COLLECTED.fetch_add(1, Ordering::Relaxed);
            Ok(Facts::new("hello").into())
        }),
    );
    static SECOND: Collector = collector(
        "second",
        Collect::Blocking(|_| match STARTS.fetch_add(1, Ordering::Relaxed) {
            0 => Err(CollectError::new("no")),
            _ => Ok(Facts::new("hello").into()),
        }),
    );
    static STARTS: AtomicU32 = AtomicU32::new(0);
    let registry = Registry::new([&ONCE, &SECOND]).unwrap();
    let settings = Settings {
        selection: Selection::parse("all", &registry).unwrap(),
        give_up_after: Some(GiveUpAfter::default()),
        ..settings(&ONCE, Target::Node("worker-1".to_owned()))
    };
    // Nobody listens there.
    let configuration = async { Ok(Config::new("http://127.0.0.1:1".parse().unwrap())) };
    let (stopper, stop) = channel();
    let cx = Arc::new(Context::offline(HostRoot::new("/nowhere")));
    let mut run = Run::start(&settings, cx, configuration, &stop);
    let started = Instant::now();
    let mut plans = Vec::new();
    let end = loop {
        let finished = run.attempt().await;
        assert_eq!(finished.exit(), Exit::Unfinished);
        let Finished::Ran { plan, written: Written::Failed { passes: true, .. }, .. } = &finished else {
            panic!("{finished:?}")
        };
        plans.push(plan.patch()["metadata"].clone());
        match run.next(&finished) {
            Next::TryAgain(pause) => {
                assert!(pause <= MINUTE, "{pause:?}");
                tokio::time::sleep(pause).await;
            }
            end => break end,
        }
    };
    assert!(matches!(end, Next::End(pause) if pause <= MINUTE), "{end:?}");
    let elapsed = started.elapsed();
    assert!((HOUR..=HOUR + 8 * MINUTE).contains(&elapsed), "{elapsed:?}");
    assert_eq!((COLLECTED.load(Ordering::Relaxed), STARTS.load(Ordering::Relaxed)), (1, 2));
    let done = |plan: &Value| {
        [plan["labels"]["k8s.haim.dev/once"].clone(), plan["labels"]["k8s.haim.dev/second"].clone()]
    };
    assert_eq!(done(&plans[0]), [Value::from("saved"), Value::Null]);
    assert_eq!(plans[0]["annotations"]["k8s.haim.dev/second.error"], "no");
    assert!(plans.len() > 30, "{}", plans.len());
    for plan in &plans[1..] {
        assert_eq!(done(plan), [Value::from("saved"), Value::from("saved")]);
    }

    // Nothing is written when a stop comes first, and it does not end as if it were.
    stopper.stop();
    assert_eq!(run.attempt().await.exit(), Exit::Unfinished);
}
