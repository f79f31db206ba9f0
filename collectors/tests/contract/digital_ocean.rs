//! Whom the Droplet collector asks, how long, and what it makes of the answers.

use std::sync::Arc;
use std::time::Duration;

use node_annotator_core::context::{HttpError, HttpMethod, HttpResponse};
use node_annotator_core::{Collector, Context, Environment, Outcome};
use node_annotator_testing::{NOTHING_TO_SEE, SECRET, Service, outcome};

use crate::{collector, host};

const URL: &str = "http://127.0.0.1:1/metadata/v1.json";

/// A machine of DigitalOcean, one of another vendor, and one whose firmware says nothing.
const OURS: &str = "droplet";
const OTHER: &str = "amd-epyc";
const UNKNOWN: &str = "vm-generic";

fn anchor_ip() -> &'static Collector {
    collector("digital-ocean-anchor-ip")
}

/// The metadata document of the Droplet, with a secret in every field that may hold one.
fn droplet_metadata() -> String {
    host("droplet.metadata").read("/metadata/v1.json").unwrap().to_string()
}

async fn ask(machine: &str, url: Option<&str>, service: &Arc<Service>) -> Outcome {
    let environment: Environment = url.map(|url| ("DIGITAL_OCEAN_METADATA_URL", url)).into_iter().collect();
    let cx = Context::offline(host(machine)).with_environment(environment);
    outcome(anchor_ip(), cx.with_http(Arc::clone(service) as _)).await
}

async fn failure(machine: &str, url: Option<&str>, service: Service) -> (String, Option<String>, usize) {
    let service = Arc::new(service);
    match ask(machine, url, &service).await {
        Outcome::Failed { error, hint, .. } => (error, hint, service.requests().len()),
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn a_droplet_is_asked_with_bounds() {
    let service = Arc::new(Service::answers(200, droplet_metadata()));
    let Outcome::Collected(facts) = ask(OURS, None, &service).await else { panic!("a Droplet has facts") };
    assert_eq!(facts.get(None), Some("10.17.0.9"));
    assert_eq!(facts.iter().count(), anchor_ip().facts.len());
    let requests = service.requests();
    let [request] = requests.as_slice() else { panic!("one request: {requests:?}") };
    assert_eq!(request.method, HttpMethod::Get);
    assert_eq!(request.url, "http://169.254.169.254/metadata/v1.json");
    assert_eq!(request.connect_timeout, Duration::from_secs(1));
    assert!(request.timeout <= Duration::from_secs(3) && request.max_body_bytes <= 1024 * 1024);
}

#[tokio::test]
async fn another_vendor_is_not_asked() {
    let service = Arc::new(Service::answers(200, droplet_metadata()));
    let outcome = ask(OTHER, None, &service).await;
    let reason = "not a Droplet: the firmware names `Supermicro`";
    assert_eq!(outcome, Outcome::NotApplicable(reason.to_owned()));
    assert_eq!(service.requests().len(), 0);
}

#[tokio::test]
async fn the_variable_overrides_the_firmware() {
    for machine in [OURS, OTHER, UNKNOWN] {
        let service = Arc::new(Service::answers(200, droplet_metadata()));
        assert!(matches!(ask(machine, Some(URL), &service).await, Outcome::Collected(_)), "{machine}");
        assert_eq!(service.requests()[0].url, URL);
    }
}

#[tokio::test(start_paused = true)]
async fn a_droplet_whose_service_is_unreachable_fails_after_retries() {
    for (machine, url) in [(OURS, None), (OTHER, Some(URL)), (UNKNOWN, Some(URL))] {
        let (error, hint, asked) = failure(machine, url, Service::unreachable()).await;
        assert_eq!(
            error,
            "cannot ask the metadata service of DigitalOcean: cannot connect: connection refused"
        );
        assert!(hint.unwrap().contains("NetworkPolicy"));
        assert_eq!(asked, 4);
    }
    let (error, _, asked) = failure(OURS, None, Service::new(|_, _| Err(HttpError::Timeout))).await;
    assert_eq!(error, "cannot ask the metadata service of DigitalOcean: no answer in time");
    assert_eq!(asked, 4);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_recovers_is_asked_again() {
    let service = Arc::new(Service::new(|_, before| match before {
        0 => Err(HttpError::Timeout),
        1 => Ok(HttpResponse::new(500, Vec::new())),
        _ => Ok(HttpResponse::new(200, droplet_metadata().into_bytes())),
    }));
    assert!(matches!(ask(OURS, None, &service).await, Outcome::Collected(_)));
    assert_eq!(service.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_status_and_is_retried_if_it_may_pass() {
    for (status, requests) in [(500, 4), (503, 4), (429, 4), (404, 1), (403, 1), (301, 1), (204, 1)] {
        let (error, _, asked) = failure(OURS, None, Service::answers(status, SECRET)).await;
        assert_eq!(error, format!("the metadata service of DigitalOcean answered with status {status}"));
        assert_eq!(asked, requests, "{status}");
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_fails_and_is_not_quoted() {
    let cut = &droplet_metadata()[..600];
    for (body, why) in [
        (cut, "it ends too early"),
        ("<html>sentinel-secret</html>", "it is not JSON at all"),
        (r#"{"interfaces":"sentinel-secret"}"#, "its fields are not those of a Droplet"),
    ] {
        let (error, hint, asked) = failure(OURS, None, Service::answers(200, body)).await;
        assert_eq!(error, format!("the answer is not the JSON of the metadata service: {why}"));
        assert!(!format!("{error}{hint:?}").contains(SECRET));
        assert_eq!(asked, 1);
    }
}

#[tokio::test]
async fn a_droplet_without_an_anchor_address_is_not_a_failure() {
    let service = Arc::new(Service::answers(200, r#"{"droplet_id":1,"interfaces":{"public":[]}}"#));
    let reason = "the Droplet has no anchor address";
    assert_eq!(ask(OURS, None, &service).await, Outcome::NotApplicable(reason.to_owned()));
}

#[tokio::test]
async fn a_machine_of_which_nothing_says_that_it_is_a_droplet_is_not_asked() {
    for machine in [UNKNOWN, NOTHING_TO_SEE] {
        let service = Arc::new(Service::answers(200, droplet_metadata()));
        let reason =
            "nothing says that this is a Droplet; set `DIGITAL_OCEAN_METADATA_URL` to ask all the same";
        assert_eq!(ask(machine, None, &service).await, Outcome::NotApplicable(reason.to_owned()));
        assert_eq!(service.requests().len(), 0);
    }
}

#[tokio::test]
async fn a_bad_address_is_the_operators_to_mend() {
    for url in ["metadata", "https://169.254.169.254/", "file:///etc/passwd"] {
        let (error, hint, asked) = failure(UNKNOWN, Some(url), Service::unreachable()).await;
        assert_eq!(
            error,
            format!("cannot ask the metadata service of DigitalOcean: `{url}` is not an http:// address")
        );
        assert!(hint.unwrap().contains("DIGITAL_OCEAN_METADATA_URL"));
        assert_eq!(asked, 0);
    }
}

#[tokio::test]
async fn secrets_show_up_nowhere() {
    assert!(droplet_metadata().matches(SECRET).count() >= 4);
    let service = Arc::new(Service::answers(200, droplet_metadata()));
    assert!(!format!("{:?}", ask(OURS, None, &service).await).contains(SECRET));
}
