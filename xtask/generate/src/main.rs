//! What is generated, started by `cargo xtask`: pages of docs, manifests.

mod docs;
mod manifests;
mod record_machine;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use node_annotator_collectors as _;

/// Development tasks of node-annotator that write what is generated.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write the generated pages of `docs` and the table of collectors in README
    GenDocs(docs::Options),
    /// Write `deploy/kubernetes`, `deploy/per-collector`, `deploy/monitoring`, `deploy/rbac` and the data of
    /// the Helm chart
    GenManifests(manifests::Options),
    /// Record what the collectors look at on this machine, identifiers replaced, as a fixture for the tests
    RecordMachine(record_machine::Options),
}

fn main() -> ExitCode {
    xtask_workspace::exit_code(run(Cli::parse().task))
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::GenDocs(options) => docs::run(&options),
        Task::GenManifests(options) => manifests::run(&options),
        Task::RecordMachine(options) => record_machine::run(&options),
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
