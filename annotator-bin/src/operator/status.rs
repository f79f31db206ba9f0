//! `status`: what became of each collector on each node, and why.

use std::collections::{BTreeMap, BTreeSet};

use node_annotator_core::fact::clean;
use node_annotator_deploy::policy::Scope;
use serde::Serialize;

use super::fleet::installed::Installed;
use super::fleet::names;
use super::fleet::node::Node;
use super::fleet::selection::{Collectors, Nodes};
use super::fleet::state::{Entry, Oldest, State, Totals, by_reason};
use super::lists::{Form as ListForm, Reader};
use super::startup_taint::{Gate, gate};
use super::table::{self, Form, Table};
use crate::trouble::Trouble;

/// On more nodes, only what is not done is shown unless all is asked for.
const LARGE: usize = 20;

/// So many names, or folded ones, are shown in one cell that is not wide.
const MAX_NAMES: usize = 6;

/// Longest text of a cell.
const MAX_TEXT_BYTES: usize = 2048;

/// What to show, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Show {
    pub(crate) form: Form,
    /// Done collectors too, however many nodes there are.
    pub(crate) all: bool,
    /// Nodes with equal rows in one.
    pub(crate) fold: bool,
}

/// The state of a fleet.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Status {
    pub(crate) totals: Totals,
    #[serde(rename = "nodeCount")]
    pub(crate) node_count: usize,
    nodes: Vec<NodeStatus>,
    /// What keeps the startup taint, and no run comes that would take it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    tainted: Option<Tainted>,
    #[serde(skip)]
    collectors: BTreeSet<String>,
    /// How many nodes have labels of two programs that both take them for their own, and the first of them.
    #[serde(skip)]
    pub(crate) with_nfd: Option<(usize, String)>,
}

/// Nodes that are done, and have the startup taint all the same.
#[derive(Debug, Serialize)]
struct Tainted {
    taint: String,
    nodes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct NodeStatus {
    name: String,
    collectors: Vec<Entry>,
}

impl Status {
    /// Reads the nodes, and keeps of each what is to be shown.
    pub(crate) async fn read(
        reader: &Reader,
        installed: &Installed,
        nodes: &Nodes,
        collectors: &Collectors,
        oldest: Oldest,
        show: Show,
        scope: Option<&Scope>,
    ) -> Result<Self, Trouble> {
        let chosen = collectors.of(installed)?;
        let mut status =
            Self { collectors: chosen.iter().map(|name| (*name).to_owned()).collect(), ..Self::default() };
        let prefix = installed.prefix();
        let take = |node: Node| {
            if let Some(scope) = scope {
                status.add_taint(&node, scope);
            }
            if installed.has_nfd() && node.has_nfd() {
                status.with_nfd.get_or_insert_with(|| (0, node.name().to_owned())).0 += 1;
            }
            status.add(node.name(), installed.entries(&node, |name| chosen.contains(name), oldest), show);
        };
        nodes.visit(reader, ListForm::Whole, prefix, take).await?;
        Ok(status)
    }

    /// Adds a node that keeps the startup taint for good.
    fn add_taint(&mut self, node: &Node, scope: &Scope) {
        let taints = node.spec.taints.iter().flatten().map(|taint| taint.key.as_str());
        if let (Gate::LeftBehind, Some(taint)) = (gate(node.labels(), taints, scope), &scope.startup_taint) {
            let tainted =
                self.tainted.get_or_insert_with(|| Tainted { taint: taint.key.clone(), nodes: Vec::new() });
            tainted.nodes.push(node.name().to_owned());
        }
    }

    /// Whether anything is left to be done.
    pub(crate) fn is_settled(&self) -> bool {
        self.totals.unsettled() == 0 && self.tainted.is_none()
    }

    /// Adds what became of the collectors on one node.
    pub(crate) fn add(&mut self, node: &str, mut entries: Vec<Entry>, show: Show) {
        self.node_count += 1;
        self.totals.add(&entries);
        let of_programs = !matches!(show.form, Form::Table | Form::Wide);
        let keeps_all = show.all || (of_programs && show.form != Form::Name);
        if !keeps_all && self.node_count > LARGE {
            if self.node_count == LARGE + 1 {
                self.nodes.retain_mut(|node| without_settled(&mut node.collectors));
            }
            if !without_settled(&mut entries) {
                return;
            }
        }
        self.nodes.push(NodeStatus { name: node.to_owned(), collectors: entries });
    }

    /// As it is printed.
    pub(crate) fn render(&self, show: Show, width: Option<u16>) -> anyhow::Result<String> {
        Ok(match show.form {
            Form::Table | Form::Wide => self.text(show, width),
            Form::Json | Form::Yaml => table::document("FleetStatus", self, show.form == Form::Yaml)?,
            Form::Csv => self.each().csv()?,
            Form::Name => {
                let is_unsettled =
                    |node: &&NodeStatus| node.collectors.iter().any(|entry| !entry.state.is_settled());
                let unsettled = self.nodes.iter().filter(is_unsettled).map(|node| &node.name);
                let tainted = self.tainted.iter().flat_map(|tainted| &tainted.nodes);
                let names: BTreeSet<_> = unsettled.chain(tainted).map(String::as_str).collect();
                table::names(names)
            }
        })
    }

