//! What the binary says, without any network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Facts by name, such as `cpu-model.vendor`.
pub(crate) type Facts = BTreeMap<String, String>;

/// Labels by key; `None` for those that this machine does not have.
pub(crate) type Labels = BTreeMap<String, Option<String>>;

/// What a collector may need of a network.
const NETWORK: [&str; 2] = ["cloud metadata service", "DNS"];

#[derive(Deserialize)]
struct Listed {
    name: String,
    needs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    collectors: Vec<Entry>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    labels_left_out: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    facts: Facts,
}

/// Builds the binary, with the features that the other commands have.
pub(crate) fn build() -> Result<()> {
    let mut cargo = xtask_workspace::cargo();
    let status = cargo.args(["build", "--quiet", "--bin", "node-annotator"]).status();
    ensure!(status.context("cannot start cargo")?.success(), "the binary does not compile");
    Ok(())
}

/// The collectors that need no network, as `--collectors` takes them.
pub(crate) fn local_collectors() -> Result<String> {
    let listed: Vec<Listed> = json(command().args(["list", "-o", "json"]))?;
    let is_local = |collector: &&Listed| !collector.needs.iter().any(|need| NETWORK.contains(&need.as_str()));
    let names = listed.iter().filter(is_local).map(|collector| &*collector.name);
    Ok(names.collect::<Vec<_>>().join(","))
}

/// What they say of this machine, or of a recorded one.
pub(crate) fn facts(collectors: &str, root: Option<&Path>) -> Result<Facts> {
    let mut run = command();
    run.args(["run", "--dry-run", "-o", "json", "--collectors", collectors]);
    if let Some(root) = root {
        run.arg("--host-root").arg(root);
    }
    let report: Report = json(&mut run)?;
    Ok(report.collectors.into_iter().flat_map(|entry| entry.facts).collect())
}

/// The labels of Node Feature Discovery that they tell of this machine.
pub(crate) fn nfd_labels(collectors: &str) -> Result<Labels> {
    let mut run = command();
    run.args(["run", "--dry-run", "-o", "json", "--labels", "nfd", "--collectors", collectors]);
    let Report { labels, labels_left_out, .. } = json(&mut run)?;
    let left_out = labels_left_out.into_keys().map(|key| (key, None));
    Ok(labels.into_iter().map(|(key, value)| (key, Some(value))).chain(left_out).collect())
}

fn command() -> Command {
    let mut command = Command::new(binary());
    // Options are variables too; those of the shell are not meant.
    command.env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn binary() -> PathBuf {
    xtask_workspace::target_folder().join("debug/node-annotator")
}

/// A failed collector is an exit code, and said in the output.
fn json<T: for<'a> Deserialize<'a>>(command: &mut Command) -> Result<T> {
    let output = command.output().with_context(|| format!("cannot start `{}`", binary().display()))?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("`{}` printed no JSON and ended with {}", binary().display(), output.status))
}
