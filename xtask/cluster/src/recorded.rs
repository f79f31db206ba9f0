//! The recorded machines of the collectors' fixtures, which the simulated nodes are.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use node_annotator_tests::metadata::{Answer, MetadataServer};

/// The root file system of a recorded machine.
pub(crate) fn machine(name: &str) -> PathBuf {
    xtask_workspace::root().join("collectors/fixtures").join(name)
}

/// Starts the metadata service of the recorded Droplet, on loopback.
pub(crate) async fn droplet_metadata() -> Result<MetadataServer> {
    let path = machine("droplet.metadata/metadata/v1.json");
    let document = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    MetadataServer::start(Answer::ok(&document)).await
}
