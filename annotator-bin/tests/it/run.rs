//! One run in-process, with collectors of its own, on a paused clock.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::Config;
use node_annotator::cluster::{ClusterError, configuration};
use node_annotator::exit::Exit;
use node_annotator::node::finished::{Finished, Written};
use node_annotator::node::linger::linger;
use node_annotator::node::publish::Patience;
use node_annotator::node::run::{Run, Settings, Target};
use node_annotator::process::stop::{Stop, channel};
use node_annotator_core::{
    Collect, CollectError, Collector, Context, DoneMark, Fact, Facts, HostRoot, LabelFacts, Prefix,
    Selection, Stability, Topic,
};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

const WORD: &[Fact] = &[Fact::primary("a word", "word", Stability::Immutable)];

const fn collector(name: &'static str, collect: Collect) -> Collector {
    Collector::new(name, Topic::System, "", WORD, collect).timeout(Duration::from_mins(10))
}

static GOOD: Collector =
    collector("good", Collect::Async(|_| Box::pin(async { Ok(Facts::new("hello").into()) })));
static FAILING: Collector =
    collector("failing", Collect::Async(|_| Box::pin(async { Err(CollectError::new("no")) })));
static WAITING: Collector = collector("waiting", Collect::Async(|_| Box::pin(pending())));

pub(crate) fn settings(collector: &'static Collector, target: Target) -> Settings {
    Settings {
        selection: Selection::of(collector),
        prefix: Prefix::default(),
        done_mark: DoneMark::Saved,
        stamp_day: false,
        labels: LabelFacts::default(),
        target,
        deadline: Duration::from_mins(1),
        publish_budget: Duration::from_secs(30),
        patience: Patience::None,
        give_up_after: None,
    }
}

/// The first try.
async fn run(
    settings: &Settings,
    cx: Arc<Context>,
    configuration: impl Future<Output = Result<Config, ClusterError>> + Send + 'static,
    stop: &Stop,
) -> Finished {
    Run::start(settings, cx, configuration, stop).attempt().await
}

fn node() -> Target {
    Target::Node("worker-1".to_owned())
}

fn offline() -> Arc<Context> {
    Arc::new(Context::offline(HostRoot::new("/nowhere")))
}

fn no_cluster() -> impl Future<Output = Result<Config, ClusterError>> {
    std::future::poll_fn(|_| panic!("a cluster is asked"))
}

