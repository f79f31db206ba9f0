//! `cargo xtask demo`: a local cluster, the generated DaemonSets, and what happens, as it happens.

mod machines;
mod story;
mod table;

use anyhow::{Context, Result};
use clap::Args;
use node_annotator_core::{Prefix, Registry, Selection};
use node_annotator_deploy::{Manifests, Settings};
use node_annotator_tests::binaries::{Binaries, Tool};
use node_annotator_tests::{Cluster, Options as ClusterOptions};
use tokio::signal::ctrl_c;

use self::machines::Machines;
use self::story::{Clock, Story};
use crate::workspace;

/// What each part of the demo selects.
const EVERYWHERE: &str = "cpu-model,kernel";
const ON_DROPLETS: &str = "digital-ocean-anchor-ip";

/// Two collectors on each of four nodes, and one on the Droplet.
const RUNS: usize = 9;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave the cluster running at the end, and print how to reach it, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    workspace::build_binary()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            shown = show(options) => shown,
            // The cluster is dropped with the other branch, and takes all its processes with it.
            _ = ctrl_c() => {
                eprintln!("\ninterrupted; the cluster is gone");
                Ok(())
            }
        }
    })
}

async fn show(options: &Options) -> Result<()> {
    heading("starting etcd, kube-apiserver, kube-controller-manager and kube-scheduler");
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let clock = Clock::start();
    let mut story = Story::new(&cluster, clock);

    heading("adding nodes; their kubelet is simulated, and starts the real binary as a process");
    let machines = Machines::start().await?;
    for (node, what) in machines.nodes() {
        clock.note(&format!("{:<12}  {what}", node.name));
        cluster.add_node(node).await?;
    }

    heading("applying the generated manifests: a DaemonSet for each collector");
    let registry = Registry::from_inventory()?;
    tokio::try_join!(apply(&cluster, &registry, clock), story.tell(RUNS))?;
    clock.note("all nodes are done, and all pods are gone");

    heading("the nodes now");
    let prefix = Prefix::default();
    println!("{}", table::of_nodes(&cluster, &registry, &prefix).await?);

    let label = prefix.done("kernel");
    heading(&format!("taking one label away: kubectl label node {} {label}-", machines::THIS_MACHINE));
    tokio::try_join!(cluster.label_node(machines::THIS_MACHINE, &label, None), story.tell(1))?;
    clock.note("it ran again there, and only there");

    if options.keep {
        keep(&cluster).await?;
    }
    heading("cleaning up; --keep leaves it running");
    Ok(())
}

async fn apply(cluster: &Cluster, registry: &Registry, clock: Clock) -> Result<()> {
    for settings in selections(registry)? {
        let manifests = Manifests::new(&settings)?;
        cluster.apply_yaml(&manifests.yaml()?).await?;
        for set in manifests.daemon_sets() {
            clock.note(&format!("DaemonSet {} is applied", set.metadata.name.as_deref().unwrap_or_default()));
        }
    }
    Ok(())
}

/// What runs everywhere, and what runs only on nodes that carry a label of the operator's.
fn selections(registry: &Registry) -> Result<[Settings; 2]> {
    let everywhere = Settings::new(Selection::parse(EVERYWHERE, registry)?);
    let mut droplets = Settings::new(Selection::parse(ON_DROPLETS, registry)?);
    let (key, value) = machines::DROPLET_LABEL;
    droplets.node_selector.insert(key.to_owned(), value.to_owned());
    Ok([everywhere, droplets])
}

async fn keep(cluster: &Cluster) -> Result<()> {
    let obtain = || Binaries::obtain(None, &[Tool::Kubectl]);
    let kubectl = tokio::task::spawn_blocking(obtain).await.context("the build panicked")??;
    heading("running until Ctrl-C; in another shell");
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("alias kubectl={}", kubectl.path(Tool::Kubectl).display());
    println!("kubectl get nodes -L k8s.haim.dev/kernel");
    std::future::pending().await
}

fn heading(text: &str) {
    println!("\n== {text}");
}
