//! What the registry accepts, and in which order it is read.

use std::time::Duration;

use node_annotator_core::registry::RegistryError;
use node_annotator_core::{Collector, Fact, Registry, Stability};

use crate::fakes::{self, ABSENT, ASK, FAIL, VALUE, VALUE_FILE, fake};

const PRIMARY: Fact = Fact::primary("A number", "42", Stability::Immutable);

fn named(name: &'static str) -> Fact {
    Fact::named(name, "Another", "23", Stability::Immutable)
}

/// What is wrong with a collector, according to the registry.
fn defect(collector: Collector) -> String {
    match Registry::new([&*Box::leak(Box::new(collector))]) {
        Err(RegistryError::Declaration { defect, .. }) => defect,
        other => panic!("not refused as a declaration: {other:?}"),
    }
}

fn with_facts(facts: Vec<Fact>) -> Collector {
    Collector { facts: facts.leak(), ..fake("fake", VALUE.collect) }
}

fn accepts(collector: Collector) -> bool {
    Registry::new([&*Box::leak(Box::new(collector))]).is_ok()
}

#[test]
fn collectors_are_in_order_of_name() {
    let registry = fakes::registry(&[&VALUE, &ABSENT, &FAIL, &ASK]);
    let names: Vec<_> = registry.iter().map(|collector| collector.name).collect();
    assert_eq!(names, ["absent", "ask", "fail", "value"]);
    assert_eq!(registry.get("fail").unwrap().name, "fail");
    assert!(registry.get("fai").is_none());
}

#[test]
fn two_collectors_of_one_name_are_refused() {
    let error = Registry::new([&VALUE, &ASK, &VALUE]).unwrap_err();
    assert_eq!(error, RegistryError::Duplicate("value"));
}

#[test]
fn an_empty_registry_is_an_error_that_says_how_it_comes_about() {
    let error = Registry::new([]).unwrap_err();
    assert_eq!(error, RegistryError::Empty);
    assert!(error.to_string().contains("use my_collectors as _;"), "{error}");
}

#[test]
fn names_that_are_reserved_or_not_in_kebab_case_are_refused() {
    for name in ["all", "default", "opt-out", "", "Kernel", "cpu_model", "-kernel", "kernel-", "cpu.model"] {
        let defect = defect(fake(name, VALUE.collect));
        assert_eq!(defect, "the name must be in kebab case and not reserved", "{name}");
    }
}

#[test]
fn facts_that_are_reserved_or_not_in_kebab_case_are_refused() {
    for name in ["error", "boot-id", "collected-at", "Cores", "a.b", ""] {
        let defect = defect(with_facts(vec![PRIMARY, named(name)]));
        assert_eq!(defect, format!("fact `{name}`: the name must be in kebab case and not reserved"));
    }
    let defect = defect(Collector { retired: &["error"], ..fake("fake", VALUE.collect) });
    assert_eq!(defect, "fact `error`: the name must be in kebab case and not reserved");
}

#[test]
fn keys_that_kubernetes_would_refuse_are_refused() {
    let long = |letter: &str, length| &*letter.repeat(length).leak();
    // `.collected-at` needs 13 of the 63 characters.
    assert!(accepts(fake(long("a", 50), VALUE.collect)));
    let too_long = format!("the key `{}.collected-at` has 64 characters, and 63 are allowed", long("a", 51));
    assert_eq!(defect(fake(long("a", 51), VALUE.collect)), too_long);
    // `fake.` needs 5.
    assert!(accepts(with_facts(vec![PRIMARY, named(long("b", 58))])));
    let too_long = format!("the key `fake.{}` has 64 characters, and 63 are allowed", long("b", 59));
    assert_eq!(defect(with_facts(vec![PRIMARY, named(long("b", 59))])), too_long);
}

#[test]
fn the_first_fact_and_no_other_is_the_primary_one() {
    assert_eq!(defect(with_facts(vec![])), "it declares no fact");
    for facts in [vec![named("cores")], vec![named("cores"), PRIMARY], vec![PRIMARY, PRIMARY]] {
        assert_eq!(defect(with_facts(facts)), "the first fact, and no other, must be the primary one");
    }
}

#[test]
fn a_fact_is_declared_or_retired_once() {
    let twice = "fact `cores` is declared or retired twice";
    assert_eq!(defect(with_facts(vec![PRIMARY, named("cores"), named("cores")])), twice);
    let retired = &["cores"];
    assert_eq!(defect(Collector { retired, ..with_facts(vec![PRIMARY, named("cores")]) }), twice);
    assert_eq!(defect(Collector { retired: &["cores", "cores"], ..fake("fake", VALUE.collect) }), twice);
}

#[test]
fn examples_are_values_that_could_be_published() {
    let bad = [
        vec![Fact { example: "", ..PRIMARY }],
        vec![Fact { example: "4\n2", ..PRIMARY }],
        vec![Fact { example: " 42", ..PRIMARY }],
        vec![Fact { max_bytes: 1, ..PRIMARY }],
        vec![PRIMARY, Fact { example: "4  2", ..named("cores") }],
    ];
    for facts in bad {
        let defect = defect(with_facts(facts));
        assert!(defect.ends_with("the example could not be published as it is"), "{defect}");
    }
}

#[test]
fn bounds_end_where_the_admission_policy_does() {
    let bounded = |max_bytes| with_facts(vec![Fact { max_bytes, ..PRIMARY }]);
    assert!(accepts(bounded(4096)));
    assert_eq!(defect(bounded(4097)), "fact `(primary)`: more than 4096 bytes are never published");
}

#[test]
fn a_collector_without_time_is_refused() {
    let collector = Collector { timeout: Duration::ZERO, ..fake("fake", VALUE.collect) };
    assert_eq!(defect(collector), "the timeout is zero");
}

#[test]
fn the_nearest_name_is_one_that_may_have_been_meant() {
    let registry = fakes::registry(&[&VALUE, &VALUE_FILE, &ASK]);
    assert_eq!(registry.nearest("valeu"), Some("value"));
    assert_eq!(registry.nearest("value-fil"), Some("value-file"));
    assert_eq!(registry.nearest("kernel"), None);
}
