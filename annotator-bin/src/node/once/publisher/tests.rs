//! When an outcome is written that the API server does not take at once.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use http::{Request, Response};
use kube::client::Body;
use node_annotator_core::{NamedFacts, task};
use serde_json::json;
use tower::service_fn;

use super::super::record::{End, Record};
use super::*;
use crate::process::stop;

const MINUTE: Duration = Duration::from_mins(1);

/// How a publisher ends whose task is done or has failed once, when it has ended, and how often it asked.
async fn ended(end: Option<End>, answer: impl Fn(Duration) -> u16) -> (Exit, Duration, usize) {
    let folder = tempfile::tempdir().unwrap();
    let failure = end.is_none().then(|| "exit code 1".to_owned());
    let record = Record { tries: 1, end, failure, ..Record::default() };
    record.write(folder.path(), "main").unwrap();
    let publisher = Publisher {
        collector: task::task("tune", &NamedFacts::default(), false).unwrap(),
        steps: vec!["main".to_owned()],
        state: folder.path().to_owned(),
        timeout: 10 * MINUTE,
        tries: 3,
        prefix: Prefix::default(),
        done_mark: DoneMark::Saved,
        stamp_day: false,
        node: "worker-1".to_owned(),
        host: HostRoot::new("/nowhere"),
        kubeconfig: None,
        user_agent: "test/1".to_owned(),
        termination_message_path: folder.path().join("none"),
        linger_limit: MINUTE,
    };
    let (started, asked) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let (stopper, stop) = stop::channel();
    let code = Arc::new(AtomicU16::new(0));
    let (counted, given) = (Arc::clone(&asked), Arc::clone(&code));
    let service = service_fn(move |_: Request<Body>| {
        counted.fetch_add(1, Ordering::Relaxed);
        let code = given.load(Ordering::Relaxed);
        let labels = json!({"k8s.haim.dev/tune": "saved"});
        let body = match code {
            200 => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"labels": labels}})
            }
            code => {
                json!({"kind": "Status", "status": "Failure", "message": "no", "reason": "Test", "code": code})
            }
        };
        let answer = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
        std::future::ready(Ok::<_, Infallible>(answer.unwrap()))
    });
    let client = cluster::over(service);
    let connect = || {
        Writer::over(
            "worker-1",
            Patience::UntilDeadline,
            {
                let client = client.clone();
                async { Ok(client) }
            },
            &stop,
        )
    };
    let tell = |moment| {
        if let Moment::Begins = moment {
            code.store(answer(started.elapsed()), Ordering::Relaxed);
        }
    };
    let exit = publisher.until_done(connect, &stop, tell).await;
    drop(stopper);
    (exit, started.elapsed(), asked.load(Ordering::Relaxed))
}

/// The container does not end, so that the kubelet starts nothing anew while the server has enough to do.
#[tokio::test(start_paused = true)]
async fn an_outcome_is_kept_while_the_api_server_is_busy_and_written_later() {
    for busy in [429, 503] {
        let later = |elapsed| if elapsed < 40 * MINUTE { busy } else { 200 };
        let (exit, elapsed, asked) = ended(Some(End::Done), later).await;
        assert_eq!(exit, Exit::Done);
        assert!((40 * MINUTE..=45 * MINUTE).contains(&elapsed), "{elapsed:?}");
        assert!(asked > 100, "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_after_an_hour_of_silence_and_at_once_after_a_refusal() {
    let (exit, elapsed, _) = ended(Some(End::Done), |_| 503).await;
    assert_eq!(exit, Exit::Unfinished);
    assert!((60 * MINUTE..=64 * MINUTE).contains(&elapsed), "{elapsed:?}");
    let (exit, elapsed, asked) = ended(None, |_| 422).await;
    assert_eq!((exit, asked), (Exit::Unfinished, 1));
    assert!(elapsed <= MINUTE, "{elapsed:?}");
}
