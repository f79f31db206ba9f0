//! `completions`: a script for a shell.

use anyhow::Context as _;
use clap::Args;
use clap_complete::Shell;

use crate::app::App;
use crate::cli::{command_of, own_name};
use crate::exit::{self, Exit};
use crate::output::print;

#[derive(Debug, Args)]
#[command(after_help = exit::help("completions"))]
pub(crate) struct CompletionsCommand {
    /// The shell
    shell: Shell,
}

impl CompletionsCommand {
    pub(super) fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command_of(app), own_name(app), &mut script);
        print(&String::from_utf8(script).context("the completion script is not text")?)?;
        Ok(Exit::Done)
    }
}
