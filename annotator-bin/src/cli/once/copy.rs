//! `once-copy`: puts this program where the containers of a task find it.

use std::path::PathBuf;

use clap::Args;

use crate::exit::Exit;
use crate::node::once::copy::copy;

#[derive(Debug, Args)]
pub(crate) struct CopyCommand {
    /// The path of the copy
    #[arg(long, env = "NODE_ANNOTATOR_TO", value_name = "FILE")]
    to: PathBuf,
}

impl CopyCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        copy(&self.to).map(|()| Exit::Done)
    }
}
