//! What the collectors say on the recorded machines, run once for all pages.

use std::collections::BTreeMap;

use node_annotator_core::Registry;
use node_annotator_testing::Contract;
use serde_json::{Map, Value};

/// The machine whose files make no sense.
const HOSTILE: &str = "hostile";

/// The outcomes by collector, with the machines inside.
pub(super) struct Recorded(BTreeMap<&'static str, Value>);

impl Recorded {
    pub(super) fn new(registry: &Registry) -> Self {
        let machines = Contract::new(xtask_workspace::root().join("collectors/fixtures"));
        Self(registry.iter().map(|collector| (collector.name, machines.outcomes(collector))).collect())
    }

    /// The facts of a collector, by name, on each machine that has some.
    pub(super) fn facts(&self, collector: &str) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
        let machines = self.0.get(collector).and_then(Value::as_object).into_iter().flatten();
        let sensible = machines.filter(|(machine, _)| *machine != HOSTILE);
        sensible.filter_map(|(machine, outcome)| Some((machine, outcome.get("facts")?.as_object()?)))
    }

    /// The value of one fact on one machine.
    pub(super) fn fact(&self, machine: &str, name: &str) -> Option<&str> {
        let collector = name.split_once('.').map_or(name, |(collector, _)| collector);
        self.0.get(collector)?.get(machine)?.get("facts")?.get(name)?.as_str()
    }
}
