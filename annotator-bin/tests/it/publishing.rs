//! The publisher on a mock transport and a paused clock: what is sent, what is tried again, and when it ends.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use insta::assert_snapshot;
use kube::client::Body;
use node_annotator::cluster::{self, Reason};
use node_annotator::node::publish::{Patience, PublishError, Published, publish};
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
    start_with(deadline, Patience::None, stop)
}

fn start_with(deadline: Duration, patience: Patience, stop: Stop) -> (Outcomes, Transport) {
    let (service, transport) = mock::pair();
    let deadline = Instant::now() + deadline;
    let publishing = tokio::spawn(async move {
        publish(cluster::over(service), "worker-1", &plan(), deadline, patience, &stop).await
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
    publish_with(Patience::None, answers).await
}

async fn publish_with(
    patience: Patience,
    answers: Vec<Response<Body>>,
) -> (Result<Published, PublishError>, u32, Duration) {
    let started = Instant::now();
    let served = Arc::default();
    let (publishing, transport) = start_with(Duration::from_secs(30), patience, never());
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
    assert_eq!(target, "/api/v1/nodes/worker-1?fieldManager=node-annotator");
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

const RBAC: &str = "nodes \"worker-1\" is forbidden: User \"system:serviceaccount:a:b\" cannot patch resource \"nodes\" in \
                    API group \"\" at the cluster scope";

fn policy(name: &str, why: &str) -> String {
    format!(
        "nodes \"worker-1\" is forbidden: ValidatingAdmissionPolicy '{name}' with binding 'b' denied request: {why}"
    )
}

#[tokio::test(start_paused = true)]
async fn what_stays_is_not_tried_again() {
    let webhook = "admission webhook \"w.example.com\" denied the request: no";
    let warden = "admission webhook \"warden-validating.common-webhooks.networking.gke.io\" denied the request: GKE Warden \
                  rejected the request because it violates one or more constraints.";
    let kubelet =
        "nodes \"worker-1\" is forbidden: node \"worker-2\" is not allowed to modify node \"worker-1\"";
    let full =
        "Node \"worker-1\" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes";
    let cases = [
        (400, "the body is odd", Reason::Other),
        (400, webhook, Reason::Webhook),
        (401, "Unauthorized", Reason::Unauthorized),
        (403, &policy("p", "not your node"), Reason::OtherPolicy),
        (403, webhook, Reason::Webhook),
        (403, warden, Reason::Platform),
        (403, kubelet, Reason::NodeRestriction),
        (404, "nodes \"worker-1\" not found", Reason::NotFound),
        (422, &policy("p", "not your node"), Reason::OtherPolicy),
        (422, full, Reason::AnnotationQuota),
        (422, "Node \"worker-1\" is invalid: metadata.labels: Invalid value", Reason::Refused),
    ];
    let early = [
        (403, RBAC, Reason::Forbidden),
        (403, &policy("node-annotator", "not your node"), Reason::OurPolicy),
        (422, &policy("node-annotator-facts", "not your node"), Reason::OurPolicy),
    ];
    let mut all = Vec::new();
    for (patience, cases) in
        [(Patience::None, &cases[..]), (Patience::None, &early), (Patience::UntilDeadline, &cases)]
    {
        for (code, message, reason) in cases {
            let (result, requests, took) =
                publish_with(patience, vec![answer(*code, &status(*code, message))]).await;
            let error = result.unwrap_err();
            assert_eq!(
                (self::reason(&error), requests, took),
                (Some(*reason), 1, Duration::ZERO),
                "{error:?}"
            );
            if patience == Patience::None {
                all.push(format!("# {code} {reason:?}\n{}", told(&error)));
            }
        }
    }
    assert_snapshot!("refusals", all.join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_rights_and_policies_that_are_on_their_way() {
    let early = || {
        vec![
            answer(403, &status(403, RBAC)),
            answer(422, &status(422, &policy("node-annotator", "not your node"))),
            answer(403, &status(403, RBAC)),
        ]
    };
    let (result, requests, _) = publish_with(Patience::UntilDeadline, early()).await;
    assert!(result.is_ok() && requests == 4, "{result:?}");
    let for_ever = (0..100).flat_map(|_| early()).collect();
    let (result, requests, took) = publish_with(Patience::UntilDeadline, for_ever).await;
    let error = result.unwrap_err();
    assert!(matches!(error, PublishError::Deadline(Some(_))), "{error:?}");
    assert_eq!(took, Duration::from_secs(30));
    assert!((6..15).contains(&requests), "{requests}");
}

#[tokio::test(start_paused = true)]
async fn what_comes_too_soon_for_our_policy_is_tried_again() {
    let soon = policy("node-annotator", node_annotator_core::write::TOO_SOON);
    let (result, requests, _) = publish_against(vec![answer(422, &status(422, &soon))]).await;
    assert!(result.is_ok() && requests == 2, "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_does_not_answer_is_named_and_may_come_back() {
    let failed = "Internal error occurred: failed calling webhook \"w.example.com\": failed to call webhook: Post \
                  \"https://w.example.svc:443/?timeout=10s\": no endpoints available for service \"w\"";
    let answers = |count| (0..count).map(|_| answer(500, &status(500, failed))).collect();
    assert!(publish_against(answers(2)).await.0.is_ok());
    let error = publish_against(answers(100)).await.0.unwrap_err();
    assert_snapshot!(told(&error), @r#"
    node `worker-1` could not be written before the deadline: the webhook `w.example.com` does not answer, and the API server does not change node `worker-1` without it (500): Internal error occurred: failed calling webhook "w.example.com": failed to call webhook: Post "https://w.example.svc:443/?timeout=10s": no endpoints available for service "w"
    hint: whoever runs the webhook has to bring it back; see `kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations`
    "#);
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

/// An API server that has too many requests, or is about to stop, sends no Status and says the pause in the
/// header alone.
fn overloaded(code: u16, retry_after: &'static str) -> Response<Body> {
    Response::builder()
        .status(code)
        .header("content-type", "text/plain; charset=utf-8")
        .header("retry-after", retry_after)
        .header("x-content-type-options", "nosniff")
        .body(Body::from(b"Too many requests, please try again later.\n".to_vec()))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_server_says_how_long_to_leave_it_alone() {
    let in_body = |seconds: u32| {
        let mut busy = status(429, "later");
        busy["details"] = serde_json::json!({"retryAfterSeconds": seconds});
        answer(429, &busy)
    };
    for (busy, seconds) in [
        (overloaded(429, "1"), 1),
        (overloaded(503, "8"), 8),
        (in_body(11), 11),
        // Dates are not what an API server sends, and a pause of 0 is none.
        (overloaded(429, "Wed, 21 Oct 2026 07:28:00 GMT"), 0),
        (overloaded(429, "-3"), 0),
        (in_body(0), 0),
    ] {
        let (result, requests, took) = publish_against(vec![busy]).await;
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(requests, 2);
        // All whom it turned away in one moment were told the same time.
        let asked = Duration::from_secs(seconds);
        assert!(
            (asked + Duration::from_millis(200)..asked * 3 / 2 + Duration::from_millis(500)).contains(&took),
            "{took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_told_the_same_pause_comes_back_at_another_time() {
    let mut waits = Vec::new();
    for _ in 0..20 {
        waits.push(publish_against(vec![overloaded(429, "16")]).await.2);
    }
    let (first, last) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(last.saturating_sub(*first) > Duration::from_secs(2), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_hours_ends_with_the_deadline() {
    let (result, requests, took) = publish_against(vec![overloaded(429, "7200")]).await;
    let error = result.unwrap_err();
    assert_eq!((requests, took), (1, Duration::from_secs(30)));
    assert_snapshot!(told(&error), @r#"
    node `worker-1` could not be written before the deadline: the API server cannot take the change now (429): Too many requests, please try again later.
    hint: the API server is overloaded or starting; the pod's next start tries again
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_its_words_whatever_its_header_says() {
    let refused = Response::builder().status(403).header("retry-after", "1");
    let body = status(403, "nodes \"worker-1\" is forbidden: no").to_string().into_bytes();
    let (result, requests, _) = publish_against(vec![refused.body(Body::from(body)).unwrap()]).await;
    let error = result.unwrap_err();
    assert_eq!((reason(&error), requests), (Some(Reason::Forbidden), 1), "{error:?}");
    assert!(told(&error).contains("is forbidden: no"), "{error:?}");
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
    assert!(matches!(error, PublishError::Unanswered(_)), "{error:?}");
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
