//! What no collector may do, told from its outcome.

use node_annotator_core::fact::clean;
use node_annotator_core::facts::UNDECLARED;
use node_annotator_core::write::UNKNOWN;
use node_annotator_core::{Collector, Entry, Facts, Need, Outcome};

use crate::SECRET;
use crate::machine::Trial;

/// What is wrong with an outcome by itself.
pub(crate) fn of_outcome(collector: &Collector, entry: &Entry, may_fail: bool) -> Vec<String> {
    let mut breaches = match &entry.outcome {
        Outcome::Collected(facts) => of_facts(collector, facts),
        Outcome::NotApplicable(reason) if reason.is_empty() => {
            vec!["is not applicable without a reason".to_owned()]
        }
        Outcome::Unknown(reason) if reason.trim_end() == UNKNOWN.trim_end() => {
            vec!["does not say what is unknown to it".to_owned()]
        }
        Outcome::NotApplicable(_) | Outcome::Unknown(_) => Vec::new(),
        Outcome::Failed { .. } if may_fail => Vec::new(),
        Outcome::Failed { error, .. } => vec![format!("fails: {error}")],
        Outcome::TimedOut(limit) => vec![limit.to_string()],
        Outcome::Panicked(message) => vec![format!("panics: {message}")],
    };
    if format!("{:?}", entry.outcome).contains(SECRET) {
        breaches.push("publishes a secret".to_owned());
    }
    breaches
}

fn of_facts(collector: &Collector, facts: &Facts) -> Vec<String> {
    let mut breaches = Vec::new();
    let is_undeclared = |reason: &str| reason == UNDECLARED && !collector.takes_named_facts;
    for left_out in facts.left_out().iter().filter(|left_out| is_undeclared(&left_out.reason)) {
        let name = left_out.fact.unwrap_or("(primary)");
        breaches.push(format!("yields the fact `{name}`, which it does not declare"));
    }
    for (name, value) in facts.iter() {
        let Some(fact) = collector.fact(name) else { continue };
        let name = name.unwrap_or("(primary)");
        if !fact.kind.admits(value) {
            breaches.push(format!(
                "yields the fact `{name}` with the value `{value}`, which is no {}",
                fact.kind
            ));
        }
        if value.is_empty() || clean(value, fact.max_bytes) != value {
            breaches.push(format!("yields the fact `{name}` with a value that is not clean: {value:?}"));
        }
    }
    breaches
}

/// What is wrong with an outcome on a host that shows nothing.
///
/// A collector that asks a metadata service has found no reason to ask; one that looks at nothing has missed
/// nothing.
pub(crate) fn of_seeing_nothing(collector: &Collector, trial: &Trial) -> Option<String> {
    let is_blind = trial.accesses.is_empty() || collector.needs.contains(&Need::MetadataService);
    match &trial.entry.outcome {
        Outcome::Collected(_) if !trial.accesses.is_empty() && !asks_network(collector) => {
            Some("has facts, though it cannot see anything".to_owned())
        }
        Outcome::NotApplicable(reason) | Outcome::Unknown(reason) if !is_blind => {
            Some(format!("says that there is nothing, though it cannot see anything: {reason}"))
        }
        _ => None,
    }
}

fn asks_network(collector: &Collector) -> bool {
    collector.needs.iter().any(|need| matches!(need, Need::MetadataService | Need::Dns))
}

/// What is wrong with an outcome when something cannot be seen that could be before.
pub(crate) fn of_hiding(collector: &Collector, before: &Outcome, hidden: &Outcome) -> Option<String> {
    let is_without = |outcome: &Outcome| matches!(outcome, Outcome::NotApplicable(_) | Outcome::Unknown(_));
    match (before, hidden) {
        (Outcome::Collected(before), Outcome::Collected(hidden)) => of_hidden_facts(before, hidden),
        (_, Outcome::Failed { .. }) => None,
        (before, hidden) if is_without(before) && is_without(hidden) => None,
        // Evidence of a cloud that cannot be seen is no evidence.
        (_, Outcome::NotApplicable(_)) if collector.needs.contains(&Need::MetadataService) => None,
        (_, Outcome::NotApplicable(reason) | Outcome::Unknown(reason)) => {
            Some(format!("is not applicable ({reason})"))
        }
        (_, Outcome::Collected(_)) => Some("has facts that it does not have otherwise".to_owned()),
        (_, Outcome::TimedOut(limit)) => Some(limit.to_string()),
        (_, Outcome::Panicked(message)) => Some(format!("panics ({message})")),
    }
}

fn of_hidden_facts(before: &Facts, hidden: &Facts) -> Option<String> {
    let of_lost = before.iter().find_map(|(name, value)| {
        let told = hidden.left_out().iter().any(|left_out| left_out.fact == name);
        match hidden.get(name) {
            Some(other) if other == value => None,
            None if told => None,
            other => Some((name, other.map(str::to_owned))),
        }
    });
    let of_new = || hidden.iter().find(|(name, _)| before.get(*name).is_none());
    match (of_lost, of_new()) {
        (Some((name, None)), _) => {
            Some(format!("leaves the fact `{}` out without a reason", name.unwrap_or("(primary)")))
        }
        (Some((name, Some(value))), _) => {
            Some(format!("says that the fact `{}` is `{value}`", name.unwrap_or("(primary)")))
        }
        (None, Some((name, _))) => Some(format!("yields the fact `{}`", name.unwrap_or("(primary)"))),
        (None, None) => None,
    }
}
