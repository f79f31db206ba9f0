//! `get`: facts of nodes.

use clap::Args;
use node_annotator_core::Registry;

use super::fleet::{self, FormOptions, NodesOptions, keys};
use crate::app::App;
use crate::cli::options::OUTPUT;
use crate::exit::{self, Exit};
use crate::operator::get::{Facts, Show};
use crate::operator::table;
use crate::output::print;

#[derive(Debug, Args)]
#[command(after_help = notes())]
pub(crate) struct GetCommand {
    /// Facts and labels, with commas: `kernel,cpu-model.cores,kubernetes.io/arch`
    ///
    /// COLLECTOR for a primary fact, COLLECTOR.FACT for another one; labels by their whole keys. Without any,
    /// the primary facts that the nodes have. Facts of collectors that this binary does not have can be named
    /// too.
    facts: Option<String>,

    #[command(flatten)]
    nodes: NodesOptions,

    /// Put nodes with equal values of these facts and labels into one row, with their number
    #[arg(long, env = "NODE_ANNOTATOR_GROUP_BY", value_name = "FACTS", help_heading = OUTPUT)]
    group_by: Option<String>,

    /// Sort by these facts and labels, as what they are: numbers, versions
    #[arg(long, env = "NODE_ANNOTATOR_SORT_BY", value_name = "FACTS", help_heading = OUTPUT)]
    sort_by: Option<String>,

    #[command(flatten)]
    form: FormOptions,
}

fn notes() -> String {
    let examples = "\
Examples:
  node-annotator get
  node-annotator get cpu-model,kernel --where 'kernel < 6.8' --sort-by kernel
  node-annotator get --group-by kernel,topology.kubernetes.io/zone";
    format!("{examples}\n\n{}", exit::help("get"))
}

impl GetCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let Self { facts, nodes, group_by, sort_by, form } = self;
        let list = |text: &Option<String>| keys(text.as_deref().unwrap_or_default(), registry);
        let show = Show {
            keys: list(facts)?,
            sort_by: list(sort_by)?,
            group_by: list(group_by)?,
            form: form.output,
        };
        let selected = nodes.nodes(registry)?;
        fleet::run(async {
            let reader = nodes.reader(app).await?;
            let facts = Facts::read(&reader, &selected, nodes.prefix(), registry, &show).await?;
            print(&facts.render(&show, table::width())?)?;
            Ok(Exit::Done)
        })
    }
}
