//! `drift`: what most nodes of a group have, and which of them differ.

use std::collections::{BTreeMap, BTreeSet};

use node_annotator_core::fact::clean;
use node_annotator_core::{Kind, Prefix, Registry};
use serde::Serialize;

use super::condition::value;
use super::fleet::grouping::Grouping;
use super::fleet::names;
use super::fleet::node::Node;
use super::fleet::selection::{Collectors, Nodes};
use super::fleet::values::{Spread, Values};
use super::lists::{Form as ListForm, Reader};
use super::status::shortened;
use super::table::{self, Form, NONE, Table, cell};
use crate::trouble::Trouble;

/// So many values that differ from the usual one are shown of a fact, in a table that is not wide.
const MAX_OTHERS: usize = 5;

/// Longest value in a table that is not wide.
const MAX_VALUE_BYTES: usize = 120;

/// The nodes of each group, by their facts.
#[derive(Debug)]
pub(crate) struct Groups {
    grouping: Grouping,
    groups: BTreeMap<Vec<Option<String>>, Values>,
}

/// What differs in a fleet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Drift<'a> {
    pub(crate) node_count: usize,
    /// The names of what nodes are grouped by, in the order in which they were asked for.
    #[serde(skip)]
    by: Vec<&'a str>,
    pub(crate) groups: Vec<Group<'a>>,
}

/// Nodes that are meant to be alike, and in what they are not.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Group<'a> {
    /// The facts and labels that they have in common.
    #[serde(rename = "group")]
    pub(crate) by: BTreeMap<&'a str, Option<&'a str>>,
    pub(crate) node_count: usize,
    /// Facts of which most nodes have one value, and some another.
    pub(crate) drift: Vec<Drifting<'a>>,
    /// Facts of which no value is on most nodes.
    pub(crate) mixed: Vec<Mixed<'a>>,
}

/// A fact of which most nodes have one value, and some another.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Drifting<'a> {
    pub(crate) fact: &'a str,
    #[serde(skip)]
    collector: &'a str,
    kind: Option<Kind>,
    /// The value that most nodes have; null where most have none.
    pub(crate) usual: Option<&'a str>,
    /// How many have that.
    pub(crate) usual_count: usize,
    pub(crate) others: Vec<Other<'a>>,
}

/// Another value, and who has it.
#[derive(Debug, Serialize)]
pub(crate) struct Other<'a> {
    pub(crate) value: Option<&'a str>,
    pub(crate) count: usize,
    pub(crate) nodes: Vec<&'a str>,
}

/// A fact of which no value is on most nodes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mixed<'a> {
    pub(crate) fact: &'a str,
    /// How many values there are.
    pub(crate) value_count: usize,
}

impl Groups {
    /// Without nodes.
    pub(crate) fn new(grouping: Grouping) -> Self {
        Self { grouping, groups: BTreeMap::new() }
    }

    /// Reads the metadata of the nodes.
    pub(crate) async fn read(
        reader: &Reader,
        nodes: &Nodes,
        grouping: Grouping,
        collectors: &Collectors,
        prefix: &Prefix,
        registry: &Registry,
    ) -> Result<Self, Trouble> {
        let mut groups = Self::new(grouping);
        let take = |node: Node| groups.add(&node, prefix, registry, |name| collectors.include(name));
        nodes.visit(reader, ListForm::Metadata, prefix, take).await?;
        Ok(groups)
    }

    /// Adds a node.
    pub(crate) fn add(
        &mut self,
        node: &Node,
        prefix: &Prefix,
        registry: &Registry,
        is_wanted: impl Fn(&str) -> bool,
    ) {
        let group = self.groups.entry(self.grouping.of(node, prefix)).or_default();
        group.add(node, prefix, registry, is_wanted);
    }

    /// What the group of a node is called, a text for each part.
    pub(crate) fn of(&self, node: &Node, prefix: &Prefix) -> Vec<Option<String>> {
        self.grouping.of(node, prefix)
    }

