//! The publisher on a mock transport and a paused clock: what is sent, what is tried again, and when it ends.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use insta::assert_snapshot;
use kube::Client;
use kube::client::Body;
use node_annotator::cluster::Reason;
use node_annotator::node::publish::{PublishError, Published, publish};
use node_annotator::process::stop::{Stop, channel};
use node_annotator_core::{
    Collect, CollectError, Collector, DoneMark, Entry, Fact, Facts, Outcome, Plan, Prefix, Report, Stability,
    Topic,
};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower_test::mock::{self, Handle};

use crate::api::{status, stored};

static COLLECTOR: Collector = Collector::new(
    "good",
    Topic::System,
    "",
    &[Fact::primary("", "", Stability::Immutable), Fact::named("gone", "", "", Stability::Immutable)],
    Collect::Blocking(|_| Err(CollectError::new("not run here"))),
);

pub(crate) fn plan() -> Plan {
    let outcome = Outcome::Collected(Facts::new("hello"));
    let entry = Entry { collector: &COLLECTOR, outcome, attempts: 1, duration: Duration::ZERO };
    Plan::new(&Report::new(vec![entry]), &Prefix::default(), &DoneMark::Saved)
}

type Transport = Handle<Request<Body>, Response<Body>>;
type Outcomes = JoinHandle<Result<Published, PublishError>>;

/// A publisher at work, and the other end of its transport.
fn start(deadline: Duration, stop: Stop) -> (Outcomes, Transport) {
    let (service, transport) = mock::pair();
    let deadline = Instant::now() + deadline;
    let publishing = tokio::spawn(async move {
        publish(Client::new(service, "default"), "worker-1", &plan(), deadline, &stop).await
    });
    (publishing, transport)
}

fn never() -> Stop {
    // A dropped stopper asks for nothing.
    channel().1
}

fn answer(code: u16, body: &Value) -> Response<Body> {
    Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap()
}

/// Answers each request with the next answer, and then stores whatever comes; counts.
async fn serve(mut transport: Transport, answers: Vec<Response<Body>>, served: Arc<Mutex<u32>>) {
    let mut answers = answers.into_iter();
    while let Some((request, respond)) = transport.next_request().await {
        *served.lock().await += 1;
        let body = request.into_body().collect_bytes().await.unwrap();
        let patch = serde_json::from_slice(&body).unwrap();
        respond.send_response(answers.next().unwrap_or_else(|| answer(200, &stored(&patch))));
    }
}

/// Publishes against these answers: the result, the number of requests, and how long it took.
async fn publish_against(answers: Vec<Response<Body>>) -> (Result<Published, PublishError>, u32, Duration) {
    let started = Instant::now();
    let served = Arc::default();
    let (publishing, transport) = start(Duration::from_secs(30), never());
    tokio::spawn(serve(transport, answers, Arc::clone(&served)));
    let result = publishing.await.unwrap();
    let served = *served.lock().await;
    (result, served, started.elapsed())
}

pub(crate) fn told(error: &PublishError) -> String {
    error.trouble("worker-1").to_string()
}

