//! What every collector owes, tried on all machines.

use std::collections::BTreeSet;
use std::path::Path;

use node_annotator_core::{Collector, Need, Outcome, Registry};
use serde_json::{Map, Value};

use crate::breach;
use crate::machine::{Machine, Trial};
use crate::sources::Sources;

/// The contract of a collector, on a set of machines.
///
/// It holds when on every machine
///
/// - the outcome is the same each time, and no defect: no panic, no timeout, no failure;
/// - the collector asks for nothing that it does not declare (facts, host paths, variables, network), even
///   if it makes nothing of the refusal;
/// - values are of the declared kind, clean and within their bounds;
/// - what cannot be seen is not told as if it were not there: hide any path that is read, and each fact is
///   the same, or left out with a reason, or the collector fails; and a host that shows nothing has no facts;
/// - no metadata service is asked where there is none;
/// - no outcome contains [`SECRET`](crate::SECRET);
///
/// and when
///
/// - every declared fact has the value of its example on some machine;
/// - the description names what is read: nothing else is, and each source on some machine;
/// - the description says where the collector is not applicable, and it is so on some machine, or on none.
#[derive(Debug)]
pub struct Contract {
    machines: Vec<Machine>,
    hostile: Vec<&'static str>,
    variables: Vec<(&'static str, String)>,
}

impl Contract {
    /// The contract on the machines of a folder: `NAME/` is the root file system of one, and `NAME.metadata/`
    /// holds the answers of its metadata service, a file for each path of a URL. A machine that shows nothing
    /// is added.
    ///
    /// # Panics
    ///
    /// There is no machine.
    pub fn new(fixtures: impl AsRef<Path>) -> Self {
        Self { machines: Machine::all(fixtures.as_ref()), hostile: Vec::new(), variables: Vec::new() }
    }

    /// Names a machine whose files make no sense: a collector may fail on it.
    ///
    /// # Panics
    ///
    /// There is no such machine.
    #[must_use]
    pub fn hostile(mut self, machine: &'static str) -> Self {
        assert!(self.machines.iter().any(|known| known.name == machine), "there is no machine `{machine}`");
        self.hostile.push(machine);
        self
    }

    /// Sets a variable on all machines, as an operator would. Those that a DaemonSet takes from the pod are
    /// set already.
    #[must_use]
    pub fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Tries a collector on all machines: its outcome on each, as in `-o json`, by the machine's name.
    ///
    /// It makes a runtime of its own, and is called outside of any.
    ///
    /// # Panics
    ///
    /// The collector does not keep the contract. The message names everything that it breaks.
    pub fn check(&self, collector: &'static Collector) -> Value {
        let (outcomes, breaches) = self.examine(collector);
        assert!(
            breaches.is_empty(),
            "the collector `{}` breaks its contract\n- {}",
            collector.name,
            breaches.join("\n- ")
        );
        outcomes
    }

    /// The outcome of a collector on each machine, whether it keeps the contract or not.
    ///
    /// It makes a runtime of its own, and is called outside of any.
    pub fn outcomes(&self, collector: &'static Collector) -> Value {
        let outcome = |machine: &Machine| {
            (machine.name.clone(), as_json(&machine.run(collector, &self.variables, None)))
        };
        Value::Object(self.machines.iter().map(outcome).collect())
    }

    fn examine(&self, collector: &'static Collector) -> (Value, Vec<String>) {
        let mut breaches = Vec::new();
        let mut outcomes = Map::new();
        let mut found = BTreeSet::new();
        let mut sources = Sources::of(collector);
        let mut applies_everywhere = true;
        breaches.extend(Registry::new([collector]).err().map(|error| error.to_string()));
        for machine in &self.machines {
            let run = |hidden: Option<&str>| machine.run(collector, &self.variables, hidden);
            let trial = run(None);
            let breaks = |breach: String| format!("on `{}` it {breach}", machine.name);
            breaches.extend(self.of_trial(collector, machine, &trial, &run(None)).into_iter().map(breaks));
            sources.note(&trial);
            for access in trial.accesses.iter().filter(|_| !machine.shows_nothing()) {
                let path = access.path();
                let breach =
                    breach::of_hiding(collector, &trial.entry.outcome, &run(Some(path)).entry.outcome);
                let breach = breach.map(|breach| format!("{breach} if `{path}` cannot be seen"));
                breaches.extend(breach.map(breaks));
            }
            if let Outcome::Collected(facts) = &trial.entry.outcome {
                let values = facts.iter().map(|(name, value)| (collector.fact(name), value.to_owned()));
                found.extend(values.filter_map(|(fact, value)| Some((fact?.name, value))));
            }
            applies_everywhere &= !matches!(trial.entry.outcome, Outcome::NotApplicable(_));
            outcomes.insert(machine.name.clone(), as_json(&trial));
        }
        let may_compare = breaches.is_empty();
        for fact in collector.facts {
            let name = fact.name.unwrap_or("(primary)");
            if !found.iter().any(|(found, _)| *found == fact.name) {
                breaches.push(format!("the fact `{name}` is found on no machine"));
            } else if may_compare && !found.contains(&(fact.name, fact.example.to_owned())) {
                let example = fact.example;
                breaches
                    .push(format!("the example `{example}` of the fact `{name}` is its value on no machine"));
            }
        }
        breaches.extend(sources.breaches());
        match collector.not_applicable {
            None if !applies_everywhere => {
                breaches.push("its description does not say where it is not applicable".to_owned());
            }
            // DNS says the same of all machines.
            Some(nodes) if applies_everywhere && !collector.needs.contains(&Need::Dns) => {
                breaches.push(format!("it is said not to apply {nodes}, and applies on every machine"));
            }
            _ => {}
        }
        (Value::Object(outcomes), breaches)
    }

    fn of_trial(
        &self,
        collector: &Collector,
        machine: &Machine,
        trial: &Trial,
        again: &Trial,
    ) -> Vec<String> {
        let is_hostile = self.hostile.contains(&machine.name.as_str());
        let mut breaches: Vec<_> = trial
            .undeclared
            .iter()
            .map(|what| format!("asks for {what}, which it does not declare"))
            .collect();
        if !machine.has_metadata() && !is_hostile {
            let blind = |url| format!("asks `{url}`, though the machine has no metadata service");
            breaches.extend(trial.asked.iter().map(blind));
        }
        if machine.shows_nothing() {
            breaches.extend(breach::of_seeing_nothing(collector, trial));
        }
        breaches.extend(breach::of_outcome(collector, &trial.entry, is_hostile || machine.shows_nothing()));
        if trial.entry.outcome != again.entry.outcome {
            let (first, second) = (&trial.entry.outcome, &again.entry.outcome);
            breaches.push(format!("does not say the same each time: {first:?}, then {second:?}"));
        }
        breaches
    }
}

/// The outcome as in a report, without what is the same everywhere or differs from run to run.
fn as_json(trial: &Trial) -> Value {
    let mut entry = serde_json::to_value(&trial.entry).expect("an entry of a report is JSON");
    if let Some(fields) = entry.as_object_mut() {
        for field in ["collector", "attempts", "milliseconds"] {
            fields.remove(field);
        }
    }
    entry
}

#[cfg(test)]
mod tests;
