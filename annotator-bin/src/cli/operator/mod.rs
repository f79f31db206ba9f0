//! The commands of an operator, a file each.

mod check;
mod clean;
mod completions;
mod diff;
mod doctor;
mod drift;
mod expire;
mod explain;
mod fleet;
mod get;
mod list;
mod manifests;
mod once;
mod report;
mod rerun;
mod status;
mod wait;

use clap::Subcommand;
use node_annotator_core::Registry;

use crate::app::App;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
pub(crate) enum OperatorCommand {
    /// List the collectors
    List(list::ListCommand),
    /// Explain a collector: its facts, their keys, what it needs
    Explain(explain::ExplainCommand),
    /// Print the Kubernetes manifests for a choice of collectors
    Manifests(Box<manifests::ManifestsCommand>),
    Once(Box<once::OnceCommand>),
    /// Show what became of each collector on each node, and why
    Status(Box<status::StatusCommand>),
    /// Wait until collectors are done, and say which are not
    Wait(Box<wait::WaitCommand>),
    /// Show facts of nodes, as columns
    Get(Box<get::GetCommand>),
    /// Show in which facts two nodes differ
    Diff(Box<diff::DiffCommand>),
    /// Show what most nodes of a group have, and which of them differ
    Drift(Box<drift::DriftCommand>),
    /// Hold the facts of nodes against what is expected of them
    Check(Box<check::CheckCommand>),
    /// Write the fleet on one page of HTML
    Report(Box<report::ReportCommand>),
    /// Run collectors again, by taking their labels away
    Rerun(Box<rerun::RerunCommand>),
    /// Run again what is stale: of another boot, kernel or machine, or too old
    Expire(Box<expire::ExpireCommand>),
    /// Take every key of ours off the nodes
    Clean(Box<clean::CleanCommand>),
    /// Check an installation in its cluster: policy, rights, DaemonSets
    Doctor(doctor::DoctorCommand),
    /// Print a completion script for a shell, or for `kubectl node-annotator`
    Completions(completions::CompletionsCommand),
}

impl OperatorCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        match self {
            Self::List(command) => command.run(registry),
            Self::Explain(command) => command.run(registry),
            Self::Manifests(command) => command.run(registry, app),
            Self::Once(command) => command.run(registry, app),
            Self::Status(command) => command.run(registry, app),
            Self::Wait(command) => command.run(registry, app),
            Self::Get(command) => command.run(registry, app),
            Self::Diff(command) => command.run(registry, app),
            Self::Drift(command) => command.run(registry, app),
            Self::Check(command) => command.run(registry, app),
            Self::Report(command) => command.run(registry, app),
            Self::Rerun(command) => command.run(registry, app),
            Self::Expire(command) => command.run(registry, app),
            Self::Clean(command) => command.run(registry, app),
            Self::Doctor(command) => command.run(app),
            Self::Completions(command) => command.run(app),
        }
    }
}
