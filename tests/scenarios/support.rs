//! What the scenarios share: machines to read, the generated manifests, and a run of the binary outside a
//! pod.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use kube::core::GroupVersionKind;
use kube::discovery;
use node_annotator_collectors as _;
use node_annotator_core::{DoneMark, Registry, Selection};
use node_annotator_deploy::{Layout, Manifests, Settings};
use node_annotator_tests::kubelet::events::{Event, What};
use node_annotator_tests::metadata::{DIGITAL_OCEAN_PATH, MetadataServer};
use node_annotator_tests::{Cluster, NodeSpec, annotator_binary};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

/// The namespace of the generated manifests.
pub(crate) const NAMESPACE: &str = "node-annotator";

/// The three collectors that the scenarios run.
pub(crate) const COLLECTORS: [&str; 3] = ["cpu-model", "digital-ocean-anchor-ip", "kernel"];

/// A key under the default prefix.
pub(crate) fn key(name: &str) -> String {
    format!("k8s.haim.dev/{name}")
}

/// What the done label of a collector says, in the revision that it has.
pub(crate) fn saved(collector: &str) -> String {
    marked(collector, &DoneMark::Saved)
}

/// The same with another mark, such as a generation.
pub(crate) fn marked(collector: &str, mark: &DoneMark) -> String {
    let registry = Registry::from_inventory().expect("the collectors are in order");
    mark.label_value(registry.find(collector).expect("the collector is registered").revision)
}

/// A root file system of the collectors' fixtures.
pub(crate) fn machine(name: &str) -> PathBuf {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../collectors/fixtures")).join(name);
    assert!(path.is_dir(), "no fixture at {}", path.display());
    path
}

/// A node that is one of the collectors' fixtures.
pub(crate) fn node_of(name: &str, fixture: &str) -> NodeSpec {
    NodeSpec::new(name).env("NODE_ANNOTATOR_HOST_ROOT", machine(fixture).to_string_lossy())
}

/// A Droplet whose metadata service is on loopback.
pub(crate) fn droplet(name: &str, metadata: &MetadataServer) -> NodeSpec {
    node_of(name, "droplet").env("DIGITAL_OCEAN_METADATA_URL", metadata.url(DIGITAL_OCEAN_PATH))
}

/// Adds a node, and waits until the controllers have written on it what they write on every new one: from
/// then on its resource version moves for us alone.
pub(crate) async fn add_settled(cluster: &Cluster, node: NodeSpec) -> Result<()> {
    let name = node.name.clone();
    cluster.add_node(node).await?;
    cluster
        .wait_for_node(&name, "what controllers write on a new node", |node| {
            let ttl = annotations(node).contains_key("node.alpha.kubernetes.io/ttl");
            let os = labels(node).contains_key("beta.kubernetes.io/os");
            if ttl && os { Ok(()) } else { Err(format!("{:?}", node.metadata)) }
        })
        .await
}

/// The generator's settings for a selection, with a DaemonSet for each collector; everything else as a user
/// gets it.
pub(crate) fn settings(collectors: &str) -> Settings {
    let registry = Registry::from_inventory().expect("the collectors are linked");
    let selection = Selection::parse(collectors, &registry).expect("a valid selection");
    Settings { layout: Layout::PerCollector, ..Settings::new(selection) }
}

/// Applies generated manifests, and returns the names of their DaemonSets.
pub(crate) async fn install(cluster: &Cluster, settings: &Settings) -> Result<Vec<String>> {
    let manifests = Manifests::new(settings)?;
    cluster.apply_yaml(&manifests.yaml()?).await?;
    Ok(manifests.daemon_sets().filter_map(|set| set.metadata.name.clone()).collect())
}

/// Applies the generated manifests of the three collectors, a DaemonSet for each.
pub(crate) async fn install_all(cluster: &Cluster) -> Result<Vec<String>> {
    install(cluster, &settings(&COLLECTORS.join(","))).await
}

/// Applies the generated manifests of the three collectors, one DaemonSet for all.
pub(crate) async fn install_combined(cluster: &Cluster) -> Result<Vec<String>> {
    install(cluster, &Settings { layout: Layout::Combined, ..settings(&COLLECTORS.join(",")) }).await
}

/// Whether there are mutating policies, as since Kubernetes 1.36; says so where a scenario is left out for
/// want of them.
pub(crate) async fn serves_mutating_policies(cluster: &Cluster) -> bool {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy");
    let is_served = discovery::pinned_kind(&cluster.client(), &kind).await.is_ok();
    if !is_served {
        eprintln!(
            "left out: this API server does not serve MutatingAdmissionPolicy of admissionregistration.k8s.io/v1"
        );
    }
    is_served
}

