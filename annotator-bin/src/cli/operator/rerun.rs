//! `rerun`: runs collectors again.

use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use node_annotator_core::Registry;

use super::fleet::{AgeOptions, FleetOptions, Meant, with_stop};
use crate::app::App;
use crate::cli::Usage;
use crate::cli::options::duration;
use crate::exit::{self, Exit};
use crate::operator::fleet::installed::Events;
use crate::operator::rerun::{Pace, Plan, Which, rerun};
use crate::operator::table;
use crate::output::print;
use crate::trouble::Trouble;

const WHAT: &str = "What runs again";

#[derive(Debug, Args)]
#[command(after_help = notes())]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct RerunCommand {
    #[command(flatten)]
    fleet: FleetOptions,

    /// What was given up
    #[arg(long, env = "NODE_ANNOTATOR_FAILED", value_parser = BoolishValueParser::new(), help_heading = WHAT)]
    failed: bool,

    /// What is stale
    #[arg(long, env = "NODE_ANNOTATOR_STALE", value_parser = BoolishValueParser::new(), help_heading = WHAT)]
    stale: bool,

    /// Everything on every node, where neither nodes nor collectors nor a state is named
    #[arg(long, env = "NODE_ANNOTATOR_ALL", value_parser = BoolishValueParser::new(), help_heading = WHAT)]
    all: bool,

    #[command(flatten)]
    age: AgeOptions,

    /// How many nodes at once: of requests, and with --wait of nodes that run
    #[arg(long, env = "NODE_ANNOTATOR_MAX_IN_FLIGHT", value_name = "NUMBER", default_value_t = 50, help_heading = WHAT)]
    max_in_flight: u16,

    /// Wait for each wave of nodes, before the next begins
    #[arg(long, env = "NODE_ANNOTATOR_WAIT", value_parser = BoolishValueParser::new(), help_heading = WHAT)]
    wait: bool,

    /// With --wait: how long a wave may take
    #[arg(
        long,
        env = "NODE_ANNOTATOR_TIMEOUT",
        value_name = "DURATION",
        default_value = "10m",
        value_parser = duration,
        help_heading = WHAT
    )]
    timeout: Duration,

    /// With --wait: begin no further wave after so many nodes that failed
    #[arg(long, env = "NODE_ANNOTATOR_MAX_FAILURES", value_name = "NUMBER", default_value_t = 5, help_heading = WHAT)]
    max_failures: u16,

    /// Show what would run again, and change nothing
    #[arg(long, env = "NODE_ANNOTATOR_DRY_RUN", value_parser = BoolishValueParser::new(), help_heading = WHAT)]
    dry_run: bool,
}

fn notes() -> String {
    let notes = "\
It takes the done label and the failed label of the collectors away, and their DaemonSets run them
again. The facts stay until then. What is due anyway is left alone, and so are nodes on which no
DaemonSet would run it. It may be stopped at any time: the same command goes on where it ended.
For a task that is held (`once --hold`) it releases the nodes, by a label.

Examples:
  node-annotator rerun --collectors kernel --nodes worker-7
  node-annotator rerun --failed --dry-run
  node-annotator rerun --where 'kernel < 6.8' --wait --max-in-flight 20
  node-annotator rerun --namespace once-tune --all --wait --max-in-flight 20     a task that is held";
    format!("{notes}\n\n{}", exit::help("rerun"))
}

impl RerunCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let Self { fleet, failed, stale, all, age, max_in_flight, wait, timeout, max_failures, dry_run } =
            self;
        if !failed && !stale && !all && !fleet.names_something() {
            return Err(Usage(Trouble::new(
                "everything on every node would run again",
                "name nodes or collectors, or use --failed or --stale; --all if it is meant",
            ))
            .into());
        }
        let Meant { nodes, collectors } = fleet.meant(registry)?;
        let which = Which { failed: *failed, stale: *stale };
        let pace = Pace {
            at_once: usize::from(*max_in_flight),
            wait: wait.then_some(*timeout),
            max_failures: usize::from(*max_failures),
        };
        with_stop(|stop| async move {
            let reader = fleet.reader(app).await?;
            let mut installed = fleet.installed(&reader, registry, Events::LeftOut).await?;
            let mut plan = Plan::read(&reader, &installed, &nodes, &collectors, which, age.oldest()).await?;
            if plan.is_empty() {
                eprintln!("nothing to run again");
                return Ok(Exit::Done);
            }
            if *dry_run {
                print(&plan.table().text(false, table::width()))?;
                return Ok(Exit::Done);
            }
            plan.release(&reader, &mut installed, &stop).await?;
            let reran = rerun(&reader, &installed, &nodes, &plan, pace, &stop).await?;
            eprintln!("{}", reran.tally.told());
            for (node, why) in &reran.failed {
                eprintln!("error: `{node}` is not done: {why}");
            }
            if *wait {
                eprintln!("nodes done again: {}, failed: {}", reran.done, reran.failed.len());
            }
            let held = plan.held();
            if let Some(held) = &held {
                eprintln!("{held}\nhint: the same command goes on with them");
            }
            Ok(if !reran.tally.is_complete() || held.is_some() || stop.is_requested() {
                Exit::Unfinished
            } else if reran.failed.is_empty() {
                Exit::Done
            } else {
                Exit::Failures
            })
        })
    }
}
