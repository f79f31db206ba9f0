//! `list`: all collectors.

use clap::Args;
use node_annotator_core::Registry;

use crate::cli::options::{KeyOptions, OutputOptions};
use crate::exit::{self, Exit};
use crate::operator::catalogue;
use crate::output::print;

#[derive(Debug, Args)]
#[command(after_help = exit::help("list"))]
pub(crate) struct ListCommand {
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    output: OutputOptions,
}

impl ListCommand {
    pub(super) fn run(&self, registry: &Registry) -> anyhow::Result<Exit> {
        print(&catalogue::list(registry, &self.keys.prefix, self.output.output))?;
        Ok(Exit::Done)
    }
}
