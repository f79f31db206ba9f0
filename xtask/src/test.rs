//! `cargo xtask test`: everything that has to pass.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use xtask_workspace::{KUBERNETES_VARIABLE, kubernetes_versions};

use crate::step;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave out the scenarios that need a real control plane, and with them Go
    #[arg(long)]
    no_cluster: bool,
    /// An older Kubernetes minor version, such as 1.35: admission and run-once on it, and nothing else; or
    /// `all`: everything on the newest, and then those on each of the others
    #[arg(long, value_name = "MINOR", conflicts_with = "no_cluster")]
    kubernetes: Option<String>,
    /// Only tests whose name contains this
    filter: Option<String>,
}

/// The crate that stands for those of other people: it is not in the workspace.
const OUT_OF_TREE: [&str; 2] = ["--manifest-path", "collectors/examples/out-of-tree/Cargo.toml"];

/// What it does not inherit. With it, and with the versions and the target folder of the workspace, cargo
/// finds most of its dependencies compiled.
const AS_IN_THE_WORKSPACE: [&str; 6] = [
    "--config",
    "profile.dev.debug=\"line-tables-only\"",
    "--config",
    "profile.dev.package.\"*\".debug=false",
    "--config",
    "patch.crates-io.jsonpath-rust.path=\"annotator-bin/jsonpath\"",
];

/// One thing that has to pass.
struct Step {
    title: String,
    arguments: Vec<&'static str>,
    /// The Kubernetes minor version, if it is not the newest.
    kubernetes: Option<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut times = Vec::new();
    lock_out_of_tree()?;
    for step in steps(options)? {
        let elapsed = step::run(&step.title, &mut command(&step, options))?;
        times.push((step.title, elapsed));
    }
    eprintln!("\nall passed");
    for (title, elapsed) in times {
        eprintln!("{:>7.1} s  {title}", elapsed.as_secs_f64());
    }
    eprintln!("{:>7.1} s  in all", started.elapsed().as_secs_f64());
    if options.no_cluster {
        eprintln!("left out: the scenarios on a real control plane and on a real node (--no-cluster)");
    }
    Ok(())
}

fn steps(options: &Options) -> anyhow::Result<Vec<Step>> {
    let pinned = kubernetes_versions().context("cannot list what is pinned")?;
    let (newest, older) = pinned.split_last().context("no version of Kubernetes is pinned")?;
    Ok(match options.kubernetes.as_deref() {
        None => on_the_newest(options),
        Some(minor) if minor == newest => on_the_newest(options),
        Some(ALL) => on_the_newest(options).into_iter().chain(on_older(older)).collect(),
        Some(minor) if older.iter().any(|older| older == minor) => on_older(&[minor.to_owned()]),
        Some(minor) => bail!("Kubernetes {minor} is not pinned; it is one of {}", pinned.join(", ")),
    })
}

/// What depends on the version of Kubernetes, on versions that are not the newest.
fn on_older(minors: &[String]) -> Vec<Step> {
    let scenarios = ["test", "--workspace", "--features", CLUSTER, "--test", "scenarios", "--"];
    let of_version = |minor: &String| Step {
        kubernetes: Some(minor.clone()),
        ..step(
            &format!("admission and run-once on Kubernetes {minor}"),
            &[&scenarios[..], &ON_EVERY_VERSION].concat(),
        )
    };
    [binary()].into_iter().chain(minors.iter().map(of_version)).collect()
}

fn on_the_newest(options: &Options) -> Vec<Step> {
    // Always the whole workspace: with fewer packages cargo would pick other features and compile everything
    // again.
    let mut steps = vec![
        step("format", &["fmt", "--all", "--check"]),
        step(
            "lint",
            &["clippy", "--workspace", "--all-targets", "--all-features", "--", "--deny", "warnings"],
        ),
        step(
            "lint of the node's wing alone",
            &["clippy", "--package", "node-annotator", "--no-default-features", "--", "--deny", "warnings"],
        ),
        step("unit tests", &["test", "--workspace", "--no-fail-fast"]),
        step("a crate of other people: format", &[&["fmt", "--check"], &OUT_OF_TREE[..]].concat()),
        step(
            "a crate of other people: tests",
            &[&["test"], &OUT_OF_TREE[..], &AS_IN_THE_WORKSPACE[..]].concat(),
        ),
        step("documentation", &["doc", "--workspace", "--no-deps", "--document-private-items"]),
        step("book", &["xtask", "book"]),
    ];
    if options.filter.is_none() {
        steps.push(step("packaged crates", &["xtask", "packages", "--quick"]));
    }
    if !options.no_cluster {
        steps.push(binary());
        for (title, target) in [("scenarios", "scenarios"), ("scenarios on a real node", "real_node")] {
            steps.push(step(title, &["test", "--workspace", "--features", CLUSTER, "--test", target]));
        }
        if options.filter.is_none() {
            steps.push(step("demo", &["xtask", "demo"]));
            steps.push(step("bench", &["xtask", "bench", "--short"]));
            // Behind the bench, which has built the static binary.
            steps.push(step("release", &["xtask", "dist", "--check"]));
            steps.push(step("what other programs find", &["xtask", "audit"]));
        }
    }
    steps
}

/// The scenarios start the binary as it is built, so it has to be.
fn binary() -> Step {
    step("binary", &["build", "--workspace", "--bins"])
}

fn step(title: &str, arguments: &[&'static str]) -> Step {
    Step { title: title.to_owned(), arguments: arguments.to_vec(), kubernetes: None }
}

const CLUSTER: &str = "node-annotator-tests/cluster";

/// In place of a version.
const ALL: &str = "all";

/// What has to pass on every version that is pinned.
const ON_EVERY_VERSION: [&str; 2] = ["attack::", "run_once::"];

/// Gives the crate the versions of the workspace. Its own lock file is not committed: as with any library,
/// others have theirs.
fn lock_out_of_tree() -> anyhow::Result<()> {
    let root = xtask_workspace::root();
    let lock = root.join(OUT_OF_TREE[1]).with_file_name("Cargo.lock");
    fs::copy(root.join("Cargo.lock"), &lock).with_context(|| format!("cannot write `{}`", lock.display()))?;
    Ok(())
}

fn command(step: &Step, options: &Options) -> Command {
    let mut command = xtask_workspace::cargo();
    command.args(&step.arguments);
    if step.arguments.ends_with(&AS_IN_THE_WORKSPACE) {
        command.env("CARGO_TARGET_DIR", xtask_workspace::target_folder());
    }
    match step.arguments[0] {
        "doc" => {
            command.env("RUSTDOCFLAGS", "--deny warnings");
        }
        // What has filters of its own takes no other.
        "test" if !step.arguments.contains(&"--") => {
            command.args(&options.filter);
        }
        _ => {}
    }
    if let Some(minor) = &step.kubernetes {
        command.env(KUBERNETES_VARIABLE, minor);
    }
    command
}
