//! `expire`: runs again what is stale.

use clap::Args;
use clap::builder::BoolishValueParser;
use node_annotator_core::Registry;

use super::fleet::{AgeOptions, FleetOptions, Meant, with_stop};
use crate::app::App;
use crate::exit::{self, Exit};
use crate::operator::expire::{Record, Stale, expire};
use crate::operator::fleet::installed::Events;
use crate::operator::table;
use crate::output::print;

#[derive(Debug, Args)]
#[command(after_help = notes())]
pub(crate) struct ExpireCommand {
    #[command(flatten)]
    fleet: FleetOptions,

    #[command(flatten)]
    age: AgeOptions,

    /// How many nodes are changed at once
    #[arg(long, env = "NODE_ANNOTATOR_MAX_IN_FLIGHT", value_name = "NUMBER", default_value_t = 50)]
    max_in_flight: u16,

    /// Show what would run again, and change nothing
    #[arg(long, env = "NODE_ANNOTATOR_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,
}

fn notes() -> String {
    let notes = "\
Stale is what `status` calls so: facts of another boot, kernel or machine, or older than --max-age.
Only nodes that are ready run again, and only the collectors that are stale. Where facts still
differ after a run in the same boot, the node is named and left alone, where there is a record
of that: the ConfigMap `expired` in the namespace NAMESPACE-expire, which `manifests --expire`
makes, with a CronJob that runs this command.";
    format!("{notes}\n\n{}", exit::help("expire"))
}

impl ExpireCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let Self { fleet, age, max_in_flight, dry_run } = self;
        let Meant { nodes, collectors } = fleet.meant(registry)?;
        with_stop(|stop| async move {
            let reader = fleet.reader(app).await?;
            let mut installed = fleet.installed(&reader, registry, Events::LeftOut).await?;
            let namespace = fleet.installation().expire_namespace();
            let record = Record::read(&reader, namespace, node_annotator_deploy::EXPIRED.to_owned()).await?;
            let mut stale =
                Stale::read(&reader, &installed, &nodes, &collectors, age.oldest(), &record).await?;
            for (node, why) in &stale.still {
                eprintln!("warning: `{node}` has run again in this boot, and its facts still differ: {why}");
            }
            if stale.not_ready > 0 {
                eprintln!("stale nodes that are not ready, and wait: {}", stale.not_ready);
            }
            if *dry_run {
                if stale.plan.is_empty() {
                    eprintln!("nothing to run again");
                } else {
                    print(&stale.plan.table().text(false, table::width()))?;
                }
            } else {
                stale.plan.release(&reader, &mut installed, &stop).await?;
                let tally = expire(&reader, &stale, &record, usize::from(*max_in_flight), &stop).await?;
                if stale.plan.is_empty() {
                    eprintln!("nothing to run again");
                } else {
                    eprintln!("{}", tally.told());
                }
                if let Some(held) = stale.plan.held() {
                    eprintln!("{held}");
                }
                if !tally.is_complete() || stop.is_requested() {
                    return Ok(Exit::Unfinished);
                }
            }
            Ok(if stale.still.is_empty() { Exit::Done } else { Exit::Failures })
        })
    }
}
