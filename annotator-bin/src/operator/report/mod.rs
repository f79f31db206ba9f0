//! `report`: a fleet on one page, and the same as data.

mod chart;
mod page;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use jiff::Timestamp;
use node_annotator_core::fact::clean;
use node_annotator_core::{Kind, Prefix, Registry};
use serde::Serialize;

use super::drift::{Drift, Group, Groups};
use super::fleet::grouping::Grouping;
use super::fleet::installed::Installed;
use super::fleet::names;
use super::fleet::node::Node;
use super::fleet::selection::{Collectors, Nodes};
use super::fleet::state::{Entry, Oldest, State, Totals, by_reason};
use super::fleet::values::Values;
use super::lists::{Form as ListForm, Reader};
use super::table;
use crate::trouble::Trouble;

/// Longest text that is kept of a value or a reason.
const MAX_TEXT_BYTES: usize = 160;

/// The shape of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportForm {
    /// One page of HTML that loads nothing
    Html,
    /// The same as JSON, for programs
    Json,
    /// The same as YAML
    Yaml,
}

/// What a report is of.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) title: String,
    pub(crate) version: String,
    pub(crate) time: Timestamp,
}

/// What is read of a fleet.
#[derive(Debug)]
pub(crate) struct Fleet {
    node_count: usize,
    totals: Totals,
    collectors: BTreeMap<String, Totals>,
    /// What is not done, and on which nodes.
    troubles: BTreeMap<(State, String, Vec<String>), Vec<String>>,
    /// The nodes that are alike, apart from what is unique to each.
    alike: BTreeMap<Likeness, Vec<String>>,
    values: Values,
    groups: Groups,
}

/// What nodes in one row of the table have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Likeness {
    group: Vec<Option<String>>,
    /// How many collectors are in each state that something is to be done about.
    states: String,
    /// The primary facts.
    facts: BTreeMap<String, String>,
}

/// A fleet as it is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report<'a> {
    pub(crate) title: &'a str,
    pub(crate) version: &'a str,
    pub(crate) time: String,
    pub(crate) node_count: usize,
    pub(crate) totals: Totals,
    collectors: Vec<OfCollector<'a>>,
    troubles: Vec<OfTrouble<'a>>,
    groups: Vec<Group<'a>>,
    facts: Vec<OfFact<'a>>,
    nodes: Vec<Row<'a>>,
    #[serde(skip)]
    drifting: usize,
}

#[derive(Debug, Serialize)]
struct OfCollector<'a> {
    collector: &'a str,
    totals: Totals,
}

/// What is not done.
#[derive(Debug, Serialize)]
struct OfTrouble<'a> {
    state: State,
    why: &'a str,
    collectors: &'a [String],
    count: usize,
    nodes: &'a [String],
}

/// How many nodes have which value of a fact.
#[derive(Debug, Serialize)]
struct OfFact<'a> {
    fact: &'a str,
    #[serde(skip)]
    is_primary: bool,
    kind: Option<Kind>,
    values: Vec<OfValue<'a>>,
}

#[derive(Debug, Serialize)]
struct OfValue<'a> {
    value: Option<&'a str>,
    count: usize,
}

/// Nodes that are alike.
#[derive(Debug, Serialize)]
struct Row<'a> {
    group: BTreeMap<&'a str, Option<&'a str>>,
    states: &'a str,
    /// Primary facts.
    facts: &'a BTreeMap<String, String>,
    count: usize,
    nodes: &'a [String],
}

impl Fleet {
    fn new(grouping: Grouping, collectors: &BTreeSet<&str>) -> Self {
        Self {
            node_count: 0,
            totals: Totals::default(),
            collectors: collectors.iter().map(|name| ((*name).to_owned(), Totals::default())).collect(),
            troubles: BTreeMap::new(),
            alike: BTreeMap::new(),
            values: Values::default(),
            groups: Groups::new(grouping),
        }
    }

    /// Reads the nodes, and keeps of each what is to be told.
    pub(crate) async fn read(
        reader: &Reader,
        installed: &Installed,
        nodes: &Nodes,
        collectors: &Collectors,
        oldest: Oldest,
        grouping: Grouping,
        registry: &Registry,
    ) -> Result<Self, Trouble> {
        let chosen = collectors.of(installed)?;
        let mut fleet = Self::new(grouping, &chosen);
        let prefix = installed.prefix();
        let take = |node: Node| {
            let entries = installed.entries(&node, |name| chosen.contains(name), oldest);
            fleet.add(&node, &entries, prefix, registry, |name| collectors.include(name));
        };
        nodes.visit(reader, ListForm::Whole, prefix, take).await?;
        Ok(fleet)
    }

