//! `wait`: until collectors are done.

use std::time::Duration;

use clap::Args;
use node_annotator_core::Registry;
use tokio::time::Instant;

use super::fleet::{self, FleetOptions, FormOptions, Meant};
use crate::app::App;
use crate::cli::options::{OUTPUT, duration};
use crate::exit::{self, Exit};
use crate::operator::fleet::installed::Events;
use crate::operator::fleet::state::Oldest;
use crate::operator::status::{Show, Status};
use crate::operator::table;
use crate::operator::wait::{Waited, wait};
use crate::output::print;

#[derive(Debug, Args)]
#[command(after_help = notes())]
pub(crate) struct WaitCommand {
    #[command(flatten)]
    fleet: FleetOptions,

    /// How long to wait at most
    #[arg(
        long,
        env = "NODE_ANNOTATOR_TIMEOUT",
        value_name = "DURATION",
        default_value = "10m",
        value_parser = duration,
        help_heading = OUTPUT
    )]
    timeout: Duration,

    #[command(flatten)]
    form: FormOptions,
}

fn notes() -> String {
    let notes = "\
It ends early where all that is left was given up, which does not change by itself. What is not done
by then is printed as `status` prints it. Nodes that vanish meanwhile are not waited for.

Examples:
  node-annotator wait --timeout 5m
  node-annotator wait --collectors kernel,virt --selector pool=new";
    format!("{notes}\n\n{}", exit::help("wait"))
}

impl WaitCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let Self { fleet, timeout, form } = self;
        let Meant { nodes, collectors } = fleet.meant(registry)?;
        fleet::run(async {
            let reader = fleet.reader(app).await?;
            let installed = fleet.installed(&reader, registry, Events::Read).await?;
            let end = Instant::now() + *timeout;
            let waited = wait(&reader, &installed, &nodes, &collectors, Some(end)).await?;
            if waited == Waited::Done {
                return Ok(Exit::Done);
            }
            // The pods, and what is told of them, as they are by now.
            let installed = fleet.installed(&reader, registry, Events::Read).await?;
            let show = Show { form: form.output, all: false, fold: true };
            let status =
                Status::read(&reader, &installed, &nodes, &collectors, Oldest::default(), show, None).await?;
            eprintln!(
                "error: {}",
                match waited {
                    Waited::TimedOut => format!("not done within {timeout:?}"),
                    Waited::Done | Waited::GivenUp => "what is left was given up".to_owned(),
                }
            );
            print(&status.render(show, table::width())?)?;
            Ok(Exit::Failures)
        })
    }
}
