//! `cargo xtask bench`: what a run, a fleet and a build cost, beside a floor measured in the same run.

mod alternatives;
mod budget;
mod compile;
mod failing;
mod figures;
mod fleet;
mod fleet_commands;
mod gate;
mod growth;
mod once;
mod pod;
mod process;
mod relay;
mod run;
mod server;
mod size;
mod thief;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use self::figures::Figures;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only what does not depend on the machine: requests, bytes, sizes, peak memory
    #[arg(long, conflicts_with = "parts")]
    short: bool,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How often each program is timed
    #[arg(long, value_name = "NUMBER", default_value_t = 30)]
    rounds: usize,
    /// The sizes of the fleets
    #[arg(long, value_name = "NODES", value_delimiter = ',', default_values_t = [100, 1000, 5000])]
    nodes: Vec<usize>,
    /// How long a fleet that fails is watched
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    minutes: u32,
    /// A static binary with its floor beside it, instead of those of this checkout: to compare
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// What to measure; all but `fleet-commands`, `thief`, `failing`, `once` and `compile` by default
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One run on one node
    Run,
    /// Fleets of simulated nodes, each node once
    Fleet,
    /// A fleet that runs again, all nodes at the same moment
    Rerun,
    /// The commands for a fleet beside kubectl, on the largest of --nodes
    FleetCommands,
    /// What a stolen token does to the cluster, behind the policy and without it
    Thief,
    /// A fleet that fails, minute by minute
    Failing,
    /// A task beside the pattern that people copy, on the smallest of --nodes, and 20 tasks on one
    Once,
    /// Builds from nothing, which takes minutes
    Compile,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { short, json, rounds, nodes, minutes, binary, parts } = options;
    let parts = match &parts[..] {
        [] if *short => &[Part::Run][..],
        [] => &[Part::Run, Part::Fleet, Part::Rerun],
        parts => parts,
    };
    allow_many_connections()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut figures = Figures::default();
    for part in parts {
        match part {
            Part::Run => {
                let of_this_checkout = binary.is_none();
                let binary = binary.clone().map_or_else(built, Ok)?;
                size::measure(&mut figures, &binary, of_this_checkout)?;
                runtime.block_on(run::measure(&mut figures, &binary, (!short).then_some(*rounds)))?;
            }
            Part::Fleet => runtime.block_on(fleet::measure(&mut figures, nodes))?,
            Part::Rerun => {
                let nodes = nodes.iter().copied().max().context("no nodes")?;
                runtime.block_on(fleet::measure_rerun(&mut figures, nodes))?;
            }
            Part::FleetCommands => {
                let binary = binary.clone().map_or_else(built, Ok)?;
                let nodes = nodes.iter().copied().max().context("no nodes")?;
                runtime.block_on(fleet_commands::measure(&mut figures, &binary, nodes, *rounds))?;
            }
            Part::Thief => runtime.block_on(thief::measure(&mut figures))?,
            Part::Failing => {
                let nodes = nodes.iter().copied().max().context("no nodes")?;
                runtime.block_on(failing::measure(&mut figures, nodes, *minutes))?;
            }
            Part::Once => {
                let nodes = nodes.iter().copied().min().context("no nodes")?;
                runtime.block_on(once::measure(&mut figures, nodes))?;
            }
            Part::Compile => compile::measure(&mut figures, *rounds)?,
        }
    }
    println!("{}", figures.table());
    if let Some(path) = json {
        let text = format!("{:#}\n", figures.json());
        fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let exceeded = figures.exceeded();
    if !exceeded.is_empty() {
        bail!("over the limit:\n{}", exceeded.join("\n"));
    }
    Ok(())
}

fn built() -> Result<PathBuf> {
    progress("building the static release binary");
    xtask_workspace::static_binary::build()
}

/// Says what is being done, on stderr.
fn progress(text: &str) {
    eprintln!("bench: {text}");
}

/// Each simulated run has a connection of its own, all in this process.
fn allow_many_connections() -> Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("cannot raise the number of open files")
}