/// Waits until the DaemonSets want no pod, have none, and no pod of ours is left.
pub(crate) async fn wait_until_gone(cluster: &Cluster, daemon_sets: &[String]) -> Result<()> {
    for name in daemon_sets {
        cluster.wait_until_done(NAMESPACE, name).await?;
    }
    node_annotator_tests::wait::until("all pods to go", async || {
        let left: Vec<_> =
            cluster.pods(NAMESPACE).await?.into_iter().filter_map(|pod| pod.metadata.name).collect();
        if left.is_empty() { Ok(()) } else { Err(anyhow::anyhow!("{}", left.join(", "))) }
    })
    .await
}

/// Waits until a Node has a label.
pub(crate) async fn wait_for_label(cluster: &Cluster, node: &str, name: &str) -> Result<Node> {
    cluster
        .wait_for_node(node, &format!("the label {name}"), |node| {
            if labels(node).contains_key(name) { Ok(node.clone()) } else { Err(format!("{:?}", ours(node))) }
        })
        .await
}

/// The annotations of a Node.
pub(crate) fn annotations(node: &Node) -> &BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    node.metadata.annotations.as_ref().unwrap_or(&NONE)
}

/// The labels of a Node.
pub(crate) fn labels(node: &Node) -> &BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    node.metadata.labels.as_ref().unwrap_or(&NONE)
}

/// All annotations and labels of ours, to compare or to show.
pub(crate) fn ours(node: &Node) -> BTreeMap<String, String> {
    let of = |kind: &'static str, map: &BTreeMap<String, String>| {
        let map = map.iter().filter(|(key, _)| key.starts_with("k8s.haim.dev/"));
        map.map(|(key, value)| (format!("{kind} {key}"), value.clone())).collect::<Vec<_>>()
    };
    of("annotation", annotations(node)).into_iter().chain(of("label", labels(node))).collect()
}

/// How often containers were started, restarts included.
pub(crate) fn starts(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event.what, What::Started { .. })).count()
}

/// How often containers were started again.
pub(crate) fn restarts(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event.what, What::Started { restart: 1.., .. })).count()
}

/// The exit codes of containers that ended, in order.
pub(crate) fn exit_codes(events: &[Event]) -> Vec<i32> {
    let code = |event: &Event| match &event.what {
        What::Exited { exit, .. } => Some(exit.code),
        _ => None,
    };
    events.iter().filter_map(code).collect()
}

/// The binary, run by an administrator against a cluster.
#[derive(Debug)]
pub(crate) struct Run {
    child: Child,
    stderr: BufReader<ChildStderr>,
    log: String,
}

/// How it ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// The JSON report; null when there is none.
    pub(crate) report: Value,
    /// The logs.
    pub(crate) log: String,
}

impl Run {
    /// Starts it for a node, with an environment of nothing else.
    pub(crate) fn start(cluster: &Cluster, node: &NodeSpec, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(annotator_binary()?)
            .args(["--node-name", &node.name, "-o", "json"])
            .args(arguments)
            .env_clear()
            .env("NODE_ANNOTATOR_KUBECONFIG", cluster.kubeconfig())
            .envs(&node.env)
            .process_group(cluster.process_group())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the binary")?;
        let stderr = BufReader::new(child.stderr.take().context("no stderr")?);
        Ok(Self { child, stderr, log: String::new() })
    }

    /// Reads the logs until a line contains the text.
    pub(crate) async fn wait_for_log(&mut self, text: &str) -> Result<()> {
        while !self.log.contains(text) {
            let read = self.stderr.read_line(&mut self.log).await?;
            anyhow::ensure!(read > 0, "ended without saying `{text}`:\n{}", self.log);
        }
        Ok(())
    }

    /// Kills it with SIGKILL.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("cannot kill the binary")
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Result<Ended> {
        let mut stdout = String::new();
        let mut pipe = self.child.stdout.take().context("no stdout")?;
        tokio::try_join!(pipe.read_to_string(&mut stdout), self.stderr.read_to_string(&mut self.log))?;
        let code = self.child.wait().await?.code();
        let report = serde_json::from_str(&stdout).unwrap_or_default();
        Ok(Ended { code, report, log: self.log })
    }
}

/// Runs it to its end.
pub(crate) async fn run(cluster: &Cluster, node: &NodeSpec, arguments: &[&str]) -> Result<Ended> {
    Run::start(cluster, node, arguments)?.ended().await
}

/// The policy is what it was, whatever a component put around it.
pub(crate) async fn doctor_passes(cluster: &Cluster) -> Result<()> {
    node_annotator_tests::wait::until("doctor to pass", async || {
        let output = Command::new(annotator_binary()?)
            .arg("doctor")
            .env_clear()
            .env("NODE_ANNOTATOR_KUBECONFIG", cluster.kubeconfig())
            .process_group(cluster.process_group())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        Ok(())
    })
    .await
}
