//! `drift`: what most nodes of a group have, and which of them differ.

use clap::Args;
use clap::builder::BoolishValueParser;
use node_annotator_core::Registry;

use super::fleet::{self, CollectorsOptions, FormOptions, GroupOptions, NodesOptions};
use crate::app::App;
use crate::cli::options::OUTPUT;
use crate::exit::{self, Exit};
use crate::operator::drift::Groups;
use crate::operator::table;
use crate::output::print;

#[derive(Debug, Args)]
#[command(after_help = notes())]
pub(crate) struct DriftCommand {
    #[command(flatten)]
    nodes: NodesOptions,

    #[command(flatten)]
    collectors: CollectorsOptions,

    #[command(flatten)]
    group: GroupOptions,

    #[command(flatten)]
    form: FormOptions,

    /// End with 3 where a node differs from most of its group
    #[arg(long, env = "NODE_ANNOTATOR_EXIT_CODE", value_parser = BoolishValueParser::new(), help_heading = OUTPUT)]
    exit_code: bool,
}

fn notes() -> String {
    let notes = "\
Of each fact, the value that more than half of a group have is what most have; nodes with another one differ. A
node on which the collector is not done is not counted: see `status`. Facts that are declared to be unique to a
node, or text for people, are left out. Facts of a collector that differ on no other nodes than its primary
fact are in one row with it; -o wide has them all.

Examples:
  node-annotator drift
  node-annotator drift --group-by topology.kubernetes.io/zone,cpu-model --collectors kernel,sysctl
  node-annotator drift --selector pool=gpu --exit-code -o json";
    format!("{notes}\n\n{}", exit::help("drift"))
}

impl DriftCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let Self { nodes, collectors, group, form, exit_code } = self;
        let (selected, collectors) = (nodes.nodes(registry)?, collectors.collectors(registry)?);
        let grouping = group.grouping(registry)?;
        fleet::run(async {
            let reader = nodes.reader(app).await?;
            let groups =
                Groups::read(&reader, &selected, grouping, &collectors, nodes.prefix(), registry).await?;
            let drift = groups.drift();
            print(&drift.render(form.output, table::width())?)?;
            Ok(if *exit_code && !drift.is_empty() { Exit::Failures } else { Exit::Done })
        })
    }
}
