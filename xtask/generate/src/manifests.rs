//! `cargo xtask gen-manifests`: what lies in `deploy/kubernetes`, from the registry.

use anyhow::{Result, bail};
use clap::Args;
use node_annotator_core::{Registry, Selection};
use node_annotator_deploy::{Manifests, Settings};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write nothing, and fail if a file is not as it would be written
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let registry = Registry::from_inventory()?;
    let manifests = Manifests::new(&Settings::new(Selection::parse("default", &registry)?))?;
    let folder = xtask_workspace::root().join("deploy/kubernetes");
    if !options.check {
        manifests.write(&folder)?;
        eprintln!("written: {}", folder.display());
        return Ok(());
    }
    let differences = manifests.check(&folder)?;
    if differences.is_empty() {
        return Ok(());
    }
    for difference in &differences {
        eprintln!("{difference}");
    }
    bail!("deploy/kubernetes is not what the registry says\nhint: cargo xtask gen-manifests");
}