    /// The same by the names of its parts.
    pub(crate) fn named<'a>(&'a self, group: &'a [Option<String>]) -> BTreeMap<&'a str, Option<&'a str>> {
        named(&self.grouping.names(), group)
    }

    /// What differs.
    pub(crate) fn drift(&self) -> Drift<'_> {
        let names = self.grouping.names();
        let groups: Vec<_> = self.groups.iter().map(|(by, values)| Group::of(&names, by, values)).collect();
        Drift { node_count: groups.iter().map(|group| group.node_count).sum(), by: names, groups }
    }
}

impl<'a> Group<'a> {
    fn of(names: &[&'a str], by: &'a [Option<String>], values: &'a Values) -> Self {
        let (mut drift, mut mixed) = (Vec::new(), Vec::new());
        for spread in values.spreads().filter(|spread| spread.values.len() > 1) {
            if spread.has_usual_value() {
                drift.push(Drifting::of(spread));
            } else {
                mixed.push(Mixed { fact: spread.fact, value_count: spread.values.len() });
            }
        }
        Self { by: named(names, by), node_count: values.count(), drift, mixed }
    }

    /// What the group is called.
    pub(crate) fn title(&self) -> String {
        let parts = self.by.iter().map(|(name, value)| match value {
            Some(value) => format!("{name} {}", cell(Some(value), NONE)),
            None => format!("no {name}"),
        });
        parts.collect::<Vec<_>>().join(", ")
    }
}

impl<'a> Drifting<'a> {
    fn of(spread: Spread<'a>) -> Self {
        let Spread { fact, collector, kind, values } = spread;
        let mut values = values.into_iter();
        let (usual, nodes) = values.next().unwrap_or_default();
        let others = values.map(|(value, nodes)| Other { value, count: nodes.len(), nodes }).collect();
        Self { fact, collector, kind, usual, usual_count: nodes.len(), others }
    }

    /// On how many nodes it is known what there is.
    pub(crate) fn known(&self) -> usize {
        self.usual_count + self.others.iter().map(|other| other.count).sum::<usize>()
    }

