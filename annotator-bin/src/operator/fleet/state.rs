//! What became of each collector on a node, and why: what all commands for a fleet go by.

use std::collections::BTreeMap;

use jiff::civil::Date;
use node_annotator_core::Prefix;
use serde::Serialize;

use super::age;
use super::demand::{Demand, Mark, Obstacle};
use super::installed::Installed;
use super::node::Node;

/// What became of a collector on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// It failed, and is tried again.
    Failed,
    /// It failed, and is not tried any more.
    GivenUp,
    /// It is to run, and has not.
    Pending,
    /// It is done, and its facts are of another boot, kernel or machine, or too old.
    Stale,
    /// It is not to run here.
    LeftOut,
    /// It is done.
    Done,
}

impl State {
    /// All of them, in the order in which they are counted.
    pub(crate) const ALL: [Self; 6] =
        [Self::Done, Self::Failed, Self::GivenUp, Self::Stale, Self::Pending, Self::LeftOut];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::GivenUp => "given-up",
            Self::Stale => "stale",
            Self::Pending => "pending",
            Self::LeftOut => "left-out",
        }
    }

    /// Whether nothing is to be done about it.
    pub(crate) const fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::LeftOut)
    }
}

/// What became of one collector on one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Entry {
    /// The collector.
    pub(crate) collector: String,
    /// What became of it.
    pub(crate) state: State,
    /// Why it is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

/// What became of the collectors of one node, those together that are in one state for one reason.
pub(crate) fn by_reason(entries: &[Entry]) -> BTreeMap<(State, Option<&str>), Vec<&str>> {
    let mut groups: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for Entry { collector, state, why } in entries {
        groups.entry((*state, why.as_deref())).or_default().push(collector);
    }
    groups
}

/// When facts count as too old: before this day.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Oldest(pub(crate) Option<Date>);

/// What a node says of a collector, whatever its pods do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing<'a> {
    /// It is done.
    Done,
    /// It was given up, with its error.
    GivenUp(&'a str),
    /// It has failed, with its error.
    Failed(&'a str),
    /// Another generation or version gave it up: it runs here as if nothing had been.
    GivenUpElsewhere,
    /// It has not run.
    Pending,
}

/// What a node says of a collector.
pub(crate) fn standing<'a>(node: &'a Node, collector: &str, mark: Mark, prefix: &Prefix) -> Standing<'a> {
    let error = node.annotation(&prefix.error(collector));
    match (mark, node.label(&prefix.failed(collector)), error) {
        (Mark::Done, ..) => Standing::Done,
        (Mark::GivenUp, _, error) => Standing::GivenUp(error.unwrap_or("no error is told")),
        (Mark::Due, Some(_), _) => Standing::GivenUpElsewhere,
        (Mark::Due, None, Some(error)) => Standing::Failed(error),
        (Mark::Due, None, None) => Standing::Pending,
    }
}

impl Installed {
    /// What became of the wanted collectors on a node, in order of name.
    pub(crate) fn entries(
        &self,
        node: &Node,
        is_wanted: impl Fn(&str) -> bool,
        oldest: Oldest,
    ) -> Vec<Entry> {
        let names = self.collectors().into_iter().filter(|name| is_wanted(name));
        names.map(|name| self.entry(node, name, oldest)).collect()
    }

    /// Whether any DaemonSet would run a collector on a node.
    pub(crate) fn runs_on(&self, node: &Node, name: &str) -> bool {
        self.demands
            .iter()
            .filter(|demand| demand.rules.contains_key(name))
            .any(|demand| !matches!(demand.obstacle(node, &self.prefix), Some(Obstacle::LeftOut(_))))
    }

