//! `completions`: a script for a shell.

use anyhow::Context as _;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use node_annotator_core::Registry;

use crate::cli::{Cli, own_name};
use crate::exit::{self, Exit};
use crate::output::print;

#[derive(Debug, Args)]
#[command(after_help = exit::help("completions"))]
pub(crate) struct CompletionsCommand {
    /// The shell
    shell: Shell,
}

impl CompletionsCommand {
    pub(super) fn run(&self, _: &Registry) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), own_name(), &mut script);
        print(&String::from_utf8(script).context("the completion script is not text")?)?;
        Ok(Exit::Done)
    }
}
