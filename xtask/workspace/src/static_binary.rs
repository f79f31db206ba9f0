//! The release binary, linked statically: it runs where there is no other file.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{target, workspace};

/// Builds the static release binary and returns its path. Cargo shows its progress on stderr, and does nothing when it is built.
///
/// In a target folder of its own: other flags would make every other build start anew. The checkout's place and the user's
/// home are not in it, so that the same sources give the same bytes wherever they lie.
pub fn build() -> Result<PathBuf> {
    let triple = host_triple()?;
    let folder = target::target_folder().join("static");
    let mut flags = vec![
        OsString::from("-Ctarget-feature=+crt-static"),
        // A program that may lie anywhere in memory has 16,000 addresses to adjust at its start: 8 kB instead of 390.
        OsString::from("-Clink-arg=-Wl,-z,pack-relative-relocs"),
    ];
    let cargo_home = env::var_os("CARGO_HOME")
        .map_or_else(|| Path::new(&env::var_os("HOME").unwrap_or_default()).join(".cargo"), PathBuf::from);
    for (folder, name) in [(workspace::root(), "/node-annotator"), (&cargo_home, "/cargo")] {
        flags.push(OsString::from("--remap-path-prefix"));
        flags.push([folder.as_os_str(), "=".as_ref(), name.as_ref()].into_iter().collect());
    }
    let status = workspace::cargo()
        // The floor that the bench holds the binary against shares its dependencies.
        .args([
            "build",
            "--release",
            "--package",
            "node-annotator",
            "--package",
            "node-annotator-floor",
            "--bins",
        ])
        // With a target named, the flags do not reach build scripts and macros, which cannot be static.
        .args(["--target", &triple])
        .arg("--target-dir")
        .arg(&folder)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f".as_ref()))
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    let path = folder.join(triple).join("release/node-annotator");
    ensure!(path.is_file(), "no such file: `{}`", path.display());
    ensure_it_starts(&path)?;
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

/// Builds, and reads what was built.
pub fn read() -> Result<Vec<u8>> {
    let path = build()?;
    fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn host_triple() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not tell its host")?.to_owned())
}
