//! What every registered collector owes: facts as declared, bounded, the same each time, and no network beyond its needs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use node_annotator_core::facts::UNDECLARED;
use node_annotator_core::{Outcome, Registry};

use crate::machine::{MACHINES, context_for, outcome};

/// A registration that is not linked vanishes without a word.
#[test]
fn every_registration_of_the_source_is_in_the_registry() {
    // Building it checks names, lengths and examples.
    let registry = Registry::from_inventory().unwrap();
    let written = registrations(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    assert_eq!(registry.iter().count(), written, "`register!` stands in the source as often");
}

#[expect(clippy::disallowed_methods, reason = "the source of this crate is read, and nothing of a host")]
fn registrations(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let count = |path: PathBuf| {
        if path.is_dir() {
            return registrations(&path);
        }
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().filter(|line| line.starts_with("register!(")).count()
    };
    entries.map(count).sum()
}

#[tokio::test(start_paused = true)]
async fn every_outcome_is_as_declared_and_the_same_each_time() {
    for collector in Registry::from_inventory().unwrap().iter() {
        for machine in MACHINES {
            let first = outcome(collector, context_for(collector, machine)).await;
            let again = outcome(collector, context_for(collector, machine)).await;
            assert_eq!(first, again, "{} on {machine}", collector.name);
            match first {
                Outcome::Collected(facts) => {
                    for left_out in facts.left_out() {
                        assert_ne!(left_out.reason, UNDECLARED, "{}: {left_out:?}", collector.name);
                    }
                    for (name, value) in facts.iter() {
                        let fact = collector.fact(name).expect("the runner lets declared facts pass alone");
                        assert!(
                            !value.is_empty() && value.len() <= fact.max_bytes,
                            "{}: {name:?}",
                            collector.name
                        );
                        assert!(!value.chars().any(char::is_control), "{}: {value:?}", collector.name);
                    }
                }
                Outcome::NotApplicable(reason) => assert!(!reason.is_empty()),
                Outcome::Failed { error, .. } => {
                    assert!(
                        !error.contains("does not declare it"),
                        "{} on {machine}: {error}",
                        collector.name
                    );
                    // Only these two machines have something that no collector could make sense of.
                    assert!(["hostile", "nothing-to-see"].contains(&machine), "{machine}: {error}");
                }
                Outcome::TimedOut(_) | Outcome::Panicked(_) => {
                    panic!("{} on {machine}: {first:?}", collector.name)
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_declared_fact_is_found_on_some_machine() {
    for collector in Registry::from_inventory().unwrap().iter() {
        let mut found = BTreeSet::new();
        for machine in MACHINES {
            if let Outcome::Collected(facts) = outcome(collector, context_for(collector, machine)).await {
                found.extend(facts.iter().map(|(name, _)| name));
            }
        }
        let declared: BTreeSet<_> = collector.facts.iter().map(|fact| fact.name).collect();
        assert_eq!(found, declared, "{}", collector.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_shows_nothing_is_not_mistaken_for_one_that_has_nothing() {
    for (name, message) in [
        ("cpu-model", "cannot read `/proc/cpuinfo`: the host's root is not there"),
        ("kernel", "cannot read `/proc/sys/kernel/osrelease`: the host's root is not there"),
    ] {
        let collector = crate::machine::collector(name);
        let outcome = outcome(collector, context_for(collector, "nothing-to-see")).await;
        assert_eq!(outcome.error().as_deref(), Some(message));
    }
}

#[tokio::test]
async fn no_secret_of_a_command_line_or_a_serial_number_is_published() {
    for collector in Registry::from_inventory().unwrap().iter() {
        for machine in MACHINES {
            let text = format!("{:?}", outcome(collector, context_for(collector, machine)).await);
            for secret in ["hunter2", "swordfish", "UUID=", crate::machine::SECRET] {
                assert!(!text.contains(secret), "{} on {machine}: {text}", collector.name);
            }
        }
    }
}
