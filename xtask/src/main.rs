//! Development tasks, run as `cargo xtask TASK`: the small ones, and the way to the large ones.
//!
//! This crate links little, so that the first check reports soon. A task that needs the collectors, the
//! manifests or a cluster is a crate of its own below this folder, which cargo builds when it is asked for.

mod book;
mod forward;
mod new_collector;
mod step;
mod test;
mod try_collector;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::forward::{Forwarded, Program};

/// Development tasks of node-annotator.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Format, lint, unit tests, documentation, and the scenarios on a real control plane
    Test(test::Options),
    /// Format, lint and test the collectors, show one of them on this machine, and generate docs and
    /// manifests
    Try(try_collector::Options),
    /// Begin a collector: its source, its place in `lib.rs`, and a file of a recorded machine
    NewCollector(new_collector::Options),
    /// Measure a run, a fleet, a re-run; a table beside a floor
    #[command(disable_help_flag = true)]
    Bench(Forwarded),
    /// Hold the facts of this machine against lscpu, lsblk, lspci, facter and other programs
    #[command(disable_help_flag = true)]
    Compare(Forwarded),
    /// Show it: a local cluster, the generated DaemonSets, and what happens, as it happens
    #[command(disable_help_flag = true)]
    Demo(Forwarded),
    /// Make a book of the pages of `docs`, in `target/book`; the first time mdBook is built
    Book(book::Options),
    /// Write the generated pages of `docs`, and what is generated in others
    #[command(disable_help_flag = true)]
    GenDocs(Forwarded),
    /// Write `deploy/kubernetes`, `deploy/per-collector` and `deploy/monitoring` from the registry of
    /// collectors
    #[command(disable_help_flag = true)]
    GenManifests(Forwarded),
    /// Write a container image as an OCI archive, or push it: of this checkout, or of another static binary
    #[command(disable_help_flag = true)]
    Image(Forwarded),
    /// Have independent programs look at the repository: spelling, workflows, licences, advisories, semver
    #[command(disable_help_flag = true)]
    Audit(Forwarded),
    /// Write what a release consists of into `target/dist`: binaries, image, chart, checksums
    #[command(disable_help_flag = true)]
    Dist(Forwarded),
    /// Package the crates that are published, and build the crate of other people from these packages alone
    #[command(disable_help_flag = true)]
    Packages(Forwarded),
    /// Record what the collectors look at on this machine, identifiers replaced, as a fixture for the tests
    #[command(disable_help_flag = true)]
    RecordMachine(Forwarded),
    /// Make the go.mod from which a Kubernetes version is built for the scenarios
    #[command(disable_help_flag = true)]
    PinKubernetes(Forwarded),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test(options) => test::run(&options),
        Task::Try(options) => try_collector::run(&options),
        Task::NewCollector(options) => new_collector::run(&options),
        Task::Book(options) => book::run(&options),
        Task::Bench(forwarded) => forwarded.to(Program::Cluster, "bench"),
        Task::Compare(forwarded) => forwarded.to(Program::Compare, "compare"),
        Task::Demo(forwarded) => forwarded.to(Program::Cluster, "demo"),
        Task::PinKubernetes(forwarded) => forwarded.to(Program::Cluster, "pin-kubernetes"),
        Task::GenDocs(forwarded) => forwarded.to(Program::Generate, "gen-docs"),
        Task::GenManifests(forwarded) => forwarded.to(Program::Generate, "gen-manifests"),
        Task::RecordMachine(forwarded) => forwarded.to(Program::Generate, "record-machine"),
        Task::Audit(forwarded) => forwarded.to(Program::Dist, "audit"),
        Task::Packages(forwarded) => forwarded.to(Program::Dist, "packages"),
        Task::Dist(forwarded) => forwarded.to(Program::Dist, "dist"),
        Task::Image(forwarded) => forwarded.to(Program::Dist, "image"),
    };
    xtask_workspace::exit_code(done)
}
