//! The catalogue of collectors, from the registry and from what they say on the recorded machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use node_annotator_core::key::fact_name;
use node_annotator_core::{Cardinality, Collector, Fact, Prefix, Registry, Selected};
use serde_json::{Map, Value};

use super::recorded::Recorded;
use super::{HEADER, cell};

/// Length of the short form of a boot id.
const BOOT_ID_BYTES: usize = 8;

/// The nodes of a large cluster.
const FLEET: usize = 5_000;

/// `docs/collectors.md`.
pub(super) fn page(registry: &Registry, recorded: &Recorded) -> String {
    let prefix = Prefix::default();
    let mut text = format!(
        "{HEADER}\n# Collectors\n{}\nThe keys below have the default prefix, `{prefix}`. A collector that is done has the label \
         `{prefix}/<collector>`;\none that is done and has no primary fact found that it does not apply to the node. Facts that hold until the next boot\n\
         have `{prefix}/<collector>.boot-id` beside them, the first 8 digits of the boot id.\n{}",
        numbers(registry),
        table(registry),
    );
    for (topic, collectors) in registry.by_topic() {
        // Some collectors are named like their topic, and links go to the collectors.
        writeln!(text, "\n## Topic: {topic}").expect("a string takes it");
        text.extend(collectors.into_iter().map(|collector| collector_section(collector, &prefix)));
    }
    text + &cost(registry, recorded, &prefix)
}

/// What the facts cost where they are stored.
fn cost(registry: &Registry, recorded: &Recorded, prefix: &Prefix) -> String {
    let sizes = sizes(registry, recorded, prefix);
    let of_fleet = |bytes: usize| {
        let tenths = (bytes * FLEET).div_ceil(100_000);
        format!("{}.{} MB", tenths / 10, tenths % 10)
    };
    let mut text = "\n## What they cost\n\nBytes of annotations, keys and values, on the recorded machine that has the most, and what 5,000 such nodes store in\n\
        etcd. The API server writes a Node as a whole, each time that its kubelet reports a change of its status.\n\n\
        | collector | facts | bytes | 5,000 nodes |\n|---|---|---|---|\n"
        .to_owned();
    for (collector, bytes) in &sizes {
        let (name, facts, bytes) = (collector.name, collector.facts.len(), bytes.most());
        writeln!(text, "| `{name}` | {facts} | {bytes} | {} |", of_fleet(bytes)).expect("a string takes it");
    }
    for (name, selected) in
        [("default", &[Selected::ByDefault][..]), ("all", &[Selected::ByDefault, Selected::OnRequest])]
    {
        let bytes = total(&sizes, selected);
        writeln!(text, "| `{name}` | | {bytes} | {} |", of_fleet(bytes)).expect("a string takes it");
    }
    text
}

/// What each collector writes, on each machine.
fn sizes(registry: &Registry, recorded: &Recorded, prefix: &Prefix) -> Vec<(&'static Collector, Bytes)> {
    let collectors = registry.by_topic().into_values().flatten();
    collectors.map(|collector| (collector, Bytes::of(collector, recorded, prefix))).collect()
}

/// What those collectors write together, on the machine that has the most.
fn total(sizes: &[(&Collector, Bytes)], selected: &[Selected]) -> usize {
    let chosen = sizes.iter().filter(|(collector, _)| selected.contains(&collector.selected));
    let mut total = Bytes::default();
    chosen.for_each(|(_, bytes)| total.add(bytes));
    total.most()
}

fn collector_section(collector: &Collector, prefix: &Prefix) -> String {
    let (needs, selected) = (needs(collector), collector.selected);
    let mut text = format!(
        "\n### {}\n\n{}. Selected {selected}; needs {needs}; Pod Security `{}`; timeout {:?}.\n{}\n| annotation | value | kind | such as | holds |\n|---|---|---|---|---|\n",
        collector.name,
        collector.summary,
        collector.privilege_class().as_str(),
        collector.timeout,
        sources(collector),
    );
    for fact in collector.facts {
        let name = fact_name(collector.name, fact.name);
        let row = format!(
            "| `{prefix}/{name}` | {} | {} | `{}` | {} |",
            cell(fact.summary),
            kind(fact),
            cell(fact.example),
            fact.stability.as_str()
        );
        text += &row;
        text.push('\n');
    }
    for variable in collector.variables {
        writeln!(text, "\nEnvironment `{}`: {}.", variable.name, variable.summary)
            .expect("a string takes it");
    }
    text
}