    /// Another value as it is told: of a list, what is more and what is less than usual.
    pub(crate) fn told(&self, other: &Other<'_>, is_whole: bool) -> String {
        match (self.usual, other.value) {
            (Some(usual), Some(value)) if self.kind == Some(Kind::List) && value != "none" && !is_whole => {
                let signed = |sign: char, (words, _): (Vec<&str>, usize)| {
                    words.into_iter().map(move |word| format!("{sign}{word}")).collect::<Vec<_>>()
                };
                let more = signed('+', value::beyond(value, usual));
                let less = signed('-', value::beyond(usual, value));
                shown(Some(&[more, less].concat().join(" ")), is_whole)
            }
            (_, value) => shown(value, is_whole),
        }
    }
}

impl Drift<'_> {
    /// Whether any node differs from most.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.drift.is_empty())
    }

    /// The nodes that differ from most.
    pub(crate) fn nodes(&self) -> BTreeSet<&str> {
        let drifting = self.groups.iter().flat_map(|group| &group.drift);
        drifting.flat_map(|drifting| &drifting.others).flat_map(|other| &other.nodes).copied().collect()
    }

    /// As it is printed.
    pub(crate) fn render(&self, form: Form, width: Option<u16>) -> anyhow::Result<String> {
        Ok(match form {
            Form::Table | Form::Wide => self.text(form == Form::Wide, width),
            Form::Json | Form::Yaml => table::document("FleetDrift", self, form == Form::Yaml)?,
            Form::Csv => self.each().csv()?,
            Form::Name => table::names(self.nodes()),
        })
    }

    /// Everything on one line.
    pub(crate) fn line(&self) -> String {
        let drifting: BTreeSet<_> =
            self.groups.iter().flat_map(|group| &group.drift).map(|drifting| drifting.fact).collect();
        let mixed: BTreeSet<_> =
            self.groups.iter().flat_map(|group| &group.mixed).map(|mixed| mixed.fact).collect();
        format!(
            "{}: {} differ from most, in {}; no value on most: {}",
            table::counted(self.node_count, "node"),
            self.nodes().len(),
            table::counted(drifting.len(), "fact"),
            table::counted(mixed.len(), "fact"),
        )
    }

    fn text(&self, is_wide: bool, width: Option<u16>) -> String {
        let names = self.by.iter().copied();
        let mut table = Table::new(names.chain(["fact", "most have", "on", "different", "count", "nodes"]));
        for group in &self.groups {
            let by: Vec<_> = group.values(&self.by).map(|value| cell(value, NONE)).collect();
            for (drifting, implied) in folded(&group.drift, is_wide) {
                let shown_others = if is_wide { usize::MAX } else { MAX_OTHERS };
                let fact = match implied {
                    0 => drifting.fact.to_owned(),
                    implied => format!("{} (and {implied} more)", drifting.fact),
                };
                let start = || {
                    let usual = shown(drifting.usual, is_wide);
                    by.iter().cloned().chain([fact.clone(), usual]).collect::<Vec<_>>()
                };
                for other in drifting.others.iter().take(shown_others) {
                    let nodes = names::fold(other.nodes.iter().copied());
                    let on = format!("{} of {}", drifting.usual_count, drifting.known());
                    let told = drifting.told(other, is_wide);
                    let end = [on, told, other.count.to_string(), shortened(&nodes, is_wide)];
                    table.rows.push(start().into_iter().chain(end).collect());
                }
                let rest = drifting.others.get(shown_others..).unwrap_or_default();
                if !rest.is_empty() {
                    let count = rest.iter().map(|other| other.count).sum::<usize>();
                    let told = format!("({} more values)", rest.len());
                    let end = [String::new(), told, count.to_string(), String::new()];
                    table.rows.push(start().into_iter().chain(end).collect());
                }
            }
        }
        let mut text = String::new();
        if !table.rows.is_empty() {
            text = table.text(is_wide, width) + "\n";
        }
        for group in self.groups.iter().filter(|group| !group.mixed.is_empty()) {
            text += &table::paragraph(&group.mixed_line(), width);
        }
        text + &self.line() + "\n"
    }

    /// A row for each node that differs in a fact.
    fn each(&self) -> Table {
        let names = self.by.iter().copied();
        let mut table = Table::new(names.chain(["node", "fact", "usual", "value"]));
        for group in &self.groups {
            let by: Vec<_> = group.values(&self.by).map(|value| cell(value, "")).collect();
            for drifting in &group.drift {
                for other in &drifting.others {
                    table.rows.extend(other.nodes.iter().map(|node| {
                        let values = [drifting.usual, other.value].map(|value| cell(value, ""));
                        let row = [(*node).to_owned(), drifting.fact.to_owned()].into_iter().chain(values);
                        by.iter().cloned().chain(row).collect()
                    }));
                }
            }
        }
        table
    }
}

impl Group<'_> {
    /// What it has of each part by which nodes are grouped.
    fn values(&self, names: &[&str]) -> impl Iterator<Item = Option<&str>> {
        names.iter().map(|name| self.by.get(name).copied().flatten())
    }

    fn mixed_line(&self) -> String {
        let title = self.title();
        let colon = if title.is_empty() { "" } else { ": " };
        let mixed = self.mixed.iter().map(|mixed| format!("{} ({} values)", mixed.fact, mixed.value_count));
        format!("{title}{colon}no value is on most nodes: {}", mixed.collect::<Vec<_>>().join(", "))
    }
}

/// A group by the names of its parts.
fn named<'a>(names: &[&'a str], by: &'a [Option<String>]) -> BTreeMap<&'a str, Option<&'a str>> {
    names.iter().copied().zip(by.iter().map(Option::as_deref)).collect()
}

