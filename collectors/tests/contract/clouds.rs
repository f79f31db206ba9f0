//! What every collector of a cloud makes of its metadata service, whatever that does.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use node_annotator_core::context::{HttpError, HttpRequest, HttpResponse};
use node_annotator_core::{Collector, Context, Environment, Facts, Outcome};
use node_annotator_testing::{Protocol, SECRET, Service, outcome};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{FIXTURES, collector, host};

/// A collector, a machine of its cloud, and how the metadata service there treats its clients.
struct Cloud {
    collector: &'static str,
    machine: &'static str,
    protocol: Protocol,
}

const fn cloud(collector: &'static str, machine: &'static str, protocol: Protocol) -> Cloud {
    Cloud { collector, machine, protocol }
}

const CLOUDS: [Cloud; 13] = [
    cloud("aws", "ec2-spot", Protocol::AWS),
    cloud("aws", "neoverse-n1", Protocol::AWS),
    cloud("azure", "azure-spot", Protocol::AZURE),
    cloud("digital-ocean", "droplet", Protocol::OPEN),
    cloud("digital-ocean-anchor-ip", "droplet", Protocol::OPEN),
    cloud("gcp", "gce", Protocol::GCP),
    cloud("hetzner", "hetzner", Protocol::OPEN),
    cloud("linode", "linode", Protocol::LINODE),
    cloud("openstack", "openstack", Protocol::OPEN),
    cloud("oracle", "oci-flex", Protocol::ORACLE),
    cloud("oracle", "oci-gb200", Protocol::ORACLE),
    cloud("scaleway", "scaleway", Protocol::OPEN),
    cloud("vultr", "vultr", Protocol::OPEN),
];

/// A machine whose firmware says nothing.
const UNKNOWN: &str = "vm-generic";

type Answer = Result<HttpResponse, HttpError>;

impl Cloud {
    fn collector(&self) -> &'static Collector {
        collector(self.collector)
    }

    /// The service, as it treats its clients.
    fn service(&self) -> Service {
        self.open().keeping(self.protocol)
    }

    /// The service, whatever it is asked with.
    fn open(&self) -> Service {
        Service::of_folder(format!("{FIXTURES}/{}.metadata", self.machine))
    }

    /// The service, with another answer where `fault` has one.
    fn with_fault(
        &self,
        fault: impl Fn(&HttpRequest, usize) -> Option<Answer> + Send + Sync + 'static,
    ) -> Service {
        let sound = self.service();
        Service::new(move |request, before| {
            fault(request, before).unwrap_or_else(|| sound.answer(request, before))
        })
    }

    async fn ask(&self, service: Service) -> Trial {
        self.ask_on(self.machine, None, service).await
    }

    async fn ask_on(&self, machine: &str, url: Option<&str>, service: Service) -> Trial {
        let service = Arc::new(service);
        let variable = self.collector().variables[0].name;
        let environment: Environment = url.map(|url| (variable, url)).into_iter().collect();
        let cx = Context::offline(host(machine)).with_environment(environment);
        let began = Instant::now();
        let outcome = outcome(self.collector(), cx.with_http(Arc::clone(&service) as _)).await;
        let told = format!("{outcome:?}");
        assert!(!told.contains(SECRET), "{} publishes a secret: {told}", self.collector);
        Trial { outcome, took: began.elapsed(), requests: service.requests() }
    }

    async fn facts(&self) -> Facts {
        self.ask(self.service()).await.facts(self.collector)
    }
}

/// What came of it.
struct Trial {
    outcome: Outcome,
    took: Duration,
    requests: Vec<HttpRequest>,
}

impl Trial {
    #[track_caller]
    fn facts(self, name: &str) -> Facts {
        match self.outcome {
            Outcome::Collected(facts) => facts,
            outcome => panic!("{name}: {outcome:?}"),
        }
    }

