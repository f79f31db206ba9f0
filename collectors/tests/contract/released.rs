//! What was released last, against what the collectors say now: nodes that have older facts run a collector
//! again if its revision was raised, and only then.
//!
//! `collectors/released.json` has the revision of each collector at the last release, and for each machine a
//! digest of what it found there. New machines need nothing. `RELEASED=kernel,os cargo test --test contract
//! released` records those two as released in the revision that they have: for a change of fixtures alone.
//! `RELEASED=all` records all of them: for a release.

use std::collections::BTreeMap;
use std::path::Path;

use node_annotator_core::Registry;
use node_annotator_testing::Contract;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::collector;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/released.json");

/// Names the collectors to be recorded.
const VARIABLE: &str = "RELEASED";

/// What is said of one collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    revision: u32,
    /// For each machine on which it is done, a digest of what it writes there.
    machines: BTreeMap<String, String>,
}

type Table = BTreeMap<String, Facts>;

impl Facts {
    /// Of what a golden file has.
    fn new(revision: u32, outcomes: &Value) -> Self {
        let outcomes = outcomes.as_object().expect("an outcome for each machine");
        let is_done =
            |outcome: &Value| matches!(outcome["outcome"].as_str(), Some("collected" | "not-applicable"));
        let machines = outcomes.iter().filter(|(_, outcome)| is_done(outcome));
        let machines =
            machines.map(|(machine, outcome)| (machine.clone(), digest(outcome["facts"].to_string())));
        Self { revision, machines: machines.collect() }
    }

    /// What is wrong with a collector that was released so.
    fn judge(&self, name: &str, now: &Self) -> Option<String> {
        let released = self.revision;
        if now.revision < released {
            return Some(format!(
                "`{name}`: revision {} was released, and {} is before it",
                released, now.revision
            ));
        }
        if now.revision > released + 1 {
            return Some(format!(
                "`{name}`: revision {released} was released, so that the next one is {}",
                released + 1
            ));
        }
        let differs = |(machine, digest): &(&String, &String)| now.machines.get(*machine) != Some(*digest);
        let machines: Vec<_> =
            self.machines.iter().filter(differs).map(|(machine, _)| machine.as_str()).collect();
        (now.revision == released && !machines.is_empty()).then(|| {
            format!(
                "`{name}` says something else than what was released, on {}\n  raise its revision: `.revision({})`; or, if only \
                 fixtures have changed: {VARIABLE}={name} cargo test --test contract released",
                machines.join(", "),
                released + 1
            )
        })
    }
}

fn digest(text: impl AsRef<[u8]>) -> String {
    let first = Sha256::digest(text).first_chunk().copied().expect("it has 32 bytes");
    format!("{:016x}", u64::from_be_bytes(first))
}

#[test]
fn what_changed_since_the_release_has_another_revision() {
    let contract = Contract::new(crate::FIXTURES).hostile("hostile");
    let registry = Registry::from_inventory().unwrap();
    let now: Table = registry
        .iter()
        .map(|collector| {
            (collector.name.to_owned(), Facts::new(collector.revision, &contract.check(collector)))
        })
        .collect();
    let mut table = read();
    if let Some(list) = recorded() {
        let is_recorded = |name: &str| list == "all" || list.split(',').any(|recorded| recorded == name);
        table.retain(|name, _| !is_recorded(name) || now.contains_key(name));
        table.extend(now.clone().into_iter().filter(|(name, _)| is_recorded(name)));
        write(&table);
    }
    let wrong: Vec<_> = now
        .iter()
        .filter_map(|(name, now)| match table.get(name) {
            Some(released) => released.judge(name, now),
            None => (now.revision > 1)
                .then(|| format!("`{name}`: it was never released, so that its revision is 1")),
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[expect(clippy::disallowed_methods, reason = "the table is of this crate, and nothing of a host")]
fn read() -> Table {
    serde_json::from_str(&std::fs::read_to_string(Path::new(TABLE)).unwrap_or_else(|_| "{}".to_owned()))
        .unwrap()
}

fn write(table: &Table) {
    let text = serde_json::to_string_pretty(table).unwrap() + "\n";
    std::fs::write(TABLE, text).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "it is for this test, and for no collector")]
fn recorded() -> Option<String> {
    std::env::var(VARIABLE).ok()
}

/// The seed of this project has marked nodes with `saved`: they are done, and never run it again.
#[test]
fn the_anchor_ip_stays_in_its_first_revision_for_good() {
    assert_eq!(
        collector("digital-ocean-anchor-ip").revision,
        1,
        "new facts of Droplets belong to `digital-ocean`"
    );
}

#[test]
fn other_facts_need_another_revision_and_other_machines_do_not() {
    let outcomes = json!({
        "a": { "outcome": "collected", "facts": { "x": "1" }, "leftOut": { "x.y": "why" } },
        "b": { "outcome": "not-applicable", "reason": "none" },
        "c": { "outcome": "failed", "error": "broken" },
    });
    let released = Facts::new(1, &outcomes);
    assert_eq!(released.machines.keys().collect::<Vec<_>>(), ["a", "b"]);
    let judged = |revision, change: fn(&mut Value)| {
        let mut outcomes = outcomes.clone();
        change(&mut outcomes);
        released.judge("x", &Facts::new(revision, &outcomes)).unwrap_or_default()
    };
    assert_eq!(judged(1, |_| ()), "");
    // What is not written on the Node, machines that come, and failures, which are tried again by themselves.
    assert_eq!(judged(1, |now| now["a"]["leftOut"] = json!({ "x.y": "another reason" })), "");
    assert_eq!(judged(1, |now| now["b"]["reason"] = json!("nothing")), "");
    assert_eq!(judged(1, |now| now["c"] = json!({ "outcome": "collected", "facts": { "x": "3" } })), "");
    assert_eq!(judged(1, |now| now["d"] = json!({ "outcome": "collected", "facts": { "x": "4" } })), "");

    let changes: [fn(&mut Value); 3] = [
        |now| now["a"]["facts"]["x"] = json!("2"),
        |now| now["a"]["facts"]["x.more"] = json!("2"),
        |now| now["b"] = json!({ "outcome": "collected", "facts": { "x": "2" } }),
    ];
    for change in changes {
        let told = judged(1, change);
        assert!(told.contains("`.revision(2)`") && told.contains("RELEASED=x cargo test"), "{told}");
        assert_eq!(judged(2, change), "");
        assert!(judged(3, change).contains("the next one is 2"));
    }
    let back = Facts { revision: 2, ..released.clone() }.judge("x", &released).unwrap();
    assert!(back.contains("revision 2 was released, and 1 is before it"), "{back}");
}