    /// Everything on one line.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}, {}: {}",
            table::counted(self.node_count, "node"),
            table::counted(self.collectors.len(), "collector"),
            self.totals.line()
        )
    }

    /// What keeps the startup taint, and what to do about it.
    fn told_taint(&self) -> String {
        let Some(Tainted { taint, nodes }) = &self.tainted else { return String::new() };
        let folded = names::fold(nodes.iter().map(String::as_str));
        format!(
            "done, and still tainted with `{taint}`: {}\nhint: node-annotator rerun --nodes {} frees them\n",
            shortened(&folded, false),
            folded.join(",")
        )
    }

    fn text(&self, show: Show, width: Option<u16>) -> String {
        let mut rows: BTreeMap<Row<'_>, Vec<&str>> = BTreeMap::new();
        for node in &self.nodes {
            for ((state, why), collectors) in by_reason(&node.collectors) {
                let alone = if show.fold { None } else { Some(node.name.as_str()) };
                let key = (state, why.unwrap_or_default().to_owned(), collectors, alone);
                rows.entry(key).or_default().push(&node.name);
            }
        }
        let mut table = Table::new(["nodes", "count", "state", "collectors", "why"]);
        if !show.fold {
            table.columns[1].1 = true;
        }
        for ((state, why, collectors, _), nodes) in rows {
            table.rows.push(vec![
                shortened(&names::fold(nodes.iter().copied()), show.form == Form::Wide),
                nodes.len().to_string(),
                state.as_str().to_owned(),
                self.told(&collectors),
                clean(&why, MAX_TEXT_BYTES),
            ]);
        }
        if table.rows.is_empty() {
            return format!("{}\n{}", self.line(), self.told_taint());
        }
        format!("{}\n{}\n{}", table.text(show.form == Form::Wide, width), self.line(), self.told_taint())
    }

    /// The names of collectors, or that it is all of them.
    fn told(&self, collectors: &[&str]) -> String {
        if collectors.len() > 2 && collectors.len() == self.collectors.len() {
            return format!("all {}", collectors.len());
        }
        collectors.join(",")
    }

    /// A row for each collector on each node.
    fn each(&self) -> Table {
        let mut table = Table::new(["node", "collector", "state", "why"]);
        for node in &self.nodes {
            table.rows.extend(node.collectors.iter().map(|Entry { collector, state, why }| {
                let why = clean(why.as_deref().unwrap_or_default(), MAX_TEXT_BYTES);
                vec![node.name.clone(), collector.clone(), state.as_str().to_owned(), why]
            }));
        }
        table
    }
}

/// What nodes in one row have in common: state, reason, collectors; the name of the node where none are put
/// together.
type Row<'a> = (State, String, Vec<&'a str>, Option<&'a str>);

/// Takes out what nothing is to be done about; says whether anything is left.
fn without_settled(entries: &mut Vec<Entry>) -> bool {
    entries.retain(|entry| !entry.state.is_settled());
    !entries.is_empty()
}

/// Folded names in one text, or the first of them with the number of the others.
pub(crate) fn shortened(folded: &[String], is_whole: bool) -> String {
    first(folded, if is_whole { usize::MAX } else { MAX_NAMES })
}

/// The first of some names in one text, with the number of the others.
pub(crate) fn first(names: &[String], count: usize) -> String {
    match names.get(count..) {
        Some(rest) if !rest.is_empty() => format!("{} and {} more", names[..count].join(","), rest.len()),
        _ => names.join(","),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn show(form: Form) -> Show {
        Show { form, all: false, fold: true }
    }

    fn entries(kernel: State, why: Option<&str>) -> Vec<Entry> {
        let entry = |collector: &str, state, why: Option<&str>| Entry {
            collector: collector.to_owned(),
            state,
            why: why.map(str::to_owned),
        };
        vec![entry("cpu-model", State::Done, None), entry("kernel", kernel, why)]
    }

    fn status(nodes: usize, show: Show) -> Status {
        let collectors = ["cpu-model", "kernel"].map(str::to_owned).into();
        let mut status = Status { collectors, ..Status::default() };
        for number in 1..=nodes {
            let long = "the metadata service of DigitalOcean does not answer: connection timed out\u{1b}[2J";
            let kernel = match number {
                7 | 8 => entries(State::Failed, Some(long)),
                9 => entries(State::Pending, Some("its pod: 0/3 nodes are available: 1 Insufficient cpu.")),
                _ => entries(State::Done, None),
            };
            status.add(&format!("worker-{number:03}"), kernel, show);
        }
        status
    }

    #[test]
    fn a_table_fits_the_terminal() {
        let status = status(12, show(Form::Table));
        for width in [80, 120, 200] {
            let text = status.render(show(Form::Table), Some(width)).unwrap();
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{text}");
            assert!(!text.contains('\u{1b}'), "nothing from the cluster moves the cursor");
            assert_snapshot!(format!("status-{width}"), text);
        }
    }

    #[test]
    fn of_a_large_fleet_only_what_is_not_done_is_kept() {
        let large = status(200, show(Form::Table));
        assert_eq!(large.nodes.len(), 3);
        assert_snapshot!(large.render(show(Form::Table), None).unwrap());
        let all = Show { all: true, ..show(Form::Table) };
        assert_eq!(status(200, all).nodes.len(), 200);
        assert_eq!(status(200, show(Form::Json)).nodes.len(), 200);
        let names = status(200, show(Form::Name)).render(show(Form::Name), None).unwrap();
        assert_eq!(names, "node/worker-007\nnode/worker-008\nnode/worker-009\n");
    }

    #[test]
    fn programs_get_everything_as_it_is_declared() {
        assert_snapshot!("status-json", status(1, show(Form::Json)).render(show(Form::Json), None).unwrap());
        assert_snapshot!("status-csv", status(7, show(Form::Csv)).render(show(Form::Csv), None).unwrap());
    }
}
