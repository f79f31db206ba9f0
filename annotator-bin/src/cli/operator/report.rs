//! `report`: a fleet on one page.

use clap::Args;
use jiff::Timestamp;
use node_annotator_core::Registry;

use super::fleet::{self, AgeOptions, FleetOptions, GroupOptions, Meant};
use crate::app::App;
use crate::cli::options::OUTPUT;
use crate::exit::{self, Exit};
use crate::operator::fleet::installed::Events;
use crate::operator::report::{About, Fleet, ReportForm};
use crate::output::print;

#[derive(Debug, Args)]
#[command(after_help = notes())]
pub(crate) struct ReportCommand {
    #[command(flatten)]
    fleet: FleetOptions,

    #[command(flatten)]
    age: AgeOptions,

    #[command(flatten)]
    group: GroupOptions,

    /// What to print on stdout
    #[arg(short, long, env = "NODE_ANNOTATOR_OUTPUT", value_name = "FORMAT", default_value = "html", help_heading = OUTPUT)]
    output: ReportForm,

    /// What the page is called, such as the name of the cluster
    #[arg(long, env = "NODE_ANNOTATOR_TITLE", value_name = "TEXT", default_value = "Nodes and their facts", help_heading = OUTPUT)]
    title: String,
}

fn notes() -> String {
    let notes = "\
The page holds what failed, is stale or missing, how far each collector is, who differs from most nodes of its
group, how many nodes have what, and a table of the nodes. It loads nothing, and is read without scripts and
style sheets too.

Examples:
  node-annotator report --title production > report.html
  node-annotator report --selector pool=gpu -o json";
    format!("{notes}\n\n{}", exit::help("report"))
}

impl ReportCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let Self { fleet, age, group, output, title } = self;
        let Meant { nodes, collectors } = fleet.meant(registry)?;
        let grouping = group.grouping(registry)?;
        fleet::run(async {
            let reader = fleet.reader(app).await?;
            let installed = fleet.installed(&reader, registry, Events::Read).await?;
            let about =
                About { title: title.clone(), version: app.version.to_owned(), time: Timestamp::now() };
            let fleet =
                Fleet::read(&reader, &installed, &nodes, &collectors, age.oldest(), grouping, registry)
                    .await?;
            print(&fleet.report(&about).render(*output)?)?;
            Ok(Exit::Done)
        })
    }
}
