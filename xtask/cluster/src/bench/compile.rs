//! What it costs to build, and to start doing nothing.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use xtask_workspace::static_binary;

use super::figures::{Figure, Figures, Unit};
use super::process::{Program, interleaved, median};
use super::progress;

const SUBJECT: &str = "compile";

pub(super) fn measure(figures: &mut Figures, rounds: usize) -> Result<()> {
    let crates = crates()?;
    figures.add(Figure::count(SUBJECT, "crates in the binary", crates));
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    // With downloads done before: what is measured is the compiler.
    for title in ["dev build, cold", "dev build, nothing changed", "dev build, one collector changed"] {
        progress(title);
        if title.ends_with("changed") && !title.contains("nothing") {
            touch("collectors/src/kernel/mod.rs")?;
        }
        let started = Instant::now();
        let mut cargo = xtask_workspace::cargo();
        cargo.args(["build", "--quiet", "--package", "node-annotator", "--bins", "--target-dir"]);
        let status = cargo.arg(folder.path()).status()?;
        ensure!(status.success(), "cargo build: {status}");
        figures.add(Figure::new(SUBJECT, title, started.elapsed().as_secs_f64(), Unit::Seconds));
    }
    let help = Program {
        name: "node-annotator",
        path: static_binary::build()?,
        arguments: vec!["--help".into()],
        environment: Vec::new(),
    };
    let samples = interleaved(&[&help], rounds)?;
    let wall = median(&samples[0], |sample| sample.wall);
    figures.add(Figure::new(SUBJECT, "--help, median", wall, Unit::Milliseconds));
    Ok(())
}

/// What is linked: build scripts, macros and tests are not.
fn crates() -> Result<usize> {
    let mut cargo = xtask_workspace::cargo();
    cargo.args([
        "tree",
        "--package",
        "node-annotator",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
    ]);
    let output = cargo.output().context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let names = text.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    Ok(names.collect::<BTreeSet<_>>().len())
}

fn touch(path: &str) -> Result<()> {
    let path = xtask_workspace::root().join(path);
    let file = std::fs::File::options().append(true).open(&path).context("cannot open a source file")?;
    Ok(file.set_modified(std::time::SystemTime::now())?)
}
