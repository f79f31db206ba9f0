//! How what a collector yields is held against what it declared.

use node_annotator_core::context::HostError;
use node_annotator_core::facts::UNDECLARED;
use node_annotator_core::{Collector, Fact, Facts, Stability, Topic};

use crate::fakes::{EXTRA, SURPRISE, VALUE};

#[test]
fn values_are_cleaned_and_cut_and_empty_ones_left_out() {
    let yielded = Facts::new(" Intel\u{1b}  Xeon\n").with(&EXTRA, "\0 ").with_some(&EXTRA, None::<&str>);
    assert_eq!(yielded.conform(&VALUE).unwrap(), Facts::new("Intel Xeon"));

    let long = "x".repeat(2000);
    let facts = Facts::new(long.clone()).with(&EXTRA, &long).conform(&VALUE).unwrap();
    let cut = format!("{}…", "x".repeat(1024 - '…'.len_utf8()));
    assert_eq!(facts, Facts::new(cut.clone()).with(&EXTRA, cut));
}

#[test]
fn each_fact_has_its_own_bound() {
    const WORD: Fact = Fact::primary("A word", "a", Stability::Immutable).max_bytes(4);
    const OTHER: Fact = Fact::named("other", "Another", "b", Stability::Immutable).max_bytes(8);
    let collector = Collector::new("fake", Topic::System, "A fake", &[WORD, OTHER], VALUE.collect);
    let facts = Facts::new("123456789").with(&OTHER, "123456789").conform(&collector).unwrap();
    assert_eq!(facts, Facts::new("1…").with(&OTHER, "12345…"));
}

#[test]
fn a_fact_that_is_not_in_the_list_is_left_out_and_the_others_are_there() {
    let facts = Facts::new("42").with(&EXTRA, 23).with(&SURPRISE, 1).conform(&VALUE).unwrap();
    assert_eq!(
        (facts.get(None), facts.get(Some("extra")), facts.get(Some("surprise"))),
        (Some("42"), Some("23"), None)
    );
    let [left_out] = facts.left_out() else { panic!("one fact: {facts:?}") };
    assert_eq!((left_out.fact, left_out.reason.as_str()), (Some("surprise"), UNDECLARED));
}

#[test]
fn an_empty_primary_fact_is_a_defect() {
    assert_eq!(Facts::new("\n").conform(&VALUE).unwrap_err().to_string(), "the primary fact is empty");
}

#[test]
fn a_fact_that_could_not_be_read_is_left_out_with_its_reason() {
    let denied = HostError::not_visible("/proc/cmdline", std::io::Error::other("denied\u{1b}[2J"));
    let facts = Facts::new("42").with_read(&EXTRA, Err::<Option<u64>, _>(denied));
    let facts = facts.conform(&VALUE).unwrap();
    assert_eq!(facts.get(Some("extra")), None);
    assert_eq!(facts.left_out()[0].reason, "cannot read `/proc/cmdline`: denied [2J");

    let absent = Facts::new("42").with_read(&EXTRA, Ok::<_, HostError>(None::<u64>));
    assert_eq!(absent, Facts::new("42"), "what is absent is no trouble");
    assert_eq!(
        Facts::new("42").with_read(&EXTRA, Ok::<_, HostError>(Some(23))),
        Facts::new("42").with(&EXTRA, 23)
    );
}
