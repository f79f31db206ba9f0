//! The checkout, and cargo in it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Builds the binary that simulated kubelets start, as it is in the checkout now.
///
/// Together with xtask itself: alone it would get other features, and its dependencies would be compiled once more.
pub(crate) fn build_binary() -> Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--package", "xtask", "--package", "node-annotator", "--bins"]).current_dir(root());
    ensure!(cargo.status().context("cannot start cargo")?.success(), "the binary does not build");
    Ok(())
}
