//! The release binary, linked statically: it runs where there is no other file.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::target::Target;
use crate::{cargo, root, target_folder};

/// What the build script of the binary takes the commit from.
const COMMIT_VARIABLE: &str = "NODE_ANNOTATOR_COMMIT";

/// Builds the static release binary, with the floor that the bench holds it against beside it, and returns
/// its path.
///
/// Cargo shows its progress on stderr, and does nothing when it is built.
pub fn build() -> Result<PathBuf> {
    build_host(None)
}

fn build_host(commit: Option<&str>) -> Result<PathBuf> {
    // Together: they share their dependencies.
    let packages = ["--package", "node-annotator", "--package", "node-annotator-floor"];
    compile(&Target::host()?, &packages, "node-annotator", commit)
}

/// Builds the release binary for a target, with the commit that its `--version` names, and returns its path.
///
/// For Linux it is static, and the same as [`build`] makes but for the commit.
pub fn build_for(target: &Target, commit: Option<&str>) -> Result<PathBuf> {
    if *target == Target::host()? {
        return build_host(commit);
    }
    compile(target, &["--package", "node-annotator"], "node-annotator", commit)
}

/// Builds the same binary without what only an operator runs, and returns the path of a copy.
pub fn build_node_wing() -> Result<PathBuf> {
    let arguments = ["--package", "node-annotator", "--no-default-features", "--features", "dns"];
    let built = compile(&Target::host()?, &arguments, "node-annotator", None)?;
    // The whole binary has the same path in the target folder.
    let copy = built.with_file_name("node-annotator-node-wing");
    fs::copy(&built, &copy).with_context(|| format!("cannot write `{}`", copy.display()))?;
    Ok(copy)
}

/// Builds the same binary without collectors, and returns its path.
pub fn build_engine() -> Result<PathBuf> {
    compile(&Target::host()?, &["--package", "node-annotator-engine"], "node-annotator-engine", None)
}

/// In a target folder of its own: other flags would make every other build start anew. The checkout's place
/// and the user's home are not in the binary, so that the same sources give the same bytes wherever they lie.
fn compile(target: &Target, arguments: &[&str], binary: &str, commit: Option<&str>) -> Result<PathBuf> {
    let folder = target_folder().join("static");
    let mut flags = target.flags();
    let cargo_home = env::var_os("CARGO_HOME")
        .map_or_else(|| Path::new(&env::var_os("HOME").unwrap_or_default()).join(".cargo"), PathBuf::from);
    for (folder, name) in [(root(), "/node-annotator"), (&cargo_home, "/cargo")] {
        flags.push(OsString::from("--remap-path-prefix"));
        flags.push([folder.as_os_str(), "=".as_ref(), name.as_ref()].into_iter().collect());
    }
    let mut cargo = cargo();
    cargo
        .args(["build", "--release", "--bins"])
        .args(arguments)
        // With a target named, the flags do not reach build scripts and macros, which cannot be static.
        .args(["--target", target.triple()])
        .arg("--target-dir")
        .arg(&folder)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f".as_ref()))
        .env_remove(COMMIT_VARIABLE);
    if let Some(commit) = commit {
        cargo.env(COMMIT_VARIABLE, commit);
    }
    if let Some((variable, linker)) = target.linker() {
        cargo.env(variable, linker);
    }
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    let path = folder.join(target.triple()).join("release").join(binary);
    ensure!(path.is_file(), "no such file: `{}`", path.display());
    if *target == Target::host()? {
        ensure_it_starts(&path)?;
    }
    Ok(path)
}

/// Packed addresses are unpacked by the C library that was linked in: glibc 2.36 or newer.
fn ensure_it_starts(path: &Path) -> Result<()> {
    let output = Command::new(path).arg("--version").output().context("cannot start what was built")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "what was built does not start: {}\n{said}\nhint: glibc 2.36 or newer is needed",
        output.status
    );
    Ok(())
}
