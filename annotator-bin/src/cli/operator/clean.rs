//! `clean`: takes every key of ours off the nodes.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use clap::Args;
use clap::builder::BoolishValueParser;
use node_annotator_core::Registry;

use super::fleet::{FleetOptions, Meant, with_stop};
use crate::app::App;
use crate::exit::{self, Exit};
use crate::operator::clean::Keys;
use crate::operator::fleet::installed::Events;
use crate::operator::fleet::removal::{Tally, remove};
use crate::operator::progress::Progress;
use crate::trouble::Trouble;

/// How many nodes are changed at once.
const AT_ONCE: usize = 50;

#[derive(Debug, Args)]
#[command(after_help = notes())]
pub(crate) struct CleanCommand {
    #[command(flatten)]
    fleet: FleetOptions,

    /// Do not ask
    #[arg(short, long, env = "NODE_ANNOTATOR_YES", value_parser = BoolishValueParser::new())]
    yes: bool,

    /// Also keys of collectors that this binary does not have and that are not installed
    #[arg(long, env = "NODE_ANNOTATOR_ALL_UNDER_PREFIX", value_parser = BoolishValueParser::new())]
    all_under_prefix: bool,

    /// Show how much would be taken away, and change nothing
    #[arg(long, env = "NODE_ANNOTATOR_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,
}

fn notes() -> String {
    let notes = "\
It takes facts, errors, done labels, failed labels and labels of facts away; the label that opts a
node out stays, and so do labels of Node Feature Discovery that no run has set.
Delete the DaemonSets first, or they write everything back. It may be stopped at any time: the same
command goes on where it ended.";
    format!("{notes}\n\n{}", exit::help("clean"))
}

impl CleanCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let Self { fleet, yes, all_under_prefix, dry_run } = self;
        let Meant { nodes, collectors } = fleet.meant(registry)?;
        with_stop(|stop| async move {
            let reader = fleet.reader(app).await?;
            let mut names = BTreeSet::new();
            // Without a DaemonSet nothing is installed, and nothing writes it back.
            if let Ok(installed) = fleet.installed(&reader, registry, Events::LeftOut).await {
                names.extend(installed.collectors().into_iter().map(str::to_owned));
                eprintln!("warning: its DaemonSets are there, and write everything back; delete them first:");
                for namespace in fleet.namespaces() {
                    eprintln!("  kubectl delete daemonsets --namespace {namespace} --all");
                }
            }
            let keys =
                Keys::read(&reader, &nodes, &collectors, fleet.prefix(), registry, &names, *all_under_prefix);
            let keys = keys.await?;
            if let Some(unknown) = keys.told_unknown() {
                eprintln!("{unknown}\nhint: --all-under-prefix takes them away too");
            }
            if keys.removals.is_empty() {
                eprintln!("nothing to take away");
                return Ok(Exit::Done);
            }
            eprintln!("{}", keys.told());
            if *dry_run {
                return Ok(Exit::Done);
            }
            if !yes && !is_confirmed()? {
                eprintln!("nothing was changed");
                return Ok(Exit::Unfinished);
            }
            let (mut tally, mut progress) = (Tally::default(), Progress::new());
            remove(&reader, &keys.removals, AT_ONCE, &stop, |removal, removed| {
                tally.add(removal, &removed);
                progress.tell(&format!("{} of {} nodes changed", tally.done, keys.removals.len()));
            })
            .await;
            drop(progress);
            eprintln!("{}", tally.told());
            if tally.changed > 0 {
                eprintln!("hint: run it again for the nodes on which something was written meanwhile");
            }
            Ok(match (tally.is_complete(), tally.changed) {
                (false, _) => Exit::Unfinished,
                (true, 0) => Exit::Done,
                (true, _) => Exit::Failures,
            })
        })
    }
}

/// Asks who sits at the terminal.
fn is_confirmed() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(Trouble::new("nobody can be asked here", "--yes takes it all away without asking").into());
    }
    eprint!("Take them away? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
