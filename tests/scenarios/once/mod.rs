//! Tasks on a real control plane: what `once` prints is applied as it is, and the steps run as processes.

mod again;
mod attack;
mod facts;
mod levels;
mod running;
mod setup;

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use node_annotator_tests::{Cluster, NodeSpec, Options, annotator_binary, wait};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::support::{annotations, key, labels};

/// How a command ended, and what it printed.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// A command of ours with an administrator's kubeconfig, and an environment of nothing else.
async fn run(cluster: &Cluster, arguments: &[&str], input: &str) -> Result<Ended> {
    let mut child = Command::new(annotator_binary()?)
        .args(arguments)
        .env_clear()
        .env("NODE_ANNOTATOR_KUBECONFIG", cluster.kubeconfig())
        .process_group(cluster.process_group())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the binary")?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    // One that does not read it may be gone already.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await?;
    Ok(Ended {
        code: output.status.code().context("ended by a signal")?,
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// What `once` prints for a task.
async fn printed(cluster: &Cluster, arguments: &[&str], input: &str) -> Result<String> {
    let ended = run(cluster, &[&["once"], arguments].concat(), input).await?;
    ensure!(ended.code == 0, "{ended:?}");
    Ok(ended.stdout)
}

/// Prints a task and applies it.
async fn apply(cluster: &Cluster, arguments: &[&str], input: &str) -> Result<()> {
    cluster.apply_yaml(&printed(cluster, arguments, input).await?).await?;
    Ok(())
}

/// A task that gives a script to a shell.
async fn apply_script(cluster: &Cluster, name: &str, options: &[&str], script: &str) -> Result<()> {
    let command = ["--image=busybox", "--", "sh", "-c", script];
    apply(cluster, &[&[name], options, &command].concat(), "").await
}

/// Waits until nothing of a task is left but what it wrote.
async fn wait_until_gone(cluster: &Cluster, name: &str) -> Result<()> {
    let namespace = format!("once-{name}");
    cluster.wait_until_done(&namespace, &format!("node-annotator-{name}")).await?;
    wait::until("all pods to go", async || {
        let left = cluster.pods(&namespace).await?;
        ensure!(left.is_empty(), "{} left", left.len());
        Ok(())
    })
    .await
}

/// Waits until a label of a node has a value; any if none is given.
async fn wait_for_label(cluster: &Cluster, node: &str, name: &str) -> Result<Node> {
    crate::support::wait_for_label(cluster, node, &key(name)).await
}

/// How often the Node was written since there were that many requests of ours.
async fn writes(cluster: &Cluster) -> Result<usize> {
    Ok(cluster.annotator_requests().await?.iter().filter(|request| request.code() == 200).count())
}

async fn cluster() -> Result<Cluster> {
    let cluster = Cluster::start(Options::default()).await?;
    cluster.add_node(NodeSpec::new("n1")).await?;
    Ok(cluster)
}

/// An annotation under our prefix.
fn fact<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    annotations(node).get(&key(name)).map(String::as_str)
}

/// A label under our prefix.
fn mark<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    labels(node).get(&key(name)).map(String::as_str)
}

fn states(text: &str) -> Result<Vec<(String, String, String)>> {
    let report: Value = serde_json::from_str(text)?;
    let nodes = report["nodes"].as_array().context("no nodes")?.iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = nodes.flat_map(|node| {
        let entries = node["collectors"].as_array().into_iter().flatten();
        entries
            .map(|entry| (text(&node["name"]), text(&entry["state"]), text(&entry["why"])))
            .collect::<Vec<_>>()
    });
    Ok(entries.collect())
}