/// How the value is to be read, and whether it differs on every node.
fn kind(fact: &Fact) -> String {
    let kind = fact.kind.as_str();
    match fact.cardinality {
        Cardinality::Shared => kind.to_owned(),
        Cardinality::Unique => format!("{kind}, unique"),
        Cardinality::FreeText => "free text".to_owned(),
    }
}

/// A line about where the facts come from, and one about where there are none.
fn sources(collector: &Collector) -> String {
    let sources: Vec<_> = collector.reads.iter().map(|source| format!("`{source}`")).collect();
    let reads = (!sources.is_empty()).then(|| format!("\nReads {}.\n", sources.join(", ")));
    let not_applicable = collector.not_applicable.map(|nodes| format!("\nNot applicable {nodes}.\n"));
    [reads, not_applicable].into_iter().flatten().collect()
}

fn needs(collector: &Collector) -> String {
    let needs: Vec<_> = collector.needs.iter().map(ToString::to_string).collect();
    if needs.is_empty() { "nothing".to_owned() } else { needs.join(", ") }
}

/// How many collectors and facts there are.
pub(super) fn numbers(registry: &Registry) -> String {
    let count = |selected: &[Selected]| {
        let collectors = registry.iter().filter(|collector| selected.contains(&collector.selected));
        collectors.fold((0, 0), |(count, facts), collector| (count + 1, facts + collector.facts.len()))
    };
    let (all, facts) = count(&[Selected::ByDefault, Selected::OnRequest]);
    let (default, default_facts) = count(&[Selected::ByDefault]);
    format!(
        "\n{all} collectors with {facts} facts; {default} of them, with {default_facts} facts, run by default.\n"
    )
}

/// All collectors, a line each.
fn table(registry: &Registry) -> String {
    let mut text = "\n| topic | name | what | needs |\n|---|---|---|---|\n".to_owned();
    for collector in registry.by_topic().into_values().flatten() {
        let selected = match collector.selected {
            Selected::ByDefault => "",
            Selected::OnRequest => " (on request)",
        };
        let (topic, name, summary) = (collector.topic, collector.name, cell(collector.summary));
        writeln!(
            text,
            "| {topic} | [`{name}`](#{name}){selected} | {summary} | {} |",
            cell(&needs(collector))
        )
        .expect("a string takes it");
    }
    text
}

/// Bytes of annotations on one Node, keys and values.
#[derive(Debug, Default)]
struct Bytes(BTreeMap<String, usize>);

impl Bytes {
    /// What a collector writes on each of the recorded machines.
    fn of(collector: &Collector, recorded: &Recorded, prefix: &Prefix) -> Self {
        let boot = collector.holds_per_boot().then(|| prefix.boot_id(collector.name).len() + BOOT_ID_BYTES);
        let written = |facts: &Map<String, Value>| {
            let keys = facts.keys().map(|name| prefix.key_start().len() + name.len()).sum::<usize>();
            let values = facts.values().filter_map(Value::as_str).map(str::len).sum::<usize>();
            keys + values + boot.unwrap_or_default()
        };
        let facts = recorded.facts(collector.name);
        Self(facts.map(|(machine, facts)| (machine.clone(), written(facts))).collect())
    }

    fn most(&self) -> usize {
        self.0.values().copied().max().unwrap_or_default()
    }

    fn add(&mut self, other: &Self) {
        for (machine, bytes) in &other.0 {
            *self.0.entry(machine.clone()).or_default() += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everybody who reads a Node reads these bytes, and each change of a status writes them.
    #[test]
    fn a_node_has_room_for_them() {
        let registry = Registry::from_inventory().unwrap();
        let sizes = sizes(&registry, &Recorded::new(&registry), &Prefix::default());
        let default = total(&sizes, &[Selected::ByDefault]);
        let all = total(&sizes, &[Selected::ByDefault, Selected::OnRequest]);
        assert!(default > 0 && default <= 4 * 1024, "{default} bytes by default");
        assert!(all > default && all <= 14 * 1024, "{all} bytes in all");
    }

    #[test]
    fn a_machine_is_not_mixed_with_another() {
        let bytes = |machines: &[(&str, usize)]| {
            Bytes(machines.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect())
        };
        let mut total = bytes(&[("a", 10), ("b", 1)]);
        total.add(&bytes(&[("b", 5), ("c", 7)]));
        assert_eq!(total.most(), 10);
    }
}
