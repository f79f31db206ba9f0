//! What the policy allows, held against what a plan can contain, and what it tells of itself.

use std::collections::BTreeSet;
use std::time::Duration;

use node_annotator_core::context::BootId;
use node_annotator_core::{
    Collector, DoneMark, Entry, Facts, LabelFacts, NamedFacts, Outcome, Plan, PrivilegeClass, Report,
};
use node_annotator_deploy::policy::{self, Keys, SETTINGS_ANNOTATION, Scope, ScopeError};
use node_annotator_deploy::startup_taint::OnFailure;
use node_annotator_deploy::{Settings, StartupTaint};
use proptest::prelude::*;

use crate::fakes::{ANCHOR_IP, CPU_MODEL, FILES, KERNEL, MORE, NIC, OS, selection, settings};

const FAKES: [&Collector; 5] = [&ANCHOR_IP, &CPU_MODEL, &KERNEL, &NIC, &OS];

fn by_name(name: &str) -> Option<&'static Collector> {
    FAKES.into_iter().find(|fake| fake.name == name)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        ("[a-z]{1,3000}", proptest::option::of("[a-z]{1,3000}")).prop_map(|(primary, more)| {
            let facts = Facts::new(primary).with_some(&MORE, more).conform(&KERNEL);
            Outcome::Collected(facts.expect("the facts are declared"))
        }),
        "[a-z]{0,3000}".prop_map(|reason| Outcome::not_applicable(&reason)),
        "[a-z]{0,3000}".prop_map(|reason| Outcome::unknown(&reason)),
        "[a-z]{0,3000}".prop_map(Outcome::Panicked),
    ]
}

proptest! {
    #[test]
    fn every_plan_is_within_the_keys_and_every_key_is_in_a_plan(
        outcomes in proptest::collection::vec(outcome(), FAKES.len()),
        given_up in proptest::collection::vec(any::<bool>(), FAKES.len()),
        generation in proptest::option::of("[a-z]{1,10}"),
        stamp_day in proptest::bool::ANY,
        labels in proptest::sample::subsequence(vec!["cpu-model", "kernel.more", "os", "os.more"], 0..=4),
    ) {
        let mark = match generation.map(|text| text.parse()) {
            Some(Ok(generation)) => DoneMark::Generation(generation),
            _ => DoneMark::Saved,
        };
        let labels = LabelFacts::parse(labels, &FAKES).expect("they are declared");
        let settings = Settings { mark, stamp_day, labels, ..settings(&FAKES) };
        let keys = Scope::new(&settings).keys();
        let entry = |(collector, outcome)| {
            Entry { collector, outcome, attempts: 1, duration: Duration::ZERO }
        };
        let report = Report::new(FAKES.into_iter().zip(outcomes).map(entry).collect())
            .in_boot(BootId::parse("1bd2a6f4-8f0e-4a7b-9d53-0c2b6f1e7a90"))
            .on_day(stamp_day.then(|| "2026-11-25".to_owned()));
        let done = report.failures().next().is_none();
        let failures = report.failures().map(|entry| entry.collector).zip(given_up);
        let given_up: Vec<_> =
            failures.filter_map(|(collector, given_up)| given_up.then_some(collector)).collect();
        let plan = Plan::new(&report, &settings.prefix, &settings.mark)
            .labelling(&report, &settings.labels, &settings.prefix)
            .giving_up(given_up.iter().copied(), &settings.prefix, &settings.mark);
        let mut bytes = 0;
        for (key, value) in plan.annotations() {
            let bound = keys.annotations.get(key).expect(key);
            if let Some(value) = value {
                prop_assert!(value.len() <= bound.expect("what is set has a bound"), "{key}");
                bytes += value.len();
            }
        }
        prop_assert!(bytes <= keys.max_bytes);
        for (key, value) in plan.labels() {
            if keys.fact_labels.contains(key) {
                continue;
            }
            let allowed = keys.labels.get(key).expect(key);
            match value {
                Some(value) => prop_assert_eq!(value, allowed, "{}", key),
                None => prop_assert!(settings.prefix.is_failed(key), "{key} is taken away"),
            }
        }
        for collector in given_up {
            let key = settings.prefix.failed(collector.name);
            prop_assert_eq!(plan.labels()[&key].as_ref(), keys.labels.get(&key), "{}", key);
        }
        if done {
            prop_assert_eq!(plan.annotations().keys().collect::<Vec<_>>(), keys.annotations.keys().collect::<Vec<_>>());
            let labels: BTreeSet<_> = keys.labels.keys().chain(&keys.fact_labels).collect();
            prop_assert_eq!(plan.labels().keys().collect::<BTreeSet<_>>(), labels);
        }
    }
}

