//! All collectors on each machine, against golden files. `INSTA_UPDATE=always cargo test` writes them anew.

use node_annotator_core::Registry;
use serde_json::{Map, Value};

use crate::machine::{MACHINES, context_for, report};

#[tokio::test(start_paused = true)]
async fn outcomes_are_as_recorded() {
    for machine in MACHINES {
        let mut outcomes = Map::new();
        for collector in Registry::from_inventory().unwrap().iter() {
            let report = report(collector, context_for(collector, machine)).await;
            let Value::Array(entries) = serde_json::to_value(&report).unwrap() else {
                panic!("a report is a list");
            };
            for mut entry in entries {
                let entry = entry.as_object_mut().unwrap();
                let Some(Value::String(name)) = entry.remove("collector") else {
                    panic!("an entry has a name")
                };
                entry.remove("milliseconds");
                outcomes.insert(name, entry.clone().into());
            }
        }
        insta::assert_json_snapshot!(machine, outcomes);
    }
}