    fn entry(&self, node: &Node, name: &str, oldest: Oldest) -> Entry {
        let entry = |state, why| Entry { collector: name.to_owned(), state, why };
        let demands = self.demands.iter().filter(|demand| demand.rules.contains_key(name));
        let (mut is_done, mut obstacle, mut chosen) = (false, None, None);
        for demand in demands {
            let mark = demand.rules[name].mark(node);
            match demand.obstacle(node, &self.prefix) {
                Some(found @ Obstacle::LeftOut(_)) => {
                    is_done |= mark == Mark::Done;
                    obstacle.get_or_insert(found);
                }
                // Of several that run it here, one that has it to do decides.
                found => {
                    if chosen.as_ref().is_none_or(|(_, chosen, _)| *chosen == Mark::Done) {
                        chosen = Some((demand, mark, found));
                    }
                }
            }
        }
        let Some((demand, mark, taint)) = chosen else {
            return match obstacle {
                Some(Obstacle::LeftOut(why)) if !is_done => entry(State::LeftOut, Some(why)),
                _ => self.done(node, name, oldest),
            };
        };
        match standing(node, name, mark, &self.prefix) {
            Standing::Done => self.done(node, name, oldest),
            Standing::GivenUp(error) => entry(State::GivenUp, Some(error.to_owned())),
            Standing::Failed(error) => {
                let trouble = self.pod(demand, node).and_then(|pod| pod.trouble.as_ref());
                let trouble = trouble.map(|trouble| format!("; its pod: {trouble}")).unwrap_or_default();
                entry(State::Failed, Some(error.to_owned() + &trouble))
            }
            Standing::GivenUpElsewhere | Standing::Pending => {
                entry(State::Pending, Some(self.why_pending(node, demand, taint)))
            }
        }
    }

    fn done(&self, node: &Node, name: &str, oldest: Oldest) -> Entry {
        let collector = self.registry.iter().find(|collector| collector.name == name);
        let why = age::why(node, name, collector, &self.prefix).or_else(|| self.too_old(node, name, oldest));
        let state = if why.is_some() { State::Stale } else { State::Done };
        Entry { collector: name.to_owned(), state, why }
    }

    /// Since when the facts of a collector are older than they may be.
    pub(crate) fn too_old(&self, node: &Node, name: &str, Oldest(oldest): Oldest) -> Option<String> {
        let told = node.annotation(&self.prefix.collected_at(name))?;
        let day: Date = told.parse().ok()?;
        (day < oldest?).then(|| format!("collected on {day}"))
    }

    fn why_pending(&self, node: &Node, demand: &Demand, taint: Option<Obstacle>) -> String {
        if let Some(Obstacle::Taint(why)) = taint {
            return why;
        }
        let not_ready = || if node.is_ready() { "" } else { "; the node is not ready" };
        match self.pod(demand, node) {
            Some(pod) => match &pod.trouble {
                Some(trouble) => format!("its pod: {trouble}{}", not_ready()),
                None if !node.is_ready() => "the node is not ready".to_owned(),
                None => "its pod is at work".to_owned(),
            },
            None => match self.refusal(demand) {
                Some(text) => format!("its pod cannot be made: {text}"),
                None => format!("there is no pod yet{}", not_ready()),
            },
        }
    }
}

/// How many collectors on nodes are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals([usize; State::ALL.len()]);

impl Totals {
    /// Counts some more.
    pub(crate) fn add(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.0[entry.state as usize] += 1;
        }
    }

    /// How many are in one.
    pub(crate) fn of(&self, state: State) -> usize {
        self.0[state as usize]
    }

    /// Those that something is to be done about.
    pub(crate) fn unsettled(&self) -> usize {
        State::ALL.into_iter().filter(|state| !state.is_settled()).map(|state| self.of(state)).sum()
    }

    /// What something is to be done about, on one line.
    pub(crate) fn line_of_unsettled(&self) -> String {
        let counts = State::ALL.into_iter().filter(|state| !state.is_settled());
        let counts = counts.map(|state| (state, self.of(state))).filter(|(_, count)| *count > 0);
        counts.map(|(state, count)| format!("{count} {}", state.as_str())).collect::<Vec<_>>().join(", ")
    }

    /// On one line; states that nothing is in are left out.
    pub(crate) fn line(&self) -> String {
        let counts = State::ALL.map(|state| (state, self.of(state)));
        let told = counts.iter().filter(|(state, count)| *count > 0 || *state == State::Done);
        told.map(|(state, count)| format!("{count} {}", state.as_str())).collect::<Vec<_>>().join(", ")
    }
}

impl Serialize for Totals {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(State::ALL.map(|state| (state, self.of(state))))
    }
}