/// The facts with, of each, how many more of its collector differ on no other nodes: another kernel differs
/// in its numbers too.
pub(crate) fn folded<'d, 'a>(drift: &'d [Drifting<'a>], is_whole: bool) -> Vec<(&'d Drifting<'a>, usize)> {
    let nodes = |drifting: &Drifting<'a>| -> BTreeSet<&'a str> {
        drifting.others.iter().flat_map(|other| &other.nodes).copied().collect()
    };
    let mut rows: Vec<(&Drifting<'_>, usize)> = Vec::new();
    // The primary fact comes before the others.
    for drifting in drift {
        let primary = rows.iter_mut().find(|(primary, _)| primary.fact == drifting.collector);
        match primary {
            Some((primary, implied)) if !is_whole && nodes(drifting).is_subset(&nodes(primary)) => {
                *implied += 1;
            }
            _ => rows.push((drifting, 0)),
        }
    }
    rows
}

/// A value as a table shows it.
pub(crate) fn shown(value: Option<&str>, is_whole: bool) -> String {
    if is_whole {
        cell(value, NONE)
    } else {
        value.map_or_else(|| NONE.to_owned(), |value| clean(value, MAX_VALUE_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use node_annotator_collectors as _;
    use serde_json::json;

    use super::*;
    use crate::operator::condition::Key;

    fn groups(grouping: Grouping) -> Groups {
        let registry = Registry::from_inventory().unwrap();
        let mut groups = Groups::new(grouping);
        for number in 1..=12 {
            let kernel = if number == 3 { "5.15.0-113-generic" } else { "6.8.0-45-generic" };
            let taints = if number > 10 { "none" } else { "P,O" };
            let mut annotations = json!({
                "k8s.haim.dev/kernel": kernel,
                "k8s.haim.dev/kernel.major": &kernel[..1],
                "k8s.haim.dev/kernel.taints": taints,
                "k8s.haim.dev/cpu-model": format!("CPU \u{1b}[2J {}", number % 3),
                "k8s.haim.dev/dns-name": format!("{number}.example"),
            });
            if number == 5 {
                annotations["k8s.haim.dev/site-rack"] = json!("R7");
            }
            let pool = if number % 2 == 0 { "even" } else { "odd" };
            let labels = json!({
                "cloud.google.com/gke-nodepool": pool, "k8s.haim.dev/kernel": "saved", "k8s.haim.dev/site-rack": "saved",
            });
            let metadata = json!({ "name": format!("worker-{number:02}"), "labels": labels, "annotations": annotations });
            let node: Node = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
            groups.add(&node, &Prefix::default(), &registry, |_| true);
        }
        groups
    }

    #[test]
    fn who_differs_from_most_is_told_for_each_group() {
        let groups = groups(Grouping::Pool);
        let drift = groups.drift();
        for width in [80, 120, 200] {
            let text = drift.render(Form::Table, Some(width)).unwrap();
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{text}");
            assert!(!text.contains('\u{1b}'), "nothing from the cluster moves the cursor");
            assert_snapshot!(format!("drift-{width}"), text);
        }
        assert_snapshot!("drift-wide", drift.render(Form::Wide, None).unwrap());
        assert_snapshot!("drift-json", drift.render(Form::Json, None).unwrap());
        assert_snapshot!("drift-csv", drift.render(Form::Csv, None).unwrap());
        assert_eq!(
            drift.render(Form::Name, None).unwrap(),
            "node/worker-03\nnode/worker-05\nnode/worker-11\nnode/worker-12\n"
        );
    }

    #[test]
    fn groups_are_by_pool_by_what_is_asked_for_or_none() {
        let count = |grouping| {
            let groups = groups(grouping);
            (groups.drift().groups.len(), groups.drift().nodes().len())
        };
        assert_eq!(count(Grouping::None), (1, 4));
        let registry = Registry::from_inventory().unwrap();
        let key = |text: &str| Key::parse(text, &registry).unwrap();
        assert_eq!(count(Grouping::Keys(vec![key("kernel")])), (2, 3));
        // No value is on most of two nodes.
        assert_eq!(count(Grouping::Keys(vec![key("dns-name")])), (12, 0));
    }
}
