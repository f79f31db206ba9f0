//! What a report makes of a Node: a table of single outcomes, and what holds for any report on any Node.

use std::collections::BTreeMap;
use std::time::Duration;

use node_annotator_core::context::BootId;
use node_annotator_core::error::FailureKind;
use node_annotator_core::plan::{Difference, KeyKind};
use node_annotator_core::report::TimeLimit;
use node_annotator_core::{
    Collector, DoneMark, Entry, Fact, Facts, Outcome, Plan, Prefix, Report, Stability, Topic,
};
use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::fakes::{ABSENT, ASK, EXTRA, VALUE, VALUE_FILE, fake};

fn report(outcomes: impl IntoIterator<Item = (&'static Collector, Outcome)>) -> Report {
    let entry = |(collector, outcome)| Entry { collector, outcome, attempts: 1, duration: Duration::ZERO };
    Report::new(outcomes.into_iter().map(entry).collect())
}

/// The patch that one outcome of one collector leads to.
fn patch(outcome: Outcome, mark: &DoneMark) -> Value {
    Plan::new(&report([(&VALUE, outcome)]), &Prefix::default(), mark).patch()
}

fn collected() -> Outcome {
    Outcome::Collected(Facts::new("42").with(&EXTRA, 23))
}

fn timed_out() -> Outcome {
    Outcome::TimedOut(TimeLimit::Timeout(VALUE.timeout))
}

#[test]
fn facts_are_set_with_their_label_and_what_was_before_is_deleted() {
    assert_eq!(
        patch(collected(), &DoneMark::Saved),
        json!({ "metadata": {
            "annotations": {
                "k8s.haim.dev/value": "42",
                "k8s.haim.dev/value.extra": "23",
                "k8s.haim.dev/value.gone": null,
                "k8s.haim.dev/value.error": null,
                "k8s.haim.dev/value.boot-id": null,
                "k8s.haim.dev/value.collected-at": null,
            },
            "labels": { "k8s.haim.dev/value": "saved", "k8s.haim.dev/value.failed": null },
        }})
    );
    let less = patch(Outcome::Collected(Facts::new("42")), &DoneMark::Saved);
    assert_eq!(less["metadata"]["annotations"].get("k8s.haim.dev/value.extra"), Some(&Value::Null));
}

#[test]
fn not_applicable_is_done_and_deletes_every_fact() {
    assert_eq!(
        patch(Outcome::not_applicable("no such thing"), &DoneMark::Saved),
        json!({ "metadata": {
            "annotations": {
                "k8s.haim.dev/value": null,
                "k8s.haim.dev/value.extra": null,
                "k8s.haim.dev/value.gone": null,
                "k8s.haim.dev/value.error": null,
                "k8s.haim.dev/value.boot-id": null,
                "k8s.haim.dev/value.collected-at": null,
            },
            "labels": { "k8s.haim.dev/value": "saved", "k8s.haim.dev/value.failed": null },
        }})
    );
}

#[test]
fn what_is_unknown_is_done_and_told() {
    let expected = patch(Outcome::not_applicable("none"), &DoneMark::Saved);
    let mut unknown = patch(Outcome::unknown("the model `Z80`"), &DoneMark::Saved);
    let error = unknown["metadata"]["annotations"]["k8s.haim.dev/value.error"].take();
    assert_eq!(error, "unknown here: the model `Z80`");
    assert_eq!(unknown, expected, "as what is not applicable, but for the error");
}

/// Has no fact that holds until the next boot alone.
static STEADY: Collector = Collector::new(
    "steady",
    Topic::System,
    "A fake",
    &[Fact::primary("A value", "42", Stability::Immutable)],
    VALUE.collect,
);

#[test]
fn facts_that_hold_per_boot_say_which_and_all_say_the_day_if_it_is_wanted() {
    let written = |outcome: fn() -> Outcome, boot_id: Option<&str>, day: Option<&str>| {
        let report = report([(&VALUE, outcome()), (&STEADY, outcome())])
            .in_boot(boot_id.and_then(BootId::parse))
            .on_day(day.map(str::to_owned));
        let plan = Plan::new(&report, &Prefix::default(), &DoneMark::Saved);
        let of = |key: &str| plan.annotations().get(&format!("k8s.haim.dev/{key}")).cloned();
        ["value.boot-id", "steady.boot-id", "value.collected-at", "steady.collected-at"].map(of)
    };
    let some = |text: &str| Some(Some(text.to_owned()));
    let boot = Some("1bd2a6f4-8f0e-4a7b-9d53-0c2b6f1e7a90");
    let day = Some("2026-11-25");
    assert_eq!(
        written(collected, boot, day),
        [some("1bd2a6f4"), None, some("2026-11-25"), some("2026-11-25")]
    );
    // Unknown, and of a day that is not told any more: what an earlier run wrote would be wrong.
    assert_eq!(written(collected, None, None), [Some(None), None, Some(None), Some(None)]);
    for outcome in [|| Outcome::not_applicable("none"), || Outcome::unknown("this")] {
        assert_eq!(written(outcome, boot, day), [Some(None), None, Some(None), Some(None)]);
    }
    assert_eq!(written(timed_out, boot, day), [None, None, None, None]);
}

#[test]
fn whatever_failed_sets_its_error_and_touches_nothing_else() {
    let failures = [
        (
            Outcome::Failed {
                error: "no".to_owned(),
                hint: Some("try".to_owned()),
                kind: FailureKind::Passing,
            },
            "no",
        ),
        (timed_out(), "timed out after 10s"),
        (Outcome::Panicked("ouch".to_owned()), "panicked: ouch"),
    ];
    for (outcome, error) in failures {
        let expected = json!({ "metadata": { "annotations": { "k8s.haim.dev/value.error": error } } });
        assert_eq!(patch(outcome, &DoneMark::Saved), expected, "no labels at all, so that none is deleted");
    }
}

#[test]
fn what_is_given_up_says_so_beside_its_error_and_is_not_done() {
    let plan = Plan::new(&report([(&VALUE, timed_out())]), &Prefix::default(), &DoneMark::Saved);
    let plan = plan.giving_up([&VALUE], &Prefix::default(), &DoneMark::Saved);
    let expected = json!({ "metadata": {
        "annotations": { "k8s.haim.dev/value.error": "timed out after 10s" },
        "labels": { "k8s.haim.dev/value.failed": "saved" },
    }});
    assert_eq!(plan.patch(), expected);
    let mark = DoneMark::Generation("2026-11".parse().unwrap());
    let plan = Plan::new(&report([(&VALUE, timed_out())]), &Prefix::default(), &mark);
    let plan = plan.giving_up([&VALUE], &Prefix::default(), &mark);
    assert_eq!(plan.labels()["k8s.haim.dev/value.failed"].as_deref(), Some("2026-11"));
}

#[test]
fn the_generation_is_the_value_of_the_label() {
    let mark = DoneMark::Generation("2026-11".parse().unwrap());
    assert_eq!(patch(collected(), &mark)["metadata"]["labels"]["k8s.haim.dev/value"], "2026-11");
    assert_eq!(patch(timed_out(), &mark)["metadata"].get("labels"), None);
}

#[test]
fn a_later_revision_is_told_by_the_label() {
    static LATER: Collector = fake("later", VALUE.collect).revision(3);
    let value = |mark| {
        let report = report([(&LATER, Outcome::not_applicable("none"))]);
        Plan::new(&report, &Prefix::default(), mark).labels()["k8s.haim.dev/later"].clone().unwrap()
    };
    assert_eq!(value(&DoneMark::Saved), "saved.r3");
    assert_eq!(value(&DoneMark::Generation("2026-11".parse().unwrap())), "2026-11.r3");
}

#[test]
fn one_failure_leaves_the_others_done() {
    let report =
        report([(&VALUE, collected()), (&ASK, timed_out()), (&ABSENT, Outcome::not_applicable("none"))]);
    let plan = Plan::new(&report, &"facts.example".parse().unwrap(), &DoneMark::Saved);
    let set = plan.labels().iter().filter(|(_, value)| value.is_some());
    let labels: Vec<_> = set.map(|(key, _)| key.as_str()).collect();
    assert_eq!(labels, ["facts.example/absent", "facts.example/value"]);
    assert_eq!(plan.annotations()["facts.example/value"].as_deref(), Some("42"));
    assert!(!plan.annotations().contains_key("facts.example/ask"));
}

#[test]
fn what_was_changed_on_the_way_is_found() {
    let plan = Plan::new(&report([(&VALUE, collected())]), &Prefix::default(), &DoneMark::Saved);
    let stored = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| (format!("k8s.haim.dev/{key}"), (*value).to_owned())).collect()
    };
    let facts = [("value", "42"), ("value.extra", "23"), ("of-others", "1")];
    assert_eq!(plan.compare(&stored(&facts), &stored(&[("value", "saved")])), []);

    let annotations = stored(&[("value", "43"), ("value.extra", "23"), ("value.gone", "still here")]);
    let differences = plan.compare(&annotations, &stored(&[]));
    let difference = |kind, key: &str, planned: Option<&str>| Difference {
        kind,
        key: format!("k8s.haim.dev/{key}"),
        planned: planned.map(str::to_owned),
    };
    assert_eq!(
        differences,
        [
            difference(KeyKind::Label, "value", Some("saved")),
            difference(KeyKind::Annotation, "value", Some("42")),
            difference(KeyKind::Annotation, "value.gone", None),
        ]
    );
    let texts: Vec<_> = differences.iter().map(Difference::to_string).collect();
    assert_eq!(
        texts,
        [
            "label `k8s.haim.dev/value` was not stored as sent",
            "annotation `k8s.haim.dev/value` was not stored as sent",
            "annotation `k8s.haim.dev/value.gone` was not deleted",
        ]
    );
}

