//! Development tasks, run as `cargo xtask TASK`. Each is thin: the work is done by the crates of the workspace.

mod test;

use clap::{Parser, Subcommand};
use node_annotator_collectors as _;

/// Development tasks of node-annotator.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Format, lint, unit tests, documentation, and the scenarios on a real control plane
    Test(test::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Test(options) => test::run(&options),
    }
}
