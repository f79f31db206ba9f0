//! What the registry accepts, and in which order it is read.

use std::time::Duration;

use node_annotator_core::registry::RegistryError;
use node_annotator_core::{Collector, Fact, HostPath, Kind, Need, Registry, Stability, Topic};

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
    Collector::new("fake", Topic::System, "A fake", facts.leak(), VALUE.collect)
}

fn accepts(collector: Collector) -> bool {
    Registry::new([&*Box::leak(Box::new(collector))]).is_ok()
}

#[test]
fn collectors_are_in_order_of_name() {
    let registry = fakes::registry(&[&VALUE, &ABSENT, &FAIL, &ASK]);
    let names: Vec<_> = registry.iter().map(|collector| collector.name).collect();
    assert_eq!(names, ["absent", "ask", "fail", "value"]);
    assert_eq!(registry.find("fail").unwrap().name, "fail");
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
    for name in ["all", "default", "opt-out"] {
        let defect = defect(fake(name, VALUE.collect));
        assert_eq!(defect, "the name is reserved, as all, default, nfd, opt-out are", "{name}");
    }
    for name in ["", "Kernel", "cpu_model", "-kernel", "kernel-", "cpu.model"] {
        assert_eq!(defect(fake(name, VALUE.collect)), "the name is not in kebab case", "{name}");
    }
    let topic = Collector::new("fake", Topic::Other("The Rack"), "A fake", &[PRIMARY], VALUE.collect);
    assert_eq!(defect(topic), "the topic `The Rack` is not in kebab case");
}

#[test]
fn facts_that_are_reserved_or_not_in_kebab_case_are_refused() {
    let reserved = "the name is reserved, as error, failed, value, boot-id, collected-at are";
    for name in ["error", "failed", "value", "boot-id", "collected-at"] {
        assert_eq!(defect(with_facts(vec![PRIMARY, named(name)])), format!("fact `{name}`: {reserved}"));
    }
    for name in ["Cores", "a.b", ""] {
        let defect = defect(with_facts(vec![PRIMARY, named(name)]));
        assert_eq!(defect, format!("fact `{name}`: the name is not in kebab case"));
    }
    assert_eq!(defect(fake("fake", VALUE.collect).retired(&["error"])), format!("fact `error`: {reserved}"));
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
    assert_eq!(defect(with_facts(vec![PRIMARY, named("cores")]).retired(retired)), twice);
    assert_eq!(defect(fake("fake", VALUE.collect).retired(&["cores", "cores"])), twice);
}

#[test]
fn examples_are_values_that_could_be_published() {
    let bad = [
        vec![with_example("")],
        vec![with_example("4\n2")],
        vec![with_example(" 42")],
        vec![PRIMARY.max_bytes(1)],
        vec![PRIMARY, Fact::named("cores", "Another", "4  2", Stability::Immutable)],
    ];
    for facts in bad {
        let defect = defect(with_facts(facts));
        assert!(defect.ends_with("the example could not be published as it is"), "{defect}");
    }
    let not_a_number = vec![with_example("many").kind(Kind::Number)];
    assert_eq!(defect(with_facts(not_a_number)), "fact `(primary)`: the example is no number");
}

fn with_example(example: &'static str) -> Fact {
    Fact::primary("A number", example, Stability::Immutable)
}

#[test]
fn bounds_end_where_the_admission_policy_does() {
    let bounded = |max_bytes| with_facts(vec![PRIMARY.max_bytes(max_bytes)]);
    assert!(accepts(bounded(4096)));
    assert_eq!(defect(bounded(4097)), "fact `(primary)`: more than 4096 bytes are never published");
}

#[test]
fn a_collector_without_time_is_refused() {
    assert_eq!(defect(fake("fake", VALUE.collect).timeout(Duration::ZERO)), "the timeout is zero");
}

#[test]
fn revisions_begin_with_1_and_have_a_highest() {
    assert_eq!(
        defect(fake("fake", VALUE.collect).revision(0)),
        "the first revision is 1, and the highest 999"
    );
    assert_eq!(
        defect(fake("fake", VALUE.collect).revision(1000)),
        "the first revision is 1, and the highest 999"
    );
    assert!(accepts(fake("fake", VALUE.collect).revision(999)));
}

#[test]
fn a_host_path_that_would_be_mounted_wrongly_is_refused() {
    const NEEDS: &[Need] = &[Need::HostPath(HostPath::directory("/opt/rack/"))];
    let defect = defect(fake("fake", VALUE.collect).needs(NEEDS));
    assert_eq!(defect, "host path `/opt/rack/` has a slash too many");
}

#[test]
fn the_nearest_name_is_one_that_may_have_been_meant() {
    let registry = fakes::registry(&[&VALUE, &VALUE_FILE, &ASK]);
    for (name, nearest) in [("valeu", Some("value")), ("value-fil", Some("value-file")), ("kernel", None)] {
        assert_eq!(registry.find(name).unwrap_err().nearest, nearest);
    }
}