/// One name is the beginning of another, so that a prefix taken for a name shows.
const COLLECTORS: [&Collector; 4] = [&VALUE, &VALUE_FILE, &ABSENT, &ASK];

proptest! {
    #[test]
    fn no_key_is_outside_the_prefix_and_none_is_the_operators((report, prefix, mark) in runs()) {
        let plan = Plan::new(&report, &prefix, &mark);
        for key in plan.annotations().keys().chain(plan.labels().keys()) {
            prop_assert!(key.starts_with(&prefix.key_start()), "{}", key);
            prop_assert_ne!(key, &prefix.opt_out());
        }
    }

    #[test]
    fn the_label_is_set_if_and_only_if_the_collector_is_done(
        ((report, prefix, mark), given_up) in (runs(), any::<[bool; 4]>())
    ) {
        let value = |collector: &Collector| Some(mark.label_value(collector.revision));
        let done = report.entries().iter().filter(|entry| entry.outcome.is_done());
        let mut labels: BTreeMap<_, _> = done
            .flat_map(|entry| {
                let name = entry.collector.name;
                [(prefix.done(name), value(entry.collector)), (prefix.failed(name), None)]
            })
            .collect();
        let failures = report.failures().map(|entry| entry.collector).zip(given_up);
        let given_up: Vec<_> =
            failures.filter_map(|(collector, given_up)| given_up.then_some(collector)).collect();
        labels.extend(given_up.iter().map(|collector| (prefix.failed(collector.name), value(collector))));
        let plan = Plan::new(&report, &prefix, &mark).giving_up(given_up, &prefix, &mark);
        prop_assert_eq!(plan.labels(), &labels);
    }

    #[test]
    fn facts_of_what_failed_or_did_not_run_are_never_touched((report, prefix, mark) in runs()) {
        let plan = Plan::new(&report, &prefix, &mark);
        for collector in COLLECTORS {
            let entry = report.entries().iter().find(|entry| entry.collector.name == collector.name);
            if entry.is_some_and(|entry| entry.outcome.is_done()) {
                continue;
            }
            let (primary, error) = (prefix.fact(collector.name, None), prefix.error(collector.name));
            let own = |key: &&String| **key == primary || key.starts_with(&format!("{primary}."));
            let touched: Vec<_> = plan.annotations().keys().filter(own).collect();
            prop_assert_eq!(touched, entry.map(|_| &error).into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_second_run_changes_nothing_and_none_changes_what_is_not_planned(
        ((report, prefix, mark), node) in runs_on_nodes()
    ) {
        let plan = Plan::new(&report, &prefix, &mark);
        let mut once = node.clone();
        merge(&mut once, &plan.patch());
        let mut twice = once.clone();
        merge(&mut twice, &Plan::new(&report, &prefix, &mark).patch());
        prop_assert_eq!(&twice, &once);

        for (map, changes) in [("annotations", plan.annotations()), ("labels", plan.labels())] {
            let rest = |node| {
                let mut map = metadata(node, map);
                map.retain(|key, _| !changes.contains_key(key));
                map
            };
            prop_assert_eq!(rest(&once), rest(&node));
        }
    }

    #[test]
    fn a_server_that_applies_the_patch_has_stored_the_plan(((report, prefix, mark), node) in runs_on_nodes()) {
        let plan = Plan::new(&report, &prefix, &mark);
        let mut node = node;
        merge(&mut node, &plan.patch());
        prop_assert_eq!(plan.compare(&metadata(&node, "annotations"), &metadata(&node, "labels")), []);
    }
}

type Run = (Report, Prefix, DoneMark);

/// Any outcomes of any of the collectors, under any prefix and mark.
fn runs() -> impl Strategy<Value = Run> {
    let outcomes = proptest::array::uniform4(option::weighted(0.8, outcome()));
    let reports = outcomes.prop_map(|outcomes| {
        let ran = COLLECTORS.into_iter().zip(outcomes);
        report(ran.filter_map(|(collector, outcome)| outcome.map(|outcome| (collector, outcome))))
    });
    let prefixes = select(vec![Prefix::default(), "facts.example".parse().unwrap()]);
    let marks = select(vec![DoneMark::Saved, DoneMark::Generation("2".parse().unwrap())]);
    (reports, prefixes, marks)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let text = || "[ -~]{1,20}";
    prop_oneof![
        3 => (text(), option::of(text()))
            .prop_map(|(primary, extra)| Outcome::Collected(Facts::new(primary).with_some(&EXTRA, extra))),
        1 => text().prop_map(|reason| Outcome::not_applicable(&reason)),
        1 => text().prop_map(|reason| Outcome::unknown(&reason)),
        1 => text().prop_map(|error| Outcome::Failed { error, hint: None, kind: FailureKind::Passing }),
        1 => Just(timed_out()),
        1 => text().prop_map(Outcome::Panicked),
    ]
}

/// Such a run, and a Node that has some of our keys from earlier runs, and keys of others.
fn runs_on_nodes() -> impl Strategy<Value = (Run, Value)> {
    runs().prop_flat_map(|run| {
        let mut keys: Vec<_> =
            ["kubernetes.io/hostname", "value", "k8s.haim.dev.example/value"].map(str::to_owned).into();
        keys.push(run.1.opt_out());
        for collector in COLLECTORS {
            keys.push(run.1.error(collector.name));
            for fact in [None, Some("extra"), Some("gone"), Some("unknown")] {
                keys.push(run.1.fact(collector.name, fact));
            }
        }
        let map = move || option::weighted(0.9, btree_map(select(keys.clone()), "saved|2|[a-z]{0,3}", 0..20));
        let nodes = (map(), map()).prop_map(|(annotations, labels)| {
            let mut node = json!({ "metadata": { "name": "node-1" } });
            for (name, map) in [("annotations", annotations), ("labels", labels)] {
                if let Some(map) = map {
                    node["metadata"][name] = json!(map);
                }
            }
            node
        });
        (Just(run), nodes)
    })
}

fn metadata(node: &Value, map: &str) -> BTreeMap<String, String> {
    let map = node["metadata"].get(map).cloned().unwrap_or_else(|| json!({}));
    serde_json::from_value(map).unwrap()
}

/// A JSON merge patch, RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}
