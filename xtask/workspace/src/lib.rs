//! The checkout, and cargo in it.

use std::path::Path;
use std::process::Command;

/// The root of the workspace.
///
/// # Panics
///
/// Never: this package has a folder above it.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the workspace")
}

/// Cargo, as from a shell.
///
/// What `cargo run` and `cargo test` tell the program that they start about its package is taken out of the environment: build
/// scripts look at it, and would compile everything again each time.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}
