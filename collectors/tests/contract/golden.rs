//! Each collector on all machines, against one golden file. `INSTA_UPDATE=always cargo test` writes them anew.

use node_annotator_core::Registry;
use serde_json::{Map, Value};

use crate::machine::{MACHINES, context_for, report};

#[tokio::test(start_paused = true)]
async fn outcomes_are_as_recorded() {
    for collector in Registry::from_inventory().unwrap().iter() {
        let mut outcomes = Map::new();
        for machine in MACHINES {
            let report = report(collector, context_for(collector, machine)).await;
            let mut entry = serde_json::to_value(&report.entries()[0]).unwrap();
            let fields = entry.as_object_mut().unwrap();
            for same in ["collector", "attempts", "milliseconds"] {
                fields.remove(same);
            }
            outcomes.insert(machine.to_owned(), entry);
        }
        insta::assert_json_snapshot!(collector.name, Value::Object(outcomes));
    }
}