#[test]
fn a_policy_is_generated_again_from_what_it_tells() {
    let settings = Settings {
        mark: DoneMark::Generation("2".parse().unwrap()),
        stamp_day: true,
        installation: "facts".parse().unwrap(),
        prefix: "facts.example.com".parse().unwrap(),
        startup_taint: Some(StartupTaint {
            key: "example.com/starting".to_owned(),
            on_failure: OnFailure::Remove,
        }),
        ..settings(&FAKES)
    };
    let scope = Scope::new(&settings);
    let made = policy::policy(&scope, policy::rules(&scope));
    assert_eq!(policy::version(&made).unwrap(), env!("CARGO_PKG_VERSION"));

    let read = Scope::read(&made, by_name).unwrap();
    assert_eq!(read.classes, [PrivilegeClass::Restricted, PrivilegeClass::Privileged]);
    assert_eq!(policy::policy(&read, policy::rules(&read)), made);
    let (listed, keys) = (Keys::listed(&made).unwrap(), scope.keys());
    assert_eq!((listed.labels, listed.annotations), (keys.labels, keys.annotations));

    let error =
        Scope::read(&made, |name| by_name(name).filter(|found| found.name != "anchor-ip")).unwrap_err();
    assert!(
        matches!(&error, ScopeError::UnknownCollector { collector, .. } if collector == "anchor-ip"),
        "{error}"
    );
}

#[test]
fn facts_that_an_operator_names_are_allowed_and_told() {
    let named = NamedFacts {
        names: vec!["rack".to_owned()],
        retired: vec!["row".to_owned()],
        path: Some("/opt/facts".to_owned()),
    };
    let selection = selection(&[&FILES]).with_named_facts(&named).unwrap().unwrap();
    let scope = Scope::new(&Settings::new(selection));
    let annotations = scope.keys().annotations;
    assert!(annotations["k8s.haim.dev/files.rack"].is_some(), "may be set");
    assert!(annotations["k8s.haim.dev/files.row"].is_none(), "may be deleted alone");
    let made = policy::policy(&scope, policy::rules(&scope));
    let read = Scope::read(&made, |name| (name == "files").then_some(&FILES)).unwrap();
    assert_eq!(policy::policy(&read, policy::rules(&read)), made);
}

#[test]
fn what_a_policy_cannot_have_told_is_refused() {
    let scope = Scope::new(&settings(&FAKES));
    let read = |change: fn(&mut serde_json::Value)| {
        let mut made = policy::policy(&scope, policy::rules(&scope));
        let annotations = made.metadata.annotations.as_mut().unwrap();
        let mut told = serde_json::from_str(&annotations[SETTINGS_ANNOTATION]).unwrap();
        change(&mut told);
        annotations.insert(SETTINGS_ANNOTATION.to_owned(), told.to_string());
        Scope::read(&made, by_name).unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        [
            read(|told| told["classes"] = serde_json::json!(["baseline"])),
            read(|told| told["prefix"] = "k8s.io".into()),
            read(|told| told["generation"] = "saved".into()),
            read(|told| told["namespace"] = "kube-system".into()),
            read(|told| told["labels"] = serde_json::json!(["kernel.' || true || '"])),
            read(|told| told["startup-taint"] = "' || true || '".into()),
            read(|told| told["collectors"] = "kernel".into()),
            read(|told| told["collectors"] = serde_json::json!(["other"])),
        ]
        .join("\n"),
        @r"
    its annotation `k8s.haim.dev/settings` has the class `baseline`, which cannot be
    its annotation `k8s.haim.dev/settings` has the prefix `k8s.io`, which cannot be
    its annotation `k8s.haim.dev/settings` has the generation `saved`, which cannot be
    its annotation `k8s.haim.dev/settings` has the namespace `kube-system`, which cannot be
    its annotation `k8s.haim.dev/settings` has the labels `kernel.' || true || '`, which cannot be
    its annotation `k8s.haim.dev/settings` has the startup taint `' || true || '`, which cannot be
    its annotation `k8s.haim.dev/settings` cannot be read
    it was generated by version 0.1.0, for a collector that this binary does not have: `other`
    "
    );
    let mut bare = policy::policy(&scope, policy::rules(&scope));
    bare.metadata.annotations = None;
    assert!(matches!(Scope::read(&bare, by_name), Err(ScopeError::NotTold)));
}
