//! Development tasks, run as `cargo xtask TASK`. Each is thin: the work is done by the crates of the workspace.

mod bench;
mod demo;
mod docs;
mod image;
mod manifests;
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
    /// Measure a run, a fleet, a re-run; a table beside a floor
    Bench(bench::Options),
    /// Show it: a local cluster, the generated DaemonSets, and what happens, as it happens
    Demo(demo::Options),
    /// Write the generated pages of `docs`: collectors and command line
    GenDocs(docs::Options),
    /// Write `deploy/kubernetes` from the registry of collectors
    GenManifests(manifests::Options),
    /// Make the go.mod from which a Kubernetes version is built for the scenarios
    PinKubernetes {
        /// A full version, such as 1.36.3
        version: String,
    },
    /// Format, lint, unit tests, documentation, and the scenarios on a real control plane
    Test(test::Options),
    /// Write the container image as an OCI archive
    Image(image::Options),
}

fn main() -> anyhow::Result<()> {
    run(Cli::parse().task)
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Bench(options) => bench::run(&options),
        Task::Demo(options) => demo::run(&options),
        Task::GenDocs(options) => docs::run(&options),
        Task::GenManifests(options) => manifests::run(&options),
        Task::PinKubernetes { version } => {
            let folder = node_annotator_tests::pin::pin(&version)?;
            eprintln!("written: {}", folder.display());
            Ok(())
        }
        Task::Test(options) => test::run(&options),
        Task::Image(options) => image::run(&options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_generated_is_as_it_would_be_generated_now() {
        for task in ["gen-docs", "gen-manifests"] {
            let cli = Cli::parse_from(["xtask", task, "--check"]);
            run(cli.task).unwrap();
        }
    }
}
