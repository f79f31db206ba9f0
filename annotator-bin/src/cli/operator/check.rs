//! `check`: what is expected of nodes, held against their facts.

use clap::Args;
use node_annotator_core::Registry;

use super::fleet::{self, NodesOptions};
use crate::app::App;
use crate::cli::Usage;
use crate::cli::options::OUTPUT;
use crate::exit::{self, Exit};
use crate::operator::check::{self, Check, CheckForm};
use crate::operator::table;
use crate::output::print;

#[derive(Debug, Args)]
#[command(after_help = notes())]
pub(crate) struct CheckCommand {
    /// The file that says what is expected, YAML; `-` is stdin
    #[arg(short, long, env = "NODE_ANNOTATOR_FILE", value_name = "FILE")]
    file: String,

    #[command(flatten)]
    nodes: NodesOptions,

    /// What to print on stdout
    #[arg(short, long, env = "NODE_ANNOTATOR_OUTPUT", value_name = "FORMAT", default_value = "table", help_heading = OUTPUT)]
    output: CheckForm,
}

fn notes() -> String {
    let notes = "\
The file:
  apiVersion: node-annotator/v1
  kind: Expectations
  expectations:
  - expect: kernel.major >= 6
  - name: no open vulnerabilities          # what it is called in the output
    expect: cpu-vulnerabilities == none    # in the language of --where
    selector: pool in (gpu, batch)         # of these nodes alone, by label, as kubectl takes it
    where: not cpu-model contains Atom     # and by fact

Where a fact is not there because its collector is not done, the result is `unknown`, and counts as failed.

Examples:
  node-annotator check -f expectations.yaml
  node-annotator check -f expectations.yaml --selector pool=gpu -o junit > check.xml";
    format!("{notes}\n\n{}", exit::help("check"))
}

impl CheckCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let Self { file, nodes, output } = self;
        let selected = nodes.nodes(registry)?;
        let expectations = check::expectations(file, registry).map_err(Usage)?;
        fleet::run(async {
            let reader = nodes.reader(app).await?;
            let check = Check::read(&reader, &selected, &expectations, nodes.prefix()).await?;
            for outcome in check.of_no_node() {
                eprintln!("warning: of no node: `{}`", outcome.name);
            }
            print(&check.render(*output, table::width())?)?;
            Ok(if check.totals.is_passed() { Exit::Done } else { Exit::Failures })
        })
    }
}
