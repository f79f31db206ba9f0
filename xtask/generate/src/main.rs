//! What is generated, started by `cargo xtask`: pages of docs, manifests, the container image.

mod docs;
mod image;
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
    /// Write a container image as an OCI archive: of this checkout, or of another static binary
    ///
    /// By default the image holds the `node-annotator` binary of this checkout. With --program it holds
    /// another one: a static executable for Linux, that is one without a dynamic loader, since there is no
    /// other file in the image. To build one:
    ///
    /// RUSTFLAGS=-Ctarget-feature=+crt-static cargo build --release --target x86_64-unknown-linux-gnu
    Image(image::Options),
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
        Task::Image(options) => image::run(&options),
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
