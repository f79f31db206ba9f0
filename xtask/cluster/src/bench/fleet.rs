//! Fleets of simulated nodes on a real control plane: what it costs until all are done, and what it costs
//! afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use node_annotator_core::{DoneMark, Registry, Selection};
use node_annotator_deploy::{Layout, Manifests, Settings};
use node_annotator_tests::audit::Request;
use node_annotator_tests::control_plane::ControlPlaneOptions;
use node_annotator_tests::kubelet::events::What;
use node_annotator_tests::kubelet::runtime::Runtime;
use node_annotator_tests::kubelet::{Backoff, InProcess};
use node_annotator_tests::{Cluster, NodeSpec, Options as ClusterOptions};

use super::figures::{Figure, Figures, Unit, float};
use super::gate::Gate;
use super::growth::exponent;
use super::progress;
use super::server::Snapshot;
use crate::recorded;

/// What the fleets run; a Droplet's collector finds out by itself that it is on none.
const COLLECTORS: &str = "default";

/// What the fleets run that run again: it is about what their writes meet, and more collectors would keep the
/// machine busy that the servers run on.
const COLLECTORS_AGAIN: &str = "kernel";

/// A set for each collector makes thrice the pods: beyond this many nodes it would only tell the same again.
const MOST_NODES_PER_COLLECTOR: usize = 1000;

const SILENCE: Duration = Duration::from_mins(1);

/// Far more than the largest fleet takes.
const PATIENCE: Duration = Duration::from_mins(20);

/// How often progress is told.
const TICK: Duration = Duration::from_secs(5);

/// What one roll-out cost.
#[derive(Debug)]
struct Cost {
    seconds: f64,
    requests: f64,
    cpu_seconds: f64,
    store_bytes: f64,
}

/// Each size once, combined and with a set for each collector; then a minute of silence in the largest.
pub(super) async fn measure(figures: &mut Figures, sizes: &[usize]) -> Result<()> {
    let mut sizes = sizes.to_vec();
    sizes.sort_unstable();
    let mut costs = Vec::new();
    for nodes in &sizes {
        if *nodes <= MOST_NODES_PER_COLLECTOR {
            let subject = format!("fleet of {nodes}, a set each");
            let cluster = start(*nodes, Arc::new(InProcess)).await?;
            roll_out(figures, &cluster, &subject, *nodes, Layout::PerCollector).await?;
        }
        let subject = format!("fleet of {nodes}");
        let cluster = start(*nodes, Arc::new(InProcess)).await?;
        let cost = roll_out(figures, &cluster, &subject, *nodes, Layout::Combined).await?;
        costs.push((float(*nodes), cost));
        if Some(nodes) == sizes.last() {
            silence(figures, &cluster, &subject).await?;
        }
    }
    let growth = [
        ("requests", &(|cost: &Cost| cost.requests) as &dyn Fn(&Cost) -> f64),
        ("processor time of the servers", &|cost| cost.cpu_seconds),
        ("store", &|cost| cost.store_bytes),
        ("time", &|cost| cost.seconds),
    ];
    for (name, of) in growth {
        let points: Vec<_> = costs.iter().map(|(nodes, cost)| (*nodes, of(cost))).collect();
        if let Some(exponent) = exponent(&points) {
            figures.add(Figure::new("growth with nodes, exponent", name, exponent, Unit::Plain));
        }
    }
    Ok(())
}

/// All nodes are done and run again: as pods come, and then all in one moment.
pub(super) async fn measure_rerun(figures: &mut Figures, nodes: usize) -> Result<()> {
    let gate = Arc::<Gate>::default();
    let cluster = start(nodes, gate.clone()).await?;
    let mut settings = settings_of(COLLECTORS_AGAIN, Layout::Combined)?;
    progress(&format!("{nodes} nodes: the first time"));
    apply(&cluster, &settings).await?;
    wait_for_removals(&cluster, nodes, 0).await?;

    let subject = format!("rerun of {nodes}");
    settings.mark = DoneMark::Generation("2".parse()?);
    run_again(figures, &cluster, &subject, &settings, nodes, None).await?;

    let subject = format!("rerun of {nodes} at once");
    settings.mark = DoneMark::Generation("3".parse()?);
    run_again(figures, &cluster, &subject, &settings, nodes, Some(&gate)).await
}

