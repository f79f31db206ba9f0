//! The checkout, and cargo in it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Cargo, as from a shell.
///
/// What `cargo run` tells the program that it starts about its package is taken out of the environment: build scripts look at it, and
/// would compile everything again each time.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Builds the binary that simulated kubelets start, as it is in the checkout now.
///
/// Together with xtask itself: alone it would get other features, and its dependencies would be compiled once more.
pub(crate) fn build_binary() -> Result<()> {
    let mut cargo = cargo();
    cargo.args(["build", "--package", "xtask", "--package", "node-annotator", "--bins"]);
    ensure!(cargo.status().context("cannot start cargo")?.success(), "the binary does not build");
    Ok(())
}
