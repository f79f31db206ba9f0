//! `explain`: one collector.

use clap::Args;
use node_annotator_core::Registry;

use crate::cli::Usage;
use crate::cli::options::{KeyOptions, OutputOptions};
use crate::exit::{self, Exit};
use crate::operator::catalogue;
use crate::output::print;
use crate::trouble::Trouble;

#[derive(Debug, Args)]
#[command(after_help = exit::help("explain"))]
pub(crate) struct ExplainCommand {
    /// The collector's name, as `list` shows it
    name: String,
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    output: OutputOptions,
}

impl ExplainCommand {
    pub(super) fn run(&self, registry: &Registry) -> anyhow::Result<Exit> {
        let Self { name, keys, output } = self;
        let collector = registry.find(name).map_err(|error| Usage(Trouble::plain(error)))?;
        print(&catalogue::explain(collector, &keys.prefix, output.output))?;
        Ok(Exit::Done)
    }
}