async fn run_again(
    figures: &mut Figures,
    cluster: &Cluster,
    subject: &str,
    settings: &Settings,
    nodes: usize,
    gate: Option<&Gate>,
) -> Result<()> {
    progress(subject);
    let before = Snapshot::take(cluster).await?;
    let ours_before = cluster.annotator_requests().await?.len();
    let seen = cluster.events().all().len();
    if let Some(gate) = gate {
        gate.close();
    }
    apply(cluster, settings).await?;
    if let Some(gate) = gate {
        gate.crowded(nodes).await;
        progress("all wait; off they go");
        gate.open();
    }
    let started = Instant::now();
    wait_for_removals(cluster, nodes, seen).await?;
    let seconds = started.elapsed().as_secs_f64();
    let after = Snapshot::take(cluster).await?;
    let ours = cluster.annotator_requests().await?;
    let ours = &ours[ours_before..];
    let events = cluster.events().since(seen);
    let again = events.iter().filter(|event| matches!(event.what, What::Started { restart: 1.., .. }));
    figures.add(Figure::new(subject, "until all pods are gone", seconds, Unit::Seconds));
    figures.add(Figure::new(subject, "our requests per node", float(ours.len()) / float(nodes), Unit::Plain));
    let written = ours.iter().filter(|request| request.code() == 200).count();
    figures.add(Figure::count(subject, "of them answered with 200", written));
    figures.add(Figure::new(
        subject,
        "429 of the API server, all clients",
        after.answered_since(&before, "429"),
        Unit::Count,
    ));
    figures.add(Figure::count(subject, "runs that ended and were started again", again.count()));
    figures.add(Figure::new(
        subject,
        "processor time of the servers",
        after.cpu_since(&before),
        Unit::Seconds,
    ));
    Ok(())
}

async fn roll_out(
    figures: &mut Figures,
    cluster: &Cluster,
    subject: &str,
    nodes: usize,
    layout: Layout,
) -> Result<Cost> {
    progress(subject);
    let settings = settings(layout)?;
    let sets = Manifests::new(&settings)?.daemon_sets().count();
    let before = Snapshot::take(cluster).await?;
    let applied = Timestamp::now();
    apply(cluster, &settings).await?;
    wait_for_removals(cluster, nodes * sets, 0).await?;
    let after = Snapshot::take(cluster).await?;
    let ours = cluster.annotator_requests().await?;
    let seconds = last_write(&ours)?.duration_since(applied).as_secs_f64();

    let per_node = |count: f64| count / float(nodes);
    let requests = after.requests_since(&before);
    let total: f64 = requests.values().sum();
    figures.add(Figure::new(subject, "until the last done label", seconds, Unit::Seconds));
    let writes = per_node(float(ours.len()));
    figures.add(Figure::new(subject, "our requests per node", writes, Unit::Plain));
    figures.add(Figure::new(subject, "all requests per node", per_node(total), Unit::Plain));
    for (what, count) in requests.iter().filter(|(_, count)| per_node(**count) >= 0.1) {
        figures.add(Figure::new(subject, &format!("  {what}"), per_node(*count), Unit::Plain));
    }
    let cpu = after.cpu_since(&before);
    figures.add(Figure::new(subject, "processor time of the servers", cpu, Unit::Seconds));
    figures.add(Figure::new(subject, "the same per node", per_node(cpu) * 1e3, Unit::Milliseconds));
    figures.add(Figure::bytes(subject, "etcd before", before.store_bytes));
    figures.add(Figure::bytes(subject, "etcd after", after.store_bytes));
    let store_bytes = float(after.store_bytes.saturating_sub(before.store_bytes));
    Ok(Cost { seconds, requests: total, cpu_seconds: cpu, store_bytes })
}

