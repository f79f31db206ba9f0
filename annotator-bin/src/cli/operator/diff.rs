//! `diff`: in which facts two nodes differ.

use clap::Args;
use clap::builder::BoolishValueParser;
use node_annotator_core::Registry;

use super::fleet::{self, CollectorsOptions, ConnectionOptions, FormOptions};
use crate::app::App;
use crate::cli::options::{KeyOptions, OUTPUT};
use crate::exit::{self, Exit};
use crate::operator::diff::Difference;
use crate::operator::table;
use crate::output::print;

#[derive(Debug, Args)]
#[command(after_help = notes())]
pub(crate) struct DiffCommand {
    /// A node
    node: String,

    /// The node that it is compared with
    other: String,

    #[command(flatten)]
    collectors: CollectorsOptions,

    #[command(flatten)]
    keys: KeyOptions,

    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    form: FormOptions,

    /// End with 3 where they differ
    #[arg(long, env = "NODE_ANNOTATOR_EXIT_CODE", value_parser = BoolishValueParser::new(), help_heading = OUTPUT)]
    exit_code: bool,
}

fn notes() -> String {
    let notes = "\
Facts that are declared to be unique to a node, or text for people, are left out. Of a list the words are shown
that the other node lacks; -o wide shows it whole. `-` is a collector that is done and has no such value, `?`
one that is not done.

Examples:
  node-annotator diff worker-1 worker-2
  node-annotator diff worker-1 worker-2 --collectors kernel,sysctl -o json";
    format!("{notes}\n\n{}", exit::help("diff"))
}

impl DiffCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let Self { node, other, collectors, keys, connection, form, exit_code } = self;
        let collectors = collectors.collectors(registry)?;
        fleet::run(async {
            let reader = connection.reader(app).await?;
            let difference =
                Difference::read(&reader, [node, other], &collectors, &keys.prefix, registry).await?;
            print(&difference.render(form.output, table::width())?)?;
            Ok(if *exit_code && !difference.is_empty() { Exit::Failures } else { Exit::Done })
        })
    }
}
