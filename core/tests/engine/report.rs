//! What a report says, in which shape, and how long it may get.

use std::time::Duration;

use node_annotator_core::error::MAX_ERROR_BYTES;
use node_annotator_core::fact::MAX_RUN_BYTES;
use node_annotator_core::report::TimeLimit;
use node_annotator_core::{CollectError, Collector, Entry, Facts, Outcome, Report};
use serde_json::json;

use crate::fakes::{ABSENT, ASK, EXTRA, FAIL, HANG_SHORT, PANIC_ODD, VALUE, VALUE_FILE};

fn entry(collector: &'static Collector, outcome: Outcome) -> Entry {
    Entry { collector, outcome, attempts: 1, duration: Duration::from_millis(1500) }
}

fn of_size(bytes: usize) -> Outcome {
    Outcome::Collected(Facts::new("x".repeat(bytes - 1)).with(&EXTRA, "y"))
}

#[test]
fn collectors_beyond_the_total_fail_and_those_that_still_fit_do_not() {
    let report = Report::new(vec![
        entry(&VALUE, of_size(2)),
        entry(&ABSENT, of_size(MAX_RUN_BYTES - 10)),
        entry(&ASK, of_size(11)),
        entry(&FAIL, of_size(10)),
    ])
    .bounded(0);
    let words: Vec<_> = report.entries().iter().map(|entry| entry.outcome.as_str()).collect();
    assert_eq!(words, ["collected", "failed", "collected", "failed"]);
    let too_long = &report.entries()[1].outcome;
    assert_eq!(too_long.error().unwrap(), "the facts of all collectors together exceed 65536 bytes");
    assert_eq!(too_long.hint(), Some("select fewer collectors"));
}

#[test]
fn the_json_of_each_outcome_is_as_documented() {
    let failure = CollectError::new("cannot read").with_hint("try harder");
    let report = Report::new(vec![
        entry(&VALUE, Outcome::Collected(Facts::new("42").with(&EXTRA, 23))),
        entry(&VALUE_FILE, Outcome::Collected(Facts::new("42").without(&EXTRA, "it is masked"))),
        entry(&ABSENT, Outcome::not_applicable("no such thing")),
        entry(&FAIL, Outcome::failed(&failure)),
        entry(&HANG_SHORT, Outcome::TimedOut(TimeLimit::Timeout(HANG_SHORT.timeout))),
        entry(&PANIC_ODD, Outcome::Panicked("no message".to_owned())),
    ]);
    assert_eq!(
        serde_json::to_value(&report).unwrap(),
        json!([
            {
                "collector": "absent", "outcome": "not-applicable", "reason": "no such thing",
                "attempts": 1, "milliseconds": 1500,
            },
            {
                "collector": "fail", "outcome": "failed", "error": "cannot read", "hint": "try harder",
                "attempts": 1, "milliseconds": 1500,
            },
            {
                "collector": "hang-short", "outcome": "timed-out", "error": "timed out after 2s",
                "attempts": 1, "milliseconds": 1500,
            },
            {
                "collector": "panic-odd", "outcome": "panicked", "error": "panicked: no message",
                "attempts": 1, "milliseconds": 1500,
            },
            {
                "collector": "value", "outcome": "collected", "facts": { "value": "42", "value.extra": "23" },
                "attempts": 1, "milliseconds": 1500,
            },
            {
                "collector": "value-file", "outcome": "collected", "facts": { "value-file": "42" },
                "leftOut": { "value-file.extra": "it is masked" }, "attempts": 1, "milliseconds": 1500,
            },
        ])
    );
    let failures: Vec<_> = report.failures().map(|entry| entry.collector.name).collect();
    assert_eq!(failures, ["fail", "hang-short", "panic-odd"]);
}

#[test]
fn texts_are_bounded_and_printable_whoever_wrote_them() {
    let long = "\u{1b}[2J ä\n".repeat(1000);
    let cause =
        CollectError::new(long.clone()).with_hint(long.clone()).because(std::io::Error::other(long.clone()));
    let failed = Outcome::failed(&cause);
    let Outcome::NotApplicable(reason) = Outcome::not_applicable(&long) else { unreachable!() };
    let Outcome::Failed { error, .. } = &failed else { unreachable!() };
    let texts = [
        error.clone(),
        failed.error().unwrap(),
        failed.hint().unwrap().to_owned(),
        reason,
        Outcome::panicked(&long).error().unwrap(),
    ];
    for text in texts {
        assert!(text.len() <= MAX_ERROR_BYTES, "{} bytes", text.len());
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(text.ends_with('…'), "{text:?}");
    }
}