    /// The text of the failure, and the hint.
    #[track_caller]
    fn failure(&self, name: &str) -> (&str, &str) {
        match &self.outcome {
            Outcome::Failed { error, hint, .. } => (error, hint.as_deref().unwrap_or_default()),
            outcome => panic!("{name}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn every_collector_that_asks_a_service_is_in_the_table() {
    let asking =
        |collector: &&Collector| collector.needs.contains(&node_annotator_core::Need::MetadataService);
    let registry = node_annotator_core::Registry::from_inventory().unwrap();
    let named: BTreeSet<_> = CLOUDS.iter().map(|cloud| cloud.collector).collect();
    let known: BTreeSet<_> = registry.iter().filter(asking).map(|collector| collector.name).collect();
    assert_eq!(named, known);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_strict_with_its_clients_answers() {
    for cloud in &CLOUDS {
        let trial = cloud.ask(cloud.service()).await;
        for request in &trial.requests {
            assert!(request.url.starts_with("http://169.254."), "{}", request.url);
            assert!(
                request.connect_timeout <= Duration::from_secs(1)
                    && request.timeout <= Duration::from_secs(3)
            );
            assert!(request.max_body_bytes <= 1024 * 1024);
        }
        let facts = trial.facts(cloud.collector);
        assert_eq!(facts.left_out(), [], "{}", cloud.collector);
    }
}

#[tokio::test]
async fn a_machine_of_another_cloud_is_not_asked() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the names of the machines are read, and nothing of a host"
    )]
    let entries = std::fs::read_dir(Path::new(FIXTURES)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for machine in names.filter(|name| !name.ends_with(".metadata")) {
        for cloud in &CLOUDS {
            if CLOUDS.iter().any(|own| own.collector == cloud.collector && own.machine == machine) {
                continue;
            }
            let trial = cloud.ask_on(&machine, None, cloud.service()).await;
            let name = cloud.collector;
            assert!(
                matches!(trial.outcome, Outcome::NotApplicable(_)),
                "{name} on {machine}: {:?}",
                trial.outcome
            );
            assert_eq!(trial.requests.len(), 0, "{name} on {machine}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_of_the_operator_is_asked_whatever_the_machine() {
    for cloud in &CLOUDS {
        let facts = cloud.facts().await;
        let path = if cloud.collector.starts_with("digital-ocean") { "/metadata/v1.json" } else { "/" };
        for machine in [UNKNOWN, "amd-epyc", cloud.machine] {
            let url = format!(" http://127.0.0.1:1{path} ");
            let trial = cloud.ask_on(machine, Some(&url), cloud.service()).await;
            for request in &trial.requests {
                assert!(request.url.starts_with("http://127.0.0.1:1/"), "{}", request.url);
            }
            assert_eq!(trial.facts(cloud.collector), facts);
        }
        let trial = cloud.ask_on(UNKNOWN, Some("https://127.0.0.1/"), Service::unreachable()).await;
        let (error, hint) = trial.failure(cloud.collector);
        assert!(
            error.contains(": `https://127.0.0.1/") && error.ends_with("` is not an http:// address"),
            "{error}"
        );
        assert!(hint.contains(cloud.collector().variables[0].name), "{hint}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_a_failure_with_a_hint_after_a_few_tries() {
    for cloud in &CLOUDS {
        let name = cloud.collector;
        let broken = || Err(HttpError::Broken("end of file before message length reached".into()));
        for (service, why) in [
            (Service::unreachable(), "cannot connect: connection refused"),
            (Service::new(|_, _| Err(HttpError::Timeout)), "no answer in time"),
            (
                Service::new(move |_, _| broken()),
                "the connection broke: end of file before message length reached",
            ),
        ] {
            let trial = cloud.ask(service).await;
            let (error, hint) = trial.failure(name);
            assert!(
                error.starts_with("cannot ask the metadata service of ") && error.ends_with(why),
                "{error}"
            );
            assert!(hint.contains("host network"), "{name}: {hint}");
            assert_eq!(trial.requests.len(), 4, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_may_pass_is_tried_again_and_another_is_not() {
    for cloud in &CLOUDS {
        let name = cloud.collector;
        for (status, tries) in
            [(429, 4), (500, 4), (503, 4), (301, 1), (302, 1), (400, 1), (401, 1), (403, 1), (410, 1)]
        {
            let trial = cloud.ask(Service::answers(status, SECRET)).await;
            let (error, hint) = trial.failure(name);
            assert!(error.ends_with(&format!(" answered with status {status}")), "{error}");
            assert_eq!(
                (trial.requests.len(), hint.is_empty()),
                (tries, tries == 4 || status == 410),
                "{name}: {status}"
            );
        }
        for status in [204, 404] {
            let trial = cloud.ask(Service::answers(status, "")).await;
            assert!(
                trial.failure(name).1.len() > 10 && trial.requests.len() <= 2,
                "{name}: {:?}",
                trial.outcome
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_recovers_answers_within_the_time_of_the_collector() {
    for cloud in &CLOUDS {
        let facts = cloud.facts().await;
        let recovers = cloud.with_fault(|_, before| match before {
            0 => Some(Err(HttpError::Timeout)),
            1 => Some(Ok(HttpResponse::new(500, ""))),
            2 => Some(Ok(HttpResponse::new(429, "").with_header("Retry-After", "2"))),
            _ => None,
        });
        let trial = cloud.ask(recovers).await;
        assert!(trial.took >= Duration::from_secs(2) && trial.took < cloud.collector().timeout);
        assert_eq!(trial.facts(cloud.collector), facts);
        // A service that asks for more patience than there is time is told as it is, at once.
        let busy =
            |_: &HttpRequest, _| Some(Ok(HttpResponse::new(503, "").with_header("Retry-After", "600")));
        let trial = cloud.ask(cloud.with_fault(busy)).await;
        assert!(trial.failure(cloud.collector).0.ends_with("answered with status 503"));
        assert_eq!((trial.requests.len(), trial.took), (1, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_somebody_else_is_a_failure_and_is_not_quoted() {
    let page = format!("<html><body>Please log in, {SECRET}</body></html>");
    for cloud in &CLOUDS {
        let name = cloud.collector;
        for body in [
            page.clone(),
            format!("\"{SECRET}\""),
            format!("{{\"{SECRET}\":1}}"),
            "[]".to_owned(),
            "\u{0}".to_owned(),
        ] {
            let trial = cloud.ask(Service::answers(200, body)).await;
            trial.failure(name);
            assert!(trial.requests.len() <= 2, "{name}: {:?}", trial.requests);
        }
        let long = Service::answers(200, format!("{SECRET}{}", " ".repeat(2 * 1024 * 1024)));
        let trial = cloud.ask(long).await;
        let (error, hint) = trial.failure(name);
        assert!(error.contains("the answer is longer than ") && hint.contains("something else"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_service_of_another_cloud_is_no_source_of_facts() {
    for cloud in &CLOUDS {
        for other in CLOUDS.iter().filter(|other| other.collector().name[..3] != cloud.collector().name[..3])
        {
            let trial = cloud.ask(other.open()).await;
            trial.failure(&format!("{} with the service of {}", cloud.collector, other.collector));
        }
    }
}

/// Half a document of JSON is none, and the half of a text may look like one: there the length that HTTP
/// tells counts, and the client says that the connection broke.
#[tokio::test(start_paused = true)]
async fn a_document_that_is_cut_is_not_read() {
    for cloud in &CLOUDS {
        let whole = cloud.service();
        let cut = Service::new(move |request, before| {
            let response = whole.answer(request, before)?;
            let is_json = response.body.starts_with(b"{");
            let length = if is_json { response.body.len() / 2 } else { response.body.len() };
            Ok(HttpResponse { body: response.body[..length].to_vec(), ..response })
        });
        let trial = cloud.ask(cut).await;
        match trial.outcome {
            Outcome::Failed { ref error, .. } => assert!(error.ends_with("it ends too early"), "{error}"),
            // All its facts but those of the topology are no JSON.
            Outcome::Collected(_) => assert!(["aws", "gcp", "hetzner"].contains(&cloud.collector)),
            ref outcome => panic!("{outcome:?}"),
        }
    }
}

/// Of several documents only that of the primary fact decides over the collector.
#[tokio::test(start_paused = true)]
async fn a_document_that_cannot_be_had_takes_no_other_fact_away() {
    for cloud in &CLOUDS {
        let sound = cloud.ask(cloud.service()).await;
        let urls: BTreeSet<_> = sound.requests.iter().map(|request| request.url.clone()).collect();
        let facts = sound.facts(cloud.collector);
        for url in &urls {
            // Without it another document decides.
            let is_first_of_two = url.ends_with("/provisioning-model");
            let answers: [fn() -> Answer; 5] = [
                || Ok(HttpResponse::new(403, SECRET)),
                || Ok(HttpResponse::new(500, SECRET)),
                || Ok(HttpResponse::new(200, format!("<html>{SECRET}</html>"))),
                || Ok(HttpResponse::new(404, SECRET)),
                || Err(HttpError::Timeout),
            ];
            for (number, answer) in answers.into_iter().enumerate() {
                let is_missing = number == 3;
                let faulty = url.clone();
                let service = cloud.with_fault(move |request, _| (request.url == faulty).then(answer));
                let trial = cloud.ask(service).await;
                assert!(trial.took < cloud.collector().timeout);
                let Outcome::Collected(fewer) = trial.outcome else {
                    trial.failure(cloud.collector);
                    continue;
                };
                for (name, value) in facts.iter().filter(|(name, _)| name.is_some() || !is_first_of_two) {
                    let is_told = fewer.left_out().iter().any(|left_out| left_out.fact == name);
                    // What the service does not have is not there.
                    let may_lack = is_told || is_missing;
                    let found = fewer.get(name);
                    assert!(found == Some(value) || may_lack && found.is_none(), "{url}: {name:?} {fewer:?}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn azure_is_asked_again_in_the_newest_version_that_it_knows() {
    let cloud = CLOUDS.iter().find(|cloud| cloud.collector == "azure").unwrap();
    let old = || {
        cloud.with_fault(|request, _| {
            let is_known = request.url.contains("api-version=2021-02-01&");
            let body = r#"{"error":"Bad request","newest-versions":["2019-03-11","2021-02-01"]}"#;
            (!is_known).then(|| Ok(HttpResponse::new(400, body)))
        })
    };
    let trial = cloud.ask(old()).await;
    assert_eq!(trial.requests.len(), 2);
    assert_eq!(trial.facts("azure").get(None), Some("Spot"));
}

#[tokio::test(start_paused = true)]
async fn what_google_says_of_older_instances_is_read() {
    let cloud = CLOUDS.iter().find(|cloud| cloud.collector == "gcp").unwrap();
    for (model, preemptible, expected) in [
        (Some("STANDARD"), "FALSE", "STANDARD"),
        (Some("STANDARD"), "TRUE", "PREEMPTIBLE"),
        (None, "TRUE", "PREEMPTIBLE"),
        (None, "FALSE", "STANDARD"),
        (Some("FLEX_START"), "FALSE", "FLEX_START"),
    ] {
        let answer =
            |text: &str| Some(Ok(HttpResponse::new(200, text).with_header("Metadata-Flavor", "Google")));
        let service = cloud.with_fault(move |request, _| match request.url.rsplit('/').next() {
            Some("provisioning-model") => model.map_or(Some(Ok(HttpResponse::new(404, ""))), answer),
            Some("preemptible") => answer(preemptible),
            _ => None,
        });
        assert_eq!(cloud.ask(service).await.facts("gcp").get(None), Some(expected));
    }
    // An answer without the header field of the real server is somebody else's.
    let service = Service::new(|request, _| {
        let is_model = request.url.ends_with("/provisioning-model");
        Ok(HttpResponse::new(200, if is_model { "SPOT" } else { "TRUE" }))
    });
    assert!(cloud.ask(service).await.failure("gcp").0.contains("is none of the metadata service"));
}

/// Each value of a document, in turn of another type and of the same type with nonsense in it, spoils its own
/// fact at most.
#[tokio::test(start_paused = true)]
async fn an_odd_value_in_a_document_spoils_no_other_fact() {
    let odd = [json!(-7), json!({}), json!("\u{1b}[31m<b>\u{202e}")];
    for cloud in &CLOUDS {
        let sound = cloud.ask(cloud.service()).await;
        let urls: BTreeSet<_> = sound.requests.iter().map(|request| request.url.clone()).collect();
        let facts = sound.facts(cloud.collector);
        for url in urls {
            let Ok(HttpResponse { status: 200, body, .. }) = cloud.open().answer(&HttpRequest::get(&url), 0)
            else {
                continue;
            };
            let Ok(document) = serde_json::from_slice::<Value>(&body) else { continue };
            for pointer in pointers(&document, String::new()) {
                for value in &odd {
                    let mut document = document.clone();
                    *document.pointer_mut(&pointer).unwrap() = value.clone();
                    let faulty = url.clone();
                    let answer = document.to_string();
                    let service = cloud.with_fault(move |request, _| {
                        let body = HttpResponse::new(200, answer.clone());
                        let body = body.with_header("Metadata-Flavor", "Google");
                        (request.url == faulty).then(|| Ok(body))
                    });
                    let outcome = cloud.ask(service).await.outcome;
                    let told = format!("{} {pointer} {value}: {outcome:?}", cloud.collector);
                    let fewer = match &outcome {
                        Outcome::Collected(fewer) => fewer,
                        Outcome::Failed { .. } | Outcome::NotApplicable(_) => continue,
                        _ => panic!("{told}"),
                    };
                    let differ = facts.iter().filter(|(name, value)| fewer.get(*name) != Some(value));
                    // A list of interfaces or addresses has several facts in it.
                    let bound = if pointer.matches('/').count() > 1 { 4 } else { 5 };
                    assert!(differ.count() <= bound, "{told}");
                    for (name, value) in fewer.iter() {
                        let fact = cloud.collector().fact(name).unwrap();
                        assert!(fact.kind.admits(value), "{told}");
                        assert!(!value.contains(['\u{1b}', '<', '\u{202e}']), "{told}");
                    }
                }
            }
        }
    }
}

/// The pointers of all values of a document, those that hold others included.
fn pointers(value: &Value, at: String) -> Vec<String> {
    let below: Vec<_> = match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| pointers(value, format!("{at}/{name}"))).collect()
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(at_item, item)| pointers(item, format!("{at}/{at_item}")))
            .collect(),
        _ => Vec::new(),
    };
    below.into_iter().chain([at]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_body_is_read_without_a_panic(body in vec(any::<u8>(), 0..300), number in 0..CLOUDS.len()) {
        let cloud = &CLOUDS[number];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let service = Service::new(move |_, _| {
            Ok(HttpResponse::new(200, body.clone()).with_header("Metadata-Flavor", "Google"))
        });
        let outcome = runtime.unwrap().block_on(cloud.ask(service)).outcome;
        prop_assert!(matches!(outcome, Outcome::Failed { .. } | Outcome::Collected(_)), "{outcome:?}");
    }
}
