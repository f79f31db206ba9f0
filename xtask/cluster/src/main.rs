//! The tasks that need Kubernetes, started by `cargo xtask`: demo, bench, and the pins of its versions.

mod bench;
mod demo;
mod recorded;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use node_annotator_collectors as _;

/// Development tasks of node-annotator that need Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure a run, a fleet, a re-run; a table beside a floor
    Bench(bench::Options),
    /// Show it: a local cluster, the generated DaemonSets, and what happens, as it happens
    Demo(demo::Options),
    /// Make the go.mod from which a Kubernetes version is built for the scenarios
    PinKubernetes {
        /// A full version, such as 1.36.3
        version: String,
    },
}

fn main() -> ExitCode {
    xtask_workspace::exit_code(run(Cli::parse().task))
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Bench(options) => bench::run(&options),
        Task::Demo(options) => demo::run(&options),
        Task::PinKubernetes { version } => {
            let folder = node_annotator_tests::pin::pin(&version)?;
            eprintln!("written: {}", folder.display());
            Ok(())
        }
    }
}
