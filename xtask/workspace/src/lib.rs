//! The checkout, cargo in it, and where cargo puts things.

pub mod documents;
pub mod static_binary;
mod target;

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

pub use target::{RELEASED, Target};

/// Names the Kubernetes minor version for everything that does not ask for a particular one.
pub const KUBERNETES_VARIABLE: &str = "NODE_ANNOTATOR_TEST_KUBERNETES";

/// The minor versions of Kubernetes that are pinned, the newest last.
pub fn kubernetes_versions() -> io::Result<Vec<String>> {
    let mut versions = Vec::new();
    for entry in root().join("tests/kubernetes").read_dir()? {
        versions.extend(entry?.file_name().into_string().ok());
    }
    versions.retain(|version| !numbers(version).is_empty());
    versions.sort_by_key(|version| numbers(version));
    Ok(versions)
}

/// 1.9 is older than 1.10.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(str::parse).collect::<Result<_, _>>().unwrap_or_default()
}

/// The root of the workspace.
///
/// # Panics
///
/// Never: this package lies two folders below it.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this package lies in the workspace")
}

/// Cargo in the root of the workspace, as from a shell.
pub fn cargo() -> Command {
    let mut cargo = cargo_here();
    cargo.current_dir(root());
    cargo
}

/// Cargo in the folder of the caller, as from a shell.
///
/// `cargo run` and `cargo test` tell the program that they start about its package. That is taken out of the
/// environment: build scripts look at it, and would compile everything again each time.
pub fn cargo_here() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// The target folder of the running executable; that of the checkout when the executable was moved out of
/// one.
pub fn target_folder() -> PathBuf {
    let executable = env::current_exe().unwrap_or_default();
    executable
        .ancestors()
        // Cargo writes this file into every target folder.
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .map_or_else(|| root().join("target"), Path::to_path_buf)
}

/// Prints what went wrong, with its hint and without a backtrace, whatever `RUST_BACKTRACE` says.
pub fn exit_code(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_has_the_lock_file() {
        assert!(root().join("Cargo.lock").is_file());
    }

    #[test]
    fn target_folder_is_cargos() {
        assert!(target_folder().join("CACHEDIR.TAG").is_file());
    }
}
