//! What the pods of a task run: the pod that `once` prints names these commands, and nobody else does.

mod copy;
mod publish;
mod step;

use clap::Subcommand;
use node_annotator_core::Registry;

use crate::app::App;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
#[expect(clippy::enum_variant_names, reason = "they are the names of the commands")]
pub(crate) enum OnceCommand {
    /// Copy this program to where the containers of a task find it
    #[command(hide = true)]
    OnceCopy(copy::CopyCommand),
    /// Run a step of a task, and keep what became of it
    #[command(hide = true)]
    OnceStep(Box<step::StepCommand>),
    /// Publish what became of the steps of a task
    #[command(hide = true)]
    OncePublish(Box<publish::PublishCommand>),
}

impl OnceCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        match self {
            Self::OnceCopy(command) => command.run(),
            Self::OnceStep(command) => command.run(),
            Self::OncePublish(command) => command.run(registry, app),
        }
    }
}
