//! `get`: facts of nodes as columns.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use node_annotator_core::{Prefix, Registry};
use serde::Serialize;

use super::condition::{Key, value};
use super::fleet::kept::Kept;
use super::fleet::names;
use super::fleet::node::Node;
use super::fleet::selection::Nodes;
use super::lists::{Form as ListForm, Reader};
use super::status::shortened;
use super::table::{self, Form, NONE, Table, cell};
use crate::trouble::Trouble;

/// What to show, and how.
#[derive(Debug, Clone)]
pub(crate) struct Show {
    /// The columns. The primary facts that any node has, if none is named.
    pub(crate) keys: Vec<Key>,
    /// The order of the rows; by name otherwise.
    pub(crate) sort_by: Vec<Key>,
    /// Nodes with equal values of these in one row.
    pub(crate) group_by: Vec<Key>,
    pub(crate) form: Form,
}

/// The facts of some nodes.
#[derive(Debug)]
pub(crate) struct Facts {
    keys: Vec<Key>,
    nodes: Vec<NodeFacts>,
}

#[derive(Debug)]
struct NodeFacts {
    name: String,
    /// For each key.
    values: Vec<Value>,
    sort_by: Vec<Value>,
}

/// What a node has of a fact, or a label.
type Value = Option<Arc<str>>;

#[derive(Serialize)]
struct Document<'a> {
    facts: Vec<Declared<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<Vec<OfNode<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<OfGroup<'a>>>,
}

#[derive(Serialize)]
struct Declared<'a> {
    name: &'a str,
    kind: Option<&'static str>,
}

#[derive(Serialize)]
struct OfNode<'a> {
    name: &'a str,
    facts: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct OfGroup<'a> {
    facts: BTreeMap<&'a str, &'a str>,
    count: usize,
    nodes: Vec<&'a str>,
}

impl Show {
    /// All columns there may be.
    fn columns(&self, registry: &Registry) -> Vec<Key> {
        if !self.group_by.is_empty() {
            return self.group_by.iter().chain(&self.keys).cloned().collect();
        }
        if !self.keys.is_empty() {
            return self.keys.clone();
        }
        let primary =
            |collector: &&'static node_annotator_core::Collector| Key::parse(collector.name, registry).ok();
        registry.iter().filter_map(|collector| primary(&collector)).collect()
    }
}

impl Facts {
    /// Reads the metadata of the nodes, and keeps what is to be shown.
    pub(crate) async fn read(
        reader: &Reader,
        nodes: &Nodes,
        prefix: &Prefix,
        registry: &Registry,
        show: &Show,
    ) -> Result<Self, Trouble> {
        let mut facts = Self { keys: show.columns(registry), nodes: Vec::new() };
        let mut texts = Kept::<str>::default();
        let mut values = |node: &Node, keys: &[Key]| -> Vec<_> {
            keys.iter().map(|key| key.value(node, prefix).map(|text| texts.keep(text))).collect()
        };
        let take = |node: Node| {
            facts.nodes.push(NodeFacts {
                name: node.name().to_owned(),
                values: values(&node, &facts.keys),
                sort_by: values(&node, &show.sort_by),
            });
        };
        nodes.visit(reader, ListForm::Metadata, prefix, take).await?;
        if show.keys.is_empty() && show.group_by.is_empty() {
            facts.drop_empty_columns();
        }
        facts.sort(&show.sort_by);
        Ok(facts)
    }

    fn drop_empty_columns(&mut self) {
        let is_kept: Vec<_> =
            (0..self.keys.len()).map(|at| self.nodes.iter().any(|node| node.values[at].is_some())).collect();
        let mut kept = is_kept.iter();
        self.keys.retain(|_| *kept.next().expect("one for each column"));
        for node in &mut self.nodes {
            let mut kept = is_kept.iter();
            node.values.retain(|_| *kept.next().expect("one for each column"));
        }
    }

    /// By what is asked for, and then by name. What has no value comes last.
    fn sort(&mut self, keys: &[Key]) {
        self.nodes.sort_by(|one, other| {
            let pairs = one.sort_by.iter().zip(&other.sort_by).zip(keys);
            let by_values = pairs.map(|((one, other), key)| match (one, other) {
                (Some(one), Some(other)) => value::order(key.kind(), one, other),
                (one, other) => one.is_none().cmp(&other.is_none()),
            });
            by_values.fold(Ordering::Equal, Ordering::then).then_with(|| one.name.cmp(&other.name))
        });
    }

    /// As it is printed.
    pub(crate) fn render(&self, show: &Show, width: Option<u16>) -> anyhow::Result<String> {
        let is_wide = show.form == Form::Wide;
        Ok(match show.form {
            Form::Name => table::names(self.nodes.iter().map(|node| node.name.as_str())),
            Form::Json | Form::Yaml => {
                table::document("FleetFacts", &self.document(show), show.form == Form::Yaml)?
            }
            Form::Csv if show.group_by.is_empty() => self.each("").csv()?,
            Form::Csv => self.grouped(show, true, "").csv()?,
            Form::Table | Form::Wide if show.group_by.is_empty() => self.each(NONE).text(is_wide, width),
            Form::Table | Form::Wide => self.grouped(show, is_wide, NONE).text(is_wide, width),
        })
    }

