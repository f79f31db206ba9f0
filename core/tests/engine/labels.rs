//! Facts that are labels too: which can be, and what a plan makes of them.

use std::time::Duration;

use node_annotator_core::error::FailureKind;
use node_annotator_core::label::{NfdLabels, NoLabel};
use node_annotator_core::{
    Collector, DoneMark, Entry, Fact, Facts, LabelFacts, Outcome, Plan, Prefix, Report, Stability, Topic,
};
use serde_json::json;

use crate::fakes::{ABSENT, EXTRA, VALUE};

const SERIAL: Fact = Fact::named("serial", "A number of the machine", "7", Stability::Immutable).unique();
const TEXT: Fact = Fact::named("text", "What people read", "a text", Stability::Immutable).free_text();

static MACHINE: Collector = Collector::new(
    "machine",
    Topic::Other("fakes"),
    "A fake",
    &[Fact::primary("A word", "word", Stability::Immutable), SERIAL, TEXT],
    VALUE.collect,
);

const COLLECTORS: [&Collector; 3] = [&ABSENT, &MACHINE, &VALUE];

fn parse(names: &[&str]) -> Result<LabelFacts, String> {
    LabelFacts::parse(names.iter().copied(), &COLLECTORS).map_err(|error| error.to_string())
}

fn labels(outcome: Outcome) -> serde_json::Value {
    let entry = Entry { collector: &VALUE, outcome, attempts: 1, duration: Duration::ZERO };
    let report = Report::new(vec![entry]);
    let labels = parse(&["value", "value.extra", "machine"]).unwrap();
    let plan = Plan::new(&report, &Prefix::default(), &DoneMark::Saved);
    let plan = plan.labelling(&report, &labels, &Prefix::default());
    plan.patch()["metadata"]["labels"].clone()
}

#[test]
fn facts_are_named_as_listings_name_them() {
    let labels = parse(&[" value.extra ", "value", "machine", "value"]).unwrap();
    assert_eq!(labels.names(&[&VALUE]), ["value", "value.extra"]);
    let keys: Vec<_> = labels.keys(&VALUE, &Prefix::default()).collect();
    assert_eq!(keys, ["k8s.haim.dev/value.value", "k8s.haim.dev/value.extra"]);
    assert_eq!(labels.names(&[&ABSENT]), [""; 0]);
    assert!(parse(&["", " "]).unwrap().is_empty());
    let both = parse(&["value"]).unwrap().union(&parse(&["machine", "value.extra"]).unwrap());
    assert_eq!(both, labels);
}

#[test]
fn what_no_label_can_be_made_of_is_refused_with_the_reason() {
    for (names, told) in [
        (
            &["machine.serial"][..],
            "`machine.serial` cannot be a label: its value is another one on every node\n",
        ),
        (&["value", "machine.text"], "`machine.text` cannot be a label: it is text for people, "),
        (
            &["machine.value"],
            "`machine.value` cannot be a label: the collector `machine` has no such fact\nvalid: machine",
        ),
        (&["value.gone"], "has no such fact\nvalid: value, value.extra"),
        (&["kernel.major"], "the collector `kernel` is not selected\nselected: absent, machine, value"),
    ] {
        let error = parse(names).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn labels_are_set_with_the_facts_and_deleted_with_them() {
    let done = |value: Option<&str>, extra: Option<&str>| {
        json!({
            "k8s.haim.dev/value": "saved",
            "k8s.haim.dev/value.failed": null,
            "k8s.haim.dev/value.value": value,
            "k8s.haim.dev/value.extra": extra,
        })
    };
    let both = Facts::new("4 2").with(&EXTRA, 23);
    assert_eq!(labels(Outcome::Collected(both)), done(Some("4_2"), Some("23")));
    assert_eq!(labels(Outcome::Collected(Facts::new("42"))), done(Some("42"), None));
    let long = Facts::new("x".repeat(64)).with(&EXTRA, "?");
    assert_eq!(labels(Outcome::Collected(long)), done(None, None));
    for outcome in [Outcome::not_applicable("none"), Outcome::unknown("this")] {
        assert_eq!(labels(outcome), done(None, None));
    }
    let failed = Outcome::Failed { error: "no".to_owned(), hint: None, kind: FailureKind::Passing };
    assert_eq!(labels(failed), json!(null), "a failure touches no label");
}

#[test]
fn why_there_is_no_label_is_known() {
    let facts = Facts::new("x".repeat(64));
    let outcome = Outcome::Collected(facts);
    let entry = Entry { collector: &VALUE, outcome, attempts: 1, duration: Duration::ZERO };
    let labels = parse(&["value", "value.extra"]).unwrap();
    let of = labels.of(&Report::new(vec![entry]), &Prefix::default());
    assert_eq!(of["k8s.haim.dev/value.value"], Err(NoLabel::TooLong));
    assert_eq!(of["k8s.haim.dev/value.extra"], Err(NoLabel::Missing));
}

/// Has a label of Node Feature Discovery that says the same as its fact, and one that says nothing.
static NFD: Collector = Collector::new(
    "of-nfd",
    Topic::Other("fakes"),
    "A fake",
    &[Fact::primary("A word", "word", Stability::Immutable)],
    VALUE.collect,
)
.nfd(NfdLabels {
    names: &["fake.name", "fake.none"],
    value: |name, facts| facts.get(None).filter(|_| name == "fake.name").map(str::to_owned),
});

#[test]
fn labels_of_node_feature_discovery_are_a_list_and_not_under_the_prefix() {
    let labels = LabelFacts::parse(["nfd"], &[&NFD, &VALUE]).unwrap();
    assert!(labels.has_nfd() && !labels.is_empty());
    assert_eq!(labels.names(&[&VALUE, &NFD]), ["nfd"]);
    assert_eq!(labels.names(&[&VALUE]), [""; 0], "nothing for who has none");
    let prefix = Prefix::default();
    let keys: Vec<_> = labels.keys(&NFD, &prefix).collect();
    assert_eq!(keys, ["feature.node.kubernetes.io/fake.name", "feature.node.kubernetes.io/fake.none"]);

    let planned = |labels: &LabelFacts, outcome| {
        let report =
            Report::new(vec![Entry { collector: &NFD, outcome, attempts: 1, duration: Duration::ZERO }]);
        Plan::new(&report, &prefix, &DoneMark::Saved).labelling(&report, labels, &prefix).patch()["metadata"]
            ["labels"]
            .clone()
    };
    let told = planned(&labels, Outcome::Collected(Facts::new("a b")));
    assert_eq!(told["feature.node.kubernetes.io/fake.name"], "a_b");
    assert_eq!(told.get("feature.node.kubernetes.io/fake.none"), Some(&json!(null)));
    let gone = planned(&labels, Outcome::not_applicable("none"));
    assert_eq!(gone.get("feature.node.kubernetes.io/fake.name"), Some(&json!(null)));
    let unwanted = planned(&parse(&["value"]).unwrap(), Outcome::Collected(Facts::new("a")));
    assert_eq!(unwanted.as_object().map(serde_json::Map::len), Some(2), "{unwanted}");
    assert!(parse(&["nfd"]).unwrap_err().contains("none of the selected collectors knows"));
}