fn assert_nothing_written(finished: &Finished, message: &str) {
    assert_eq!(finished.exit(), Exit::Unfinished);
    let trouble = finished.trouble().unwrap();
    assert_eq!(trouble.what, message);
    assert!(trouble.hint.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_asks_no_cluster() {
    let (_stopper, stop) = channel();
    for (collector, exit, label) in [(&GOOD, Exit::Done, Some("saved")), (&FAILING, Exit::Failures, None)] {
        let finished = run(&settings(collector, Target::DryRun), offline(), no_cluster(), &stop).await;
        assert_eq!(finished.exit(), exit);
        let Finished::Ran { plan, written: Written::DryRun, .. } = finished else { panic!("{finished:?}") };
        let patch = plan.patch();
        assert_eq!(patch["metadata"]["labels"]["k8s.haim.dev/good"].as_str(), label);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_or_while_collecting_writes_nothing() {
    let message = "stopped before anything was written";
    let (stopper, stop) = channel();
    let waiting = settings(&WAITING, node());
    let started = Instant::now();
    let ((), finished) = tokio::join!(
        async {
            sleep(Duration::from_secs(7)).await;
            stopper.stop();
        },
        run(&waiting, offline(), pending(), &stop)
    );
    assert_nothing_written(&finished, message);
    assert_eq!(started.elapsed(), Duration::from_secs(7));
    for _ in 0..20 {
        let finished = run(&settings(&GOOD, node()), offline(), no_cluster(), &stop).await;
        assert_nothing_written(&finished, message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_looking_for_the_cluster_ends_that() {
    let (stopper, stop) = channel();
    let connect = async move {
        stopper.stop();
        pending().await
    };
    let finished = run(&settings(&GOOD, node()), offline(), connect, &stop).await;
    assert_nothing_written(&finished, "stopped before anything was written");
}

#[tokio::test(start_paused = true)]
async fn looking_for_the_cluster_ends_with_the_deadline() {
    let (_stopper, stop) = channel();
    let started = Instant::now();
    let finished = run(&settings(&GOOD, node()), offline(), pending(), &stop).await;
    assert_nothing_written(
        &finished,
        "node `worker-1` could not be written before the deadline: there are no credentials yet",
    );
    assert_eq!(started.elapsed(), Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn collecting_leaves_the_publish_budget_alone() {
    let (_stopper, stop) = channel();
    let started = Instant::now();
    let connect = configuration(Some(Path::new("/nowhere")), "test/1");
    let finished = run(&settings(&WAITING, node()), offline(), connect, &stop).await;
    assert_eq!(started.elapsed(), Duration::from_secs(30));
    assert_eq!(finished.exit(), Exit::Unfinished);
    assert_eq!(finished.report().unwrap().failures().count(), 1);
}

/// Collects until the connection stands.
static PATIENT: Collector = collector(
    "patient",
    Collect::Async(|_| {
        Box::pin(async {
            CONNECTED.notified().await;
            Ok(Facts::new("connected").into())
        })
    }),
);
static CONNECTED: Notify = Notify::const_new();

#[tokio::test]
async fn the_connection_stands_before_the_facts_and_nothing_is_asked_on_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let listening = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        let early = timeout(Duration::from_millis(200), stream.read_buf(&mut request)).await;
        CONNECTED.notify_one();
        stream.read_buf(&mut request).await.unwrap();
        (early.is_ok(), String::from_utf8(request).unwrap())
    });
    let (stopper, stop) = channel();
    let connect = async move { Ok(Config::new(address.parse().unwrap())) };
    let settings = settings(&PATIENT, node());
    let (_, (asked_early, request)) = tokio::join!(run(&settings, offline(), connect, &stop), async {
        let heard = listening.await.unwrap();
        stopper.stop();
        heard
    });
    assert!(!asked_early, "asked before there was something to write: {request}");
    assert!(request.starts_with("PATCH /api/v1/nodes/worker-1?"), "{request}");
}

#[tokio::test(start_paused = true)]
async fn without_a_cluster_the_report_is_still_there() {
    let (_stopper, stop) = channel();
    let connect = configuration(Some(Path::new("/nowhere")), "test/1");
    let finished = run(&settings(&GOOD, node()), offline(), connect, &stop).await;
    let trouble = finished.trouble().unwrap();
    assert!(trouble.what.starts_with("no usable kubeconfig: "), "{trouble}");
    assert_nothing_written(&finished, &trouble.what);
    assert!(trouble.hint.as_ref().unwrap().contains("--kubeconfig"));
    assert!(finished.report().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_none_is_told() {
    let (_stopper, stop) = channel();
    let connect = async {
        let mut config = Config::new("https://127.0.0.1:1".parse().unwrap());
        config.root_cert = Some(vec![b"no certificate".to_vec()]);
        Ok(config)
    };
    let finished = run(&settings(&GOOD, node()), offline(), connect, &stop).await;
    let message = &finished.trouble().unwrap().what;
    assert!(message.starts_with("cannot set up the connection: "), "{message}");
    assert_nothing_written(&finished, message);
}

#[tokio::test(start_paused = true)]
async fn lingering_ends_with_a_stop() {
    let (stopper, stop) = channel();
    let started = Instant::now();
    let ((), ()) = tokio::join!(linger(Duration::from_mins(10), Exit::Done, &stop), async {
        sleep(Duration::from_secs(5)).await;
        stopper.stop();
    });
    assert_eq!(started.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn lingering_has_a_bound_that_varies() {
    let (_stopper, stop) = channel();
    let mut waits = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        linger(Duration::from_mins(10), Exit::Failures, &stop).await;
        waits.push(started.elapsed().as_secs());
    }
    assert!(waits.iter().all(|wait| (540..=660).contains(wait)), "{waits:?}");
    assert!(waits.iter().min() < waits.iter().max(), "{waits:?}");
}
