//! The Helm chart, by the real helm in its third and its fourth version.

mod artifact;
mod release;
mod rendered;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use node_annotator_tests::Cluster;
use node_annotator_tests::binaries::{Binaries, Tool};
use serde_json::Value;

/// Both versions, since people have either.
const VERSIONS: [Tool; 2] = [Tool::Helm3, Tool::Helm4];

/// The chart of this checkout.
fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/helm/node-annotator")
}

/// One of them, with a home of its own.
#[derive(Clone)]
struct Helm {
    program: PathBuf,
    home: PathBuf,
    kubeconfig: Option<PathBuf>,
    group: Option<i32>,
}

/// How a command ended, and what it said.
#[derive(Debug)]
struct Said {
    is_success: bool,
    stdout: String,
    stderr: String,
}

impl Helm {
    /// One that knows no cluster; builds it when it was never built.
    fn alone(tool: Tool, home: &Path) -> Result<Self> {
        let program = Binaries::obtain(None, &[tool])?.path(tool);
        Ok(Self { program, home: home.to_owned(), kubeconfig: None, group: None })
    }

    /// One with an administrator's rights on a cluster.
    async fn of(cluster: &Cluster, tool: Tool) -> Result<Self> {
        let home = cluster.folder().join(tool.name());
        let alone = tokio::task::spawn_blocking(move || Self::alone(tool, &home)).await??;
        Ok(Self { kubeconfig: Some(cluster.kubeconfig()), group: Some(cluster.process_group()), ..alone })
    }

    /// Runs a command that has to succeed, while the simulated nodes go on, and returns what it printed.
    async fn on(&self, arguments: &[impl AsRef<str>]) -> Result<String> {
        let arguments: Vec<_> = arguments.iter().map(|word| word.as_ref().to_owned()).collect();
        let helm = self.clone();
        let run = move || helm.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await?
    }

    /// Runs a command to its end.
    fn say(&self, arguments: &[&str]) -> Result<Said> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().env("HOME", &self.home).stdin(Stdio::null());
        command.env("KUBECONFIG", self.kubeconfig.as_deref().unwrap_or(Path::new("/nowhere")));
        if let Some(group) = self.group {
            std::os::unix::process::CommandExt::process_group(&mut command, group);
        }
        let output = command.output().context("cannot start helm")?;
        Ok(Said {
            is_success: output.status.success(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Runs a command that has to succeed, and returns what it printed.
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let said = self.say(arguments)?;
        ensure!(said.is_success, "helm {arguments:?}: {said:?}");
        Ok(said.stdout)
    }

    /// Runs a command that has to fail, and returns what it complained of.
    fn refuse(&self, arguments: &[&str]) -> Result<String> {
        let said = self.say(arguments)?;
        ensure!(!said.is_success, "helm {arguments:?} succeeded: {said:?}");
        Ok(said.stderr)
    }
}

/// The objects in what `helm template` prints, those of lists one by one.
fn objects(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| anyhow::anyhow!("{error}"))?;
    let flat =
        documents.into_iter().filter(|document| !document.is_null()).flat_map(|document| {
            match document["items"].as_array() {
                Some(items) => items.clone(),
                None => vec![document],
            }
        });
    Ok(flat.collect())
}