/// What is left when all is done: nothing.
pub(super) async fn silence(figures: &mut Figures, cluster: &Cluster, subject: &str) -> Result<()> {
    progress("a minute of silence");
    let before = cluster.annotator_requests().await?.len();
    tokio::time::sleep(SILENCE).await;
    let requests = cluster.annotator_requests().await?.len() - before;
    let namespace =
        settings(Layout::Combined)?.installation.namespace(node_annotator_core::PrivilegeClass::Restricted);
    let pods = cluster.pods(&namespace).await?.len();
    figures.add(Figure::count(subject, "our requests in a minute afterwards", requests).at_most(0.0));
    figures.add(Figure::count(subject, "our pods afterwards", pods).at_most(0.0));
    Ok(())
}

async fn start(nodes: usize, runtime: Arc<dyn Runtime>) -> Result<Cluster> {
    start_with(nodes, recorded_as("amd-epyc"), runtime, Backoff::QUICK).await
}

/// A node that is a recorded machine.
pub(super) fn recorded_as(machine: &str) -> impl Fn(NodeSpec) -> NodeSpec {
    let machine = recorded::machine(machine);
    move |node| node.env("NODE_ANNOTATOR_HOST_ROOT", machine.to_string_lossy())
}

pub(super) async fn start_with(
    nodes: usize,
    node: impl Fn(NodeSpec) -> NodeSpec,
    runtime: Arc<dyn Runtime>,
    backoff: Backoff,
) -> Result<Cluster> {
    progress(&format!("starting a control plane with {nodes} nodes"));
    // As a cluster of this size is run: by default the controllers make 20 requests a second.
    let raised = ["--kube-api-qps=2000", "--kube-api-burst=2000"].map(str::to_owned).to_vec();
    let control_plane =
        ControlPlaneOptions { controller_manager_args: raised, ..ControlPlaneOptions::default() };
    let options =
        ClusterOptions { control_plane, runtime: Some(runtime), backoff, ..ClusterOptions::default() };
    let cluster = Cluster::start(options).await?;
    let specs = (0..nodes).map(|number| node(NodeSpec::new(format!("node-{number}"))));
    cluster.add_nodes(specs).await?;
    // What controllers write on new nodes shall not count as ours.
    settle(&cluster).await?;
    Ok(cluster)
}

/// Returns when the servers have had next to nothing to do for a while.
async fn settle(cluster: &Cluster) -> Result<()> {
    let mut last = Snapshot::take(cluster).await?;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = Snapshot::take(cluster).await?;
        if now.requests_since(&last).values().sum::<f64>() < 20.0 {
            return Ok(());
        }
        last = now;
    }
}

pub(super) fn settings(layout: Layout) -> Result<Settings> {
    settings_of(COLLECTORS, layout)
}

fn settings_of(collectors: &str, layout: Layout) -> Result<Settings> {
    let selection = Selection::parse(collectors, &Registry::from_inventory()?)?;
    Ok(Settings { layout, ..Settings::new(selection) })
}

async fn apply(cluster: &Cluster, settings: &Settings) -> Result<()> {
    for object in Manifests::new(settings)?.objects() {
        cluster.apply(object).await?;
    }
    Ok(())
}

/// Returns when this many pods have come and gone since an event.
pub(super) async fn wait_for_removals(cluster: &Cluster, count: usize, since: usize) -> Result<()> {
    let mut changes = cluster.events().subscribe();
    let (mut seen, mut removed, mut told) = (since, 0, Instant::now());
    let waiting = async {
        while removed < count {
            let events = cluster.events().since(seen);
            seen += events.len();
            removed += events.iter().filter(|event| event.what == What::Removed).count();
            if told.elapsed() >= TICK {
                progress(&format!("{removed} of {count} pods have come and gone"));
                told = Instant::now();
            }
            if removed < count {
                changes.changed().await.context("the kubelet is gone")?;
            }
        }
        anyhow::Ok(())
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.with_context(|| format!("waited {PATIENCE:?} for {count} pods to come and go"))?
}

fn last_write(requests: &[Request]) -> Result<Timestamp> {
    let written = requests.iter().filter(|request| request.code() == 200);
    let last = written.map(|request| request.received.as_str()).max();
    ensure!(last.is_some(), "nothing was written");
    last.unwrap_or_default().parse().context("no time in the audit log")
}