    fn each(&self, none: &str) -> Table {
        let mut table = Table::new(std::iter::once("node").chain(self.keys.iter().map(Key::as_str)));
        table.rows.extend(self.nodes.iter().map(|node| {
            let values = node.values.iter().map(|value| cell(value.as_deref(), none));
            std::iter::once(node.name.clone()).chain(values).collect()
        }));
        table
    }

    /// The nodes by what they are grouped by, in the order in which the first of each comes.
    fn groups(&self, show: &Show) -> Vec<(&[Value], Vec<&NodeFacts>)> {
        let mut order = Vec::new();
        let mut groups: BTreeMap<&[Value], Vec<&NodeFacts>> = BTreeMap::new();
        for node in &self.nodes {
            let by = &node.values[..show.group_by.len()];
            groups.entry(by).or_insert_with(|| {
                order.push(by);
                Vec::new()
            });
            groups.get_mut(by).expect("it was just put there").push(node);
        }
        let mut groups: Vec<_> =
            order.into_iter().map(|by| (by, groups.remove(by).expect("each once"))).collect();
        if show.sort_by.is_empty() {
            groups.sort_by_key(|(_, nodes)| std::cmp::Reverse(nodes.len()));
        }
        groups
    }

    fn grouped(&self, show: &Show, is_whole: bool, none: &str) -> Table {
        let names = self.keys.iter().map(Key::as_str);
        let mut table = Table::new(names.chain(["count", "nodes"]));
        for (by, nodes) in self.groups(show) {
            let mut row: Vec<_> = by.iter().map(|value| cell(value.as_deref(), none)).collect();
            row.extend((show.group_by.len()..self.keys.len()).map(|at| {
                let mut values: Vec<_> = nodes.iter().map(|node| node.values[at].as_deref()).collect();
                values.sort_unstable();
                values.dedup();
                match values[..] {
                    [only] => cell(only, none),
                    _ => format!("({} values)", values.len()),
                }
            }));
            row.push(nodes.len().to_string());
            let folded = names::fold(nodes.iter().map(|node| node.name.as_str()));
            row.push(shortened(&folded, is_whole));
            table.rows.push(row);
        }
        table
    }

    fn document(&self, show: &Show) -> Document<'_> {
        let declared = self.keys.iter().map(|key| Declared {
            name: key.as_str(),
            kind: key.kind().map(node_annotator_core::Kind::as_str),
        });
        let mut document = Document { facts: declared.collect(), nodes: None, groups: None };
        if show.group_by.is_empty() {
            let nodes = self.nodes.iter();
            let nodes = nodes.map(|node| OfNode { name: &node.name, facts: self.named(&node.values) });
            document.nodes = Some(nodes.collect());
        } else {
            let groups = self.groups(show).into_iter().map(|(by, nodes)| OfGroup {
                facts: self.named(by),
                count: nodes.len(),
                nodes: nodes.iter().map(|node| node.name.as_str()).collect(),
            });
            document.groups = Some(groups.collect());
        }
        document
    }

    /// Values by the names of their keys.
    fn named<'a>(&'a self, values: &'a [Value]) -> BTreeMap<&'a str, &'a str> {
        let pairs = self.keys.iter().zip(values);
        pairs.filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use node_annotator_collectors as _;

    use super::*;

    fn shown(keys: &str, group_by: &str, form: Form) -> String {
        let registry = Registry::from_inventory().unwrap();
        let list = |text: &str| {
            let words = text.split(',').filter(|word| !word.is_empty());
            words.map(|word| Key::parse(word, &registry).unwrap()).collect::<Vec<_>>()
        };
        let show = Show { keys: list(keys), sort_by: list("kernel"), group_by: list(group_by), form };
        let mut facts = Facts { keys: show.columns(&registry), nodes: Vec::new() };
        for (name, kernel, pool) in [
            ("n1", Some("6.10.1"), Some("a")),
            ("n2", Some("6.8.0-45-generic"), Some("b\u{1b}[31m")),
            ("n3", None, None),
            ("n4", Some("6.8.0-45-generic"), Some("a")),
        ] {
            let values = |keys: &[Key]| {
                let value = |key: &Key| if key.as_str() == "kernel" { kernel } else { pool };
                keys.iter().map(|key| value(key).map(Arc::from)).collect()
            };
            let (of_columns, sort_by) = (values(&facts.keys), values(&show.sort_by));
            facts.nodes.push(NodeFacts { name: name.to_owned(), values: of_columns, sort_by });
        }
        facts.sort(&show.sort_by);
        facts.render(&show, None).unwrap()
    }

    #[test]
    fn facts_are_sorted_as_what_they_are_and_grouped() {
        assert_snapshot!("get-table", shown("kernel,pool", "", Form::Table));
        assert_snapshot!("get-grouped", shown("pool", "kernel", Form::Table));
        assert_snapshot!("get-csv", shown("kernel,pool", "", Form::Csv));
        assert_snapshot!("get-json", shown("kernel,pool", "", Form::Json));
        assert_snapshot!("get-grouped-json", shown("", "kernel", Form::Json));
    }
}
