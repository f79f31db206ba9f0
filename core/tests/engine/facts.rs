//! How what a collector yields is held against what it declared.

use node_annotator_core::{Collector, Fact, Facts, Stability};

use crate::fakes::{VALUE, fake};

#[test]
fn values_are_cleaned_and_cut_and_empty_ones_left_out() {
    let yielded = Facts::new(" Intel\u{1b}  Xeon\n").with("extra", "\0 ").with_some("gone", None::<&str>);
    assert_eq!(yielded.conform(&VALUE).unwrap(), Facts::new("Intel Xeon"));

    let long = "x".repeat(2000);
    let facts = Facts::new(long.clone()).with("extra", &long).conform(&VALUE).unwrap();
    let cut = format!("{}…", "x".repeat(1024 - '…'.len_utf8()));
    assert_eq!(facts, Facts::new(cut.clone()).with("extra", cut));
}

#[test]
fn each_fact_has_its_own_bound() {
    const FACTS: &[Fact] = &[
        Fact { max_bytes: 4, ..Fact::primary("A word", "a", Stability::Immutable) },
        Fact { max_bytes: 8, ..Fact::named("extra", "Another", "b", Stability::Immutable) },
    ];
    let collector = Collector { facts: FACTS, ..fake("fake", VALUE.collect) };
    let facts = Facts::new("123456789").with("extra", "123456789").conform(&collector).unwrap();
    assert_eq!(facts, Facts::new("1…").with("extra", "12345…"));
}

#[test]
fn undeclared_and_retired_facts_and_an_empty_primary_one_are_defects() {
    let defect = |facts: Facts| facts.conform(&VALUE).unwrap_err().to_string();
    for name in ["surprise", "gone", "error"] {
        let expected = format!("yields the fact `{name}`, which it does not declare");
        assert_eq!(defect(Facts::new("42").with(name, 1)), expected);
    }
    assert_eq!(defect(Facts::new("\n")), "the primary fact is empty");
}
