//! `cargo xtask try`: everything that a new or changed collector has to go through before `cargo xtask test`.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::forward::Program;
use crate::step::{self, shown};

/// The binary's exit code when a collector failed on this machine.
const COLLECTOR_FAILED: i32 = 3;

/// The collectors; and the packages that depend on everything, so that cargo picks the features that all
/// other commands have too, and compiles no dependency again.
const PACKAGES: [&str; 6] =
    ["--package", "node-annotator-collectors", "--package", "xtask-cluster", "--package", "xtask-dist"];

/// All tests of the collectors.
const TESTS: [&str; 5] = ["--lib", "--test", "contract", "--test", "field"];

/// What may change: sources by the formatter, golden files by the tests, the rest is generated.
const CHANGED: [&str; 5] = ["collectors", "docs", "deploy/kubernetes", "deploy/per-collector", "README.md"];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The collector, as in `--collectors`
    name: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { name } = options;
    let started = Instant::now();
    ensure_there_is(name)?;
    let cargo = |arguments: &[&str]| {
        let mut cargo = xtask_workspace::cargo();
        cargo.args(arguments);
        cargo
    };
    step::run("format", &mut cargo(&["fmt", "--all"]))?;
    let lint = ["--profile", "test", "--", "--deny", "warnings"];
    step::run("lint", cargo(&["clippy"]).args(PACKAGES).args(TESTS).args(lint))?;
    let mut tests = cargo(&["test", "--no-fail-fast"]);
    // Golden files are written, to be read: see the end.
    tests.args(PACKAGES).args(TESTS).env("INSTA_UPDATE", "always");
    step::run("tests of the collectors; golden files are written anew", &mut tests)?;
    show(cargo(&["run", "--bin", "node-annotator", "--", "--dry-run", "--collectors", name]))?;
    step::run("docs", &mut Program::Generate.cargo("gen-docs"))?;
    step::run("manifests", &mut Program::Generate.cargo("gen-manifests"))?;
    eprintln!("\nall done in {:.0} s", started.elapsed().as_secs_f64());
    tell_what_changed()
}

/// A name without a file would be noticed minutes later.
fn ensure_there_is(name: &str) -> Result<()> {
    let path = xtask_workspace::root().join("collectors/src").join(name.replace('-', "_"));
    ensure!(
        path.is_dir() || path.with_extension("rs").is_file(),
        "there is no collector `{name}`: neither {0}.rs nor {0}/mod.rs is there\nhint: cargo xtask new-collector {name}",
        path.display()
    );
    Ok(())
}

/// Shows the collector on this machine, where it may well fail.
fn show(mut command: Command) -> Result<()> {
    eprintln!("\n== on this machine ==");
    let status = command.status().context("cannot start cargo")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(COLLECTOR_FAILED) => {
            eprintln!("it fails on this machine; see the report above");
            Ok(())
        }
        _ => bail!("the dry run ended with {status}\nhint: repeat it alone with `{}`", shown(&command)),
    }
}

fn tell_what_changed() -> Result<()> {
    let mut git = Command::new("git");
    git.args(["status", "--short", "--"]).args(CHANGED).current_dir(xtask_workspace::root());
    // A copy of the sources without git, or a machine without it, can be tried too.
    let Ok(output) = git.output() else { return Ok(()) };
    let text = String::from_utf8(output.stdout).context("git printed no UTF-8")?;
    if !text.is_empty() {
        eprintln!(
            "changed; read the golden files with `git diff`, they say whether the collector is right:\n{text}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_has_a_file_or_a_folder() {
        ensure_there_is("kernel").unwrap();
        ensure_there_is("dns-name").unwrap();
        let error = ensure_there_is("kernal").unwrap_err().to_string();
        assert!(error.starts_with("there is no collector `kernal`"), "{error}");
    }
}
