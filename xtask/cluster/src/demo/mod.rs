//! `cargo xtask demo`: a local cluster, the generated DaemonSets, and what happens, as it happens.

mod machines;
mod pictures;
mod screen;
mod stage;
mod story;
mod table;

use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use node_annotator_core::{Prefix, Registry, Selection};
use node_annotator_deploy::{Layout, Manifests, Settings};
use node_annotator_tests::Cluster;
use node_annotator_tests::binaries::{Binaries, Tool};
use tokio::signal::ctrl_c;

use self::machines::{Machines, THIS_MACHINE};
use self::screen::Screen;
use self::stage::{Kubelet, Stage};
use self::story::Story;

/// What the demo selects.
const COLLECTORS: &str = "cpu-model,kernel,digital-ocean-anchor-ip";

/// Three collectors on each of four nodes.
const RUNS: usize = 12;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave the cluster running at the end, and print how to reach it, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Simulate the kubelet of this machine too, which needs no root and no container runtime
    #[arg(long)]
    simulated: bool,
    /// Write what was shown as a picture (SVG)
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write into this folder what the commands for a fleet show of it: `fleet.svg`, and `report.png`, for
    /// which Chromium is needed
    #[arg(long, value_name = "FOLDER")]
    record_fleet: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    build_binary()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let shown = runtime.block_on(async {
        tokio::select! {
            shown = show(options) => shown,
            // The cluster is dropped with the other branch, and takes all its processes with it.
            _ = ctrl_c() => {
                eprintln!("\ninterrupted; the cluster is gone");
                Ok(())
            }
        }
    });
    match shown {
        // Whoever has seen enough (`| head`) does not want to hear of it.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        shown => shown,
    }
}

/// Builds the binary that simulated kubelets start, as it is in the checkout now.
///
/// Named as a binary and not as a package: with one package cargo would pick other features, and compile the
/// dependencies once more.
fn build_binary() -> Result<()> {
    let mut cargo = xtask_workspace::cargo();
    cargo.args(["build", "--bin", "node-annotator"]);
    ensure!(cargo.status().context("cannot start cargo")?.success(), "the binary does not build");
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn show(options: &Options) -> Result<()> {
    let Options { keep, simulated, record, record_fleet } = options;
    let kubelet = Kubelet::prepare(*simulated).await?;
    let screen = Screen::new();
    screen
        .heading("starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and the nodes")?;
    screen.note(&format!("{THIS_MACHINE:<12}  {kubelet}"))?;
    let stage = Stage::start(kubelet).await?;
    let cluster = stage.cluster();
    let machines = Machines::start().await?;
    for (node, what) in machines.nodes() {
        screen.note(&format!("{:<12}  {what}", node.name))?;
        cluster.add_node(node).await?;
    }
    screen.note("the nodes are ready")?;

    screen.heading("applying the generated manifests: a DaemonSet for each collector")?;
    let selection = Selection::parse(COLLECTORS, &Registry::from_inventory()?)?;
    let mut story = Story::new(cluster, &screen);
    tokio::try_join!(apply(cluster, &selection, &screen), story.tell(RUNS))?;
    screen.note("all nodes are done, and all pods are gone")?;

    screen.heading("the nodes now")?;
    let prefix = Prefix::default();
    screen.line(&table::of_nodes(cluster, &selection, &prefix).await?.to_string())?;

    let label = prefix.done("kernel");
    screen.heading(&format!("taking one label away: kubectl label node {THIS_MACHINE} {label}-"))?;
    tokio::try_join!(cluster.label_node(THIS_MACHINE, &label, None), story.tell(1))?;
    screen.note("it ran again there, and only there")?;

    if let Some(path) = record {
        screen.record(path)?;
    }
    if let Some(folder) = record_fleet {
        pictures::record(cluster, folder).await?;
        screen.note("the pictures of the fleet are written")?;
    }
    if *keep {
        return show_how_to_reach(cluster, &screen).await;
    }
    screen.heading("cleaning up; --keep leaves it running")
}

async fn apply(cluster: &Cluster, selection: &Selection, screen: &Screen) -> Result<()> {
    // A pod for each collector shows more.
    let settings = Settings { layout: Layout::PerCollector, ..Settings::new(selection.clone()) };
    let manifests = Manifests::new(&settings)?;
    for set in manifests.daemon_sets() {
        let name = set.metadata.name.as_deref().unwrap_or_default();
        screen.note(&format!("DaemonSet {name}"))?;
    }
    cluster.apply_yaml(&manifests.yaml()?).await?;
    Ok(())
}

/// Leaves the cluster running until Ctrl-C.
async fn show_how_to_reach(cluster: &Cluster, screen: &Screen) -> Result<()> {
    let obtain = || Binaries::obtain(None, &[Tool::Kubectl]);
    let kubectl = tokio::task::spawn_blocking(obtain).await.context("the build panicked")??;
    screen.heading("running until Ctrl-C; in another shell")?;
    screen.line(&format!("export KUBECONFIG={}", cluster.kubeconfig().display()))?;
    screen.line(&format!("alias kubectl={}", kubectl.path(Tool::Kubectl).display()))?;
    screen.line("kubectl get nodes -L k8s.haim.dev/kernel")?;
    std::future::pending().await
}
