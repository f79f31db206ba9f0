//! The commands for a fleet, on a real control plane with a few nodes, each in another state.

mod again;
mod browser;
mod comparing;
mod large;
mod reading;
mod relay;
mod roles;
mod schedule;
mod terminal;
mod thousand;
mod writing;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use node_annotator_core::GiveUpAfter;
use node_annotator_deploy::{Layout, Settings};
use node_annotator_tests::metadata::{Answer, MetadataServer};
use node_annotator_tests::{Cluster, NodeSpec, Options, annotator_binary, wait};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{COLLECTORS, droplet, install, key, machine, node_of, settings};

const ANCHOR_IP: &str = "digital-ocean-anchor-ip";

/// What the kernel of `reboot-1` says of its boots, one after the other.
pub(crate) const BOOTS: [&str; 4] = [
    "1bd2a6f4-8f0e-4a7b-9d53-0c2b6f1e7a90",
    "77aa01c3-0d5e-4bb1-8a3f-5d1c9e2b4f60",
    "9c40be17-51f7-4e0c-b6a4-0b7f6a3f2d11",
    "e2f8d1aa-6d0b-43a5-8a0e-91b1c5d7e002",
];

/// How a command ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("{self:?}"))
    }
}

/// A command of ours with an administrator's kubeconfig, and an environment of nothing else.
fn command(cluster: &Cluster, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(annotator_binary()?);
    command
        .args(arguments)
        .env_clear()
        .env("NODE_ANNOTATOR_KUBECONFIG", cluster.kubeconfig())
        .process_group(cluster.process_group())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

pub(crate) async fn run(cluster: &Cluster, arguments: &[&str]) -> Result<Ended> {
    let output = command(cluster, arguments)?.output().await.context("cannot start the binary")?;
    Ok(Ended {
        code: output.status.code().context("ended by a signal")?,
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// The state of each collector on each node: `NODE COLLECTOR` to the state, and the reason behind it.
async fn states(cluster: &Cluster, arguments: &[&str]) -> Result<BTreeMap<String, String>> {
    let ended = run(cluster, &[&["status", "-o", "json"], arguments].concat()).await?;
    ensure!(ended.code == 0, "{ended:?}");
    let mut states = BTreeMap::new();
    for node in ended.json()?["nodes"].as_array().into_iter().flatten() {
        for entry in node["collectors"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let why = text(&entry["why"]);
            let colon = if why.is_empty() { "" } else { ": " };
            let key = format!("{} {}", text(&node["name"]), text(&entry["collector"]));
            states.insert(key, format!("{}{colon}{why}", text(&entry["state"])));
        }
    }
    Ok(states)
}

/// Waits until each of these keys has a state that begins so.
async fn wait_for_states(cluster: &Cluster, expected: &[(&str, &str)]) -> Result<BTreeMap<String, String>> {
    wait::until("the expected states", async || {
        let states = states(cluster, &[]).await?;
        for (key, start) in expected {
            let state = states.get(*key).with_context(|| format!("no `{key}` in {states:#?}"))?;
            ensure!(state.starts_with(start), "`{key}` is not `{start}`: {states:#?}");
        }
        Ok(states)
    })
    .await
}

/// What a kubelet tells after a reboot.
pub(crate) async fn tell_boot(cluster: &Cluster, node: &str, boot_id: &str) -> Result<()> {
    let told = json!({"status": {"nodeInfo": {"bootID": boot_id}}});
    let nodes = Api::<Node>::all(cluster.client());
    nodes.patch_status(node, &PatchParams::default(), &Patch::Strategic(told)).await?;
    Ok(())
}

/// One DaemonSet for the three collectors, which tolerates no taint, and gives up soon.
fn impatient() -> Result<Settings> {
    Ok(Settings {
        layout: Layout::Combined,
        give_up_after: GiveUpAfter::Time(Duration::from_secs(8)),
        tolerations: "none".parse()?,
        ..settings(&COLLECTORS.join(","))
    })
}

/// The cluster, and what its machines are made of.
struct Fleet {
    cluster: Cluster,
    metadata: MetadataServer,
    /// The files of the node `reboot-1`.
    root: PathBuf,
    sets: Vec<String>,
}

/// A cluster of nodes in all states: done, given up, stale, left out, and pending for each reason that there
/// can be with a simulated kubelet.
async fn start() -> Result<Fleet> {
    let metadata = MetadataServer::start(Answer::status(500, "out of order")).await?;
    let cluster = Cluster::start(Options::default()).await?;
    for name in ["worker-1", "worker-2", "worker-3"] {
        cluster.add_node(node_of(name, "intel-xeon").label("pool", "a")).await?;
    }
    cluster.add_node(node_of("amd-1", "amd-epyc").label("pool", "b")).await?;
    cluster.add_node(droplet("droplet-1", &metadata)).await?;
    cluster.add_node(node_of("out-1", "intel-xeon").label(&key("opt-out"), "")).await?;
    cluster.add_node(node_of("full-1", "intel-xeon").resource("pods", "0")).await?;
    cluster.add_node(NodeSpec::new("crash-1").env("NODE_ANNOTATOR_HOST_ROOT", "/nowhere")).await?;
    cluster.add_node(node_of("tainted-1", "intel-xeon")).await?;
    let taint =
        json!({"spec": {"taints": [{"key": "example.com/gpu", "value": "a", "effect": "NoSchedule"}]}});
    let nodes = Api::<Node>::all(cluster.client());
    nodes.patch("tainted-1", &PatchParams::default(), &Patch::Merge(taint)).await?;
    let root = add_rebooting(&cluster).await?;
    let sets = install(&cluster, &impatient()?).await?;
    Ok(Fleet { cluster, metadata, root, sets })
}

/// Adds the node `reboot-1`, in its first boot, and returns its root file system, which the test may change.
async fn add_rebooting(cluster: &Cluster) -> Result<PathBuf> {
    let root = cluster.folder().join("reboot-1");
    copy(&machine("intel-xeon"), &root)?;
    boot(&root, BOOTS[0])?;
    let node = NodeSpec::new("reboot-1").env("NODE_ANNOTATOR_HOST_ROOT", root.to_string_lossy());
    cluster.add_node(node).await?;
    Ok(root)
}

/// What the machine's kernel says.
pub(crate) fn boot(root: &Path, boot_id: &str) -> Result<()> {
    fs::create_dir_all(root.join("proc/sys/kernel/random"))?;
    Ok(fs::write(root.join("proc/sys/kernel/random/boot_id"), format!("{boot_id}\n"))?)
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, target) = (entry?, to);
        let target = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.file_type()?.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// One control plane for all commands: what reads comes first.
#[tokio::test]
async fn a_fleet_is_seen_questioned_and_steered() -> Result<()> {
    let fleet = start().await?;
    reading::every_state_is_told_with_its_reason_and_facts_are_shown(&fleet).await?;
    comparing::nodes_are_compared(&fleet).await?;
    writing::what_is_stale_runs_again_once_for_each_boot(&fleet).await?;
    writing::what_was_given_up_or_is_named_runs_again_in_waves(&fleet).await?;
    writing::keys_are_taken_away_and_those_of_others_stay(&fleet).await
}