/// The reason of a failed request that ended the tries.
pub(crate) fn reason(error: &PublishError) -> Option<Reason> {
    match error {
        PublishError::Cluster(error) => Some(error.reason()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn success_is_one_request() {
    let (publishing, mut transport) = start(Duration::from_secs(30), never());
    let (request, respond) = transport.next_request().await.unwrap();
    let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(request.method(), "PATCH");
    let target = request.uri().path_and_query().unwrap().as_str();
    assert_eq!(target.trim_end_matches('&'), "/api/v1/nodes/worker-1?&fieldManager=node-annotator");
    assert_eq!(header("content-type"), "application/merge-patch+json");
    assert_eq!(header("accept"), "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    let body = request.into_body().collect_bytes().await.unwrap();
    assert_eq!(body, plan().patch().to_string().into_bytes());

    respond.send_response(answer(200, &stored(&plan().patch())));
    assert_eq!(
        publishing.await.unwrap().unwrap(),
        Published { node: "worker-1".to_owned(), resource_version: "42".to_owned() }
    );
    assert!(transport.next_request().await.is_none(), "a second request");
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again() {
    for code in [409, 429, 500, 502, 503, 504] {
        let busy = || answer(code, &status(code, "later"));
        let (result, requests, took) = publish_against(vec![busy(), busy()]).await;
        assert!(result.is_ok(), "{code}: {result:?}");
        assert_eq!(requests, 3, "{code}");
        assert!((Duration::from_millis(600)..Duration::from_secs(2)).contains(&took), "{code}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_stays_is_not_tried_again() {
    let rbac = "nodes \"worker-1\" is forbidden: User \"system:serviceaccount:a:b\" cannot patch resource \"nodes\" in API group \"\" \
                at the cluster scope";
    let policy = "nodes \"worker-1\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not your node";
    let webhook = "admission webhook \"w.example.com\" denied the request: no";
    let kubelet =
        "nodes \"worker-1\" is forbidden: node \"worker-2\" is not allowed to modify node \"worker-1\"";
    let cases = [
        (400, "the body is odd", Reason::Other),
        (400, webhook, Reason::Refused),
        (401, "Unauthorized", Reason::Unauthorized),
        (403, rbac, Reason::Forbidden),
        (403, policy, Reason::Refused),
        (403, webhook, Reason::Refused),
        (403, kubelet, Reason::Refused),
        (404, "nodes \"worker-1\" not found", Reason::NotFound),
        (422, policy, Reason::Refused),
        (422, "Node \"worker-1\" is invalid: metadata.labels: Invalid value", Reason::Refused),
    ];
    let mut all = Vec::new();
    for (code, message, reason) in cases {
        let (result, requests, took) = publish_against(vec![answer(code, &status(code, message))]).await;
        let error = result.unwrap_err();
        assert_eq!((self::reason(&error), requests, took), (Some(reason), 1, Duration::ZERO), "{error:?}");
        all.push(format!("# {code} {reason:?}\n{}", told(&error)));
    }
    assert_snapshot!("refusals", all.join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_status_comes_from_elsewhere() {
    let page = |code| {
        Response::builder().status(code).body(Body::from(b"<html>\nno page\n</html>".to_vec())).unwrap()
    };
    for code in [200, 404] {
        let (result, requests, _) = publish_against(vec![page(code)]).await;
        let error = result.unwrap_err();
        assert_eq!((reason(&error), requests), (Some(Reason::Foreign), 1), "{error:?}");
    }
    // A load balancer whose servers are all gone answers like this.
    let (result, requests, _) = publish_against(vec![page(502)]).await;
    assert!(result.is_ok() && requests == 2);
}

#[tokio::test(start_paused = true)]
async fn the_server_says_how_long_to_leave_it_alone() {
    let mut busy = status(429, "later");
    busy["details"] = serde_json::json!({"retryAfterSeconds": 11});
    let (result, requests, took) = publish_against(vec![answer(429, &busy)]).await;
    assert!(result.is_ok());
    assert_eq!((requests, took.as_secs()), (2, 11));
    // All whom it turned away in one moment were told the same time.
    assert!(took >= Duration::from_millis(11_200), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_taken_out_or_put_back_is_named() {
    let mut metadata = stored(&plan().patch());
    metadata["metadata"]["labels"] = serde_json::json!({});
    metadata["metadata"]["annotations"]["k8s.haim.dev/good.gone"] = "back".into();
    let (result, requests, _) = publish_against(vec![answer(200, &metadata)]).await;
    let error = result.unwrap_err();
    assert!(matches!(error, PublishError::Altered(_)) && requests == 1, "{requests} {error:?}");
    assert_snapshot!("altered", told(&error));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_the_tries_and_the_last_failure_is_told() {
    let busy = || answer(503, &status(503, "starting"));
    let (result, requests, took) = publish_against((0..100).map(|_| busy()).collect()).await;
    let error = result.unwrap_err();
    assert!(matches!(error, PublishError::Deadline(Some(_))), "{error:?}");
    assert_eq!(took, Duration::from_secs(30));
    assert!((6..15).contains(&requests), "{requests}");
    assert_snapshot!("deadline", told(&error));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_request_in_flight() {
    let started = Instant::now();
    let (publishing, mut transport) = start(Duration::from_secs(5), never());
    let _held = transport.next_request().await.unwrap();
    let error = publishing.await.unwrap().unwrap_err();
    assert!(matches!(error, PublishError::Deadline(None)), "{error:?}");
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    assert_snapshot!("deadline-in-flight", told(&error));
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_nothing_is_started() {
    let (stopper, stop) = channel();
    stopper.stop();
    let (publishing, mut transport) = start(Duration::from_secs(30), stop);
    assert!(transport.next_request().await.is_none(), "a request after the stop");
    let error = publishing.await.unwrap().unwrap_err();
    assert!(matches!(error, PublishError::Stopped(None)), "{error:?}");
    assert_snapshot!("stopped", told(&error));
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_a_pause_ends_it() {
    let (stopper, stop) = channel();
    let (publishing, mut transport) = start(Duration::from_secs(30), stop);
    let mut busy = status(429, "later");
    busy["details"] = serde_json::json!({"retryAfterSeconds": 2});
    transport.next_request().await.unwrap().1.send_response(answer(429, &busy));
    let answered = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stopper.stop();
    let error = publishing.await.unwrap().unwrap_err();
    assert!(matches!(error, PublishError::Stopped(Some(_))), "{error:?}");
    assert_eq!(answered.elapsed(), Duration::from_secs(1));
    assert!(transport.next_request().await.is_none(), "a request after the stop");
    assert_snapshot!("stopped-in-pause", told(&error));
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_flight_is_awaited_after_a_stop_for_a_while() {
    for (delay, in_time) in [(1, true), (4, false)] {
        let (stopper, stop) = channel();
        let (publishing, mut transport) = start(Duration::from_secs(30), stop);
        let (_, respond) = transport.next_request().await.unwrap();
        stopper.stop();
        let asked = Instant::now();
        tokio::time::sleep(Duration::from_secs(delay)).await;
        respond.send_response(answer(200, &stored(&plan().patch())));
        let result = publishing.await.unwrap();
        assert!(
            matches!((&result, in_time), (Ok(_), true) | (Err(PublishError::Stopped(None)), false)),
            "{result:?}"
        );
        assert!(asked.elapsed() <= Duration::from_secs(delay));
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_answer_after_a_stop_is_the_last() {
    let (stopper, stop) = channel();
    let (publishing, mut transport) = start(Duration::from_secs(30), stop);
    let (_, respond) = transport.next_request().await.unwrap();
    stopper.stop();
    respond.send_response(answer(503, &status(503, "starting")));
    let error = publishing.await.unwrap().unwrap_err();
    assert!(matches!(error, PublishError::Stopped(Some(_))), "{error:?}");
    assert!(transport.next_request().await.is_none(), "a request after the stop");
}