    /// Adds a node, and what became of its collectors.
    fn add(
        &mut self,
        node: &Node,
        entries: &[Entry],
        prefix: &Prefix,
        registry: &Registry,
        is_wanted: impl Fn(&str) -> bool,
    ) {
        self.node_count += 1;
        self.totals.add(entries);
        let mut of_node = Totals::default();
        of_node.add(entries);
        for entry in entries {
            let one = std::slice::from_ref(entry);
            if let Some(totals) = self.collectors.get_mut(&entry.collector) {
                totals.add(one);
            }
        }
        for ((state, why), collectors) in by_reason(entries) {
            if !state.is_settled() {
                let why = clean(why.unwrap_or_default(), MAX_TEXT_BYTES);
                let key = (state, why, collectors.into_iter().map(str::to_owned).collect());
                self.troubles.entry(key).or_default().push(node.name().to_owned());
            }
        }
        self.values.add(node, prefix, registry, &is_wanted);
        self.groups.add(node, prefix, registry, &is_wanted);
        let facts = super::fleet::values::facts(node, prefix);
        let is_shared = |name: &str| {
            super::fleet::values::declared(name, registry)
                .is_none_or(|fact| fact.cardinality == node_annotator_core::fact::Cardinality::Shared)
        };
        let primary =
            facts.filter(|(name, collector, _)| name == collector && is_wanted(collector) && is_shared(name));
        let facts = primary.map(|(name, _, value)| (name.to_owned(), clean(value, MAX_TEXT_BYTES))).collect();
        let group = self.groups.of(node, prefix);
        let likeness = Likeness { group, states: of_node.line_of_unsettled(), facts };
        self.alike.entry(likeness).or_default().push(node.name().to_owned());
    }

    /// As it is told.
    pub(crate) fn report<'a>(&'a self, about: &'a About) -> Report<'a> {
        let collectors = self.collectors.iter();
        let facts = self.values.spreads().map(|spread| OfFact {
            fact: spread.fact,
            is_primary: spread.fact == spread.collector,
            kind: spread.kind,
            values: spread
                .values
                .into_iter()
                .map(|(value, nodes)| OfValue { value, count: nodes.len() })
                .collect(),
        });
        let troubles = self.troubles.iter();
        let drift: Drift<'_> = self.groups.drift();
        let mut nodes: Vec<_> = self
            .alike
            .iter()
            .map(|(Likeness { group, states, facts }, nodes)| Row {
                group: self.groups.named(group),
                states,
                facts,
                count: nodes.len(),
                nodes,
            })
            .collect();
        nodes.sort_by_key(|row| (row.states.is_empty(), std::cmp::Reverse(row.count)));
        Report {
            title: &about.title,
            version: &about.version,
            time: about.time.round(jiff::Unit::Second).unwrap_or(about.time).to_string(),
            node_count: self.node_count,
            totals: self.totals,
            collectors: collectors
                .map(|(collector, totals)| OfCollector { collector, totals: *totals })
                .collect(),
            troubles: troubles
                .map(|((state, why, collectors), nodes)| OfTrouble {
                    state: *state,
                    why,
                    collectors,
                    count: nodes.len(),
                    nodes,
                })
                .collect(),
            drifting: drift.nodes().len(),
            groups: drift.groups,
            facts: facts.collect(),
            nodes,
        }
    }
}

impl Report<'_> {
    /// As it is printed.
    pub(crate) fn render(&self, form: ReportForm) -> anyhow::Result<String> {
        Ok(match form {
            ReportForm::Html => self.page(),
            ReportForm::Json | ReportForm::Yaml => {
                table::document("FleetReport", self, form == ReportForm::Yaml)?
            }
        })
    }

    /// The primary facts of which nodes have several values: the columns of the table of nodes.
    fn columns(&self) -> Vec<&str> {
        let facts = self.facts.iter().filter(|fact| fact.is_primary && !fact.is_everywhere(self.node_count));
        facts.map(|fact| fact.fact).collect()
    }
}

impl OfFact<'_> {
    /// Whether all nodes have one value.
    fn is_everywhere(&self, nodes: usize) -> bool {
        matches!(self.values[..], [OfValue { count, .. }] if count == nodes)
    }
}

/// The first of some nodes, folded.
fn folded(nodes: &[impl AsRef<str>], count: usize) -> String {
    let names = super::status::first(&names::fold(nodes.iter().map(AsRef::as_ref)), count);
    clean(&names, usize::MAX)
}
