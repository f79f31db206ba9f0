//! The commands of an operator, a file each.

mod completions;
mod doctor;
mod explain;
mod list;
mod manifests;

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
    /// Check an installation in its cluster: policy, rights, DaemonSets
    Doctor(doctor::DoctorCommand),
    /// Print a completion script for a shell
    Completions(completions::CompletionsCommand),
}

impl OperatorCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        match self {
            Self::List(command) => command.run(registry),
            Self::Explain(command) => command.run(registry),
            Self::Manifests(command) => command.run(registry, app),
            Self::Doctor(command) => command.run(app),
            Self::Completions(command) => command.run(app),
        }
    }
}
