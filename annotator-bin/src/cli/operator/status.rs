//! `status`: what became of each collector on each node.

use clap::Args;
use clap::builder::BoolishValueParser;
use node_annotator_core::Registry;

use super::fleet::{self, AgeOptions, FleetOptions, FormOptions, Meant};
use crate::app::App;
use crate::cli::options::OUTPUT;
use crate::exit::{self, Exit};
use crate::operator::fleet::installed::Events;
use crate::operator::fleet::node::BESIDE_NFD;
use crate::operator::status::{Show, Status};
use crate::operator::wait::wait;
use crate::operator::{startup_taint, table};
use crate::output::print;
use crate::trouble::Trouble;

#[derive(Debug, Args)]
#[command(after_help = notes())]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct StatusCommand {
    #[command(flatten)]
    fleet: FleetOptions,

    #[command(flatten)]
    age: AgeOptions,

    #[command(flatten)]
    form: FormOptions,

    /// Show what is done too, on more than 20 nodes
    #[arg(long, env = "NODE_ANNOTATOR_ALL", value_parser = BoolishValueParser::new(), help_heading = OUTPUT)]
    all: bool,

    /// A row for each node
    #[arg(long, env = "NODE_ANNOTATOR_NO_FOLD", value_parser = BoolishValueParser::new(), help_heading = OUTPUT)]
    no_fold: bool,

    /// Tell on stderr how far it is, and print once nothing is left to wait for
    #[arg(short, long, env = "NODE_ANNOTATOR_WATCH", value_parser = BoolishValueParser::new(), help_heading = OUTPUT)]
    watch: bool,

    /// End with 3 where anything is pending, failed or stale
    #[arg(long, env = "NODE_ANNOTATOR_EXIT_CODE", value_parser = BoolishValueParser::new(), help_heading = OUTPUT)]
    exit_code: bool,
}

fn notes() -> String {
    let notes = "\
States:
  done      its facts are on the node, or it found that it does not apply there
  failed    it failed, and is tried again
  given-up  it failed, and nothing tries it again until its label PREFIX/COLLECTOR.failed is removed
  stale     it is done, and its facts are of another boot, kernel or machine, or older than --max-age
  pending   it has not run yet
  left-out  no DaemonSet runs it on this node: opted out, excluded, not selected

Examples:
  node-annotator status
  node-annotator status --collectors kernel --selector pool=gpu
  node-annotator status --where 'kernel.major < 6' -o name";
    format!("{notes}\n\n{}", exit::help("status"))
}

impl StatusCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let Self { fleet, age, form, all, no_fold, watch, exit_code } = self;
        let Meant { nodes, collectors } = fleet.meant(registry)?;
        let show = Show { form: form.output, all: *all, fold: !no_fold };
        fleet::run(async {
            let reader = fleet.reader(app).await?;
            let mut installed = fleet.installed(&reader, registry, Events::Read).await?;
            if *watch {
                wait(&reader, &installed, &nodes, &collectors, None).await?;
                installed = fleet.installed(&reader, registry, Events::Read).await?;
            }
            let scope = startup_taint::scope(&reader, fleet.installation(), registry).await;
            let scope = scope.unwrap_or_else(|error| {
                let trouble = Trouble::from(error);
                eprintln!(
                    "note: it is not known whether done nodes keep the startup taint: {}",
                    trouble.what
                );
                None
            });
            let status =
                Status::read(&reader, &installed, &nodes, &collectors, age.oldest(), show, scope.as_ref())
                    .await?;
            print(&status.render(show, table::width())?)?;
            if let Some((count, first)) = &status.with_nfd {
                eprintln!(
                    "error: Node Feature Discovery runs on {count} nodes, such as `{first}`, and both publish its labels\nhint: {BESIDE_NFD}"
                );
                return Ok(Exit::Failures);
            }
            Ok(if *exit_code && !status.is_settled() { Exit::Failures } else { Exit::Done })
        })
    }
}
