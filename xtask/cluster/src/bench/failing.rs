//! A fleet that keeps failing: Droplets whose metadata service nobody reaches, with runs that try again
//! inside the process, and with runs that end and are started again by the kubelet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use node_annotator_core::GiveUpAfter;
use node_annotator_deploy::{Layout, Manifests, Object, Settings};
use node_annotator_tests::Cluster;
use node_annotator_tests::kubelet::{Backoff, InProcess};

use super::figures::{Figure, Figures, Unit};
use super::fleet::{recorded_as, settings, silence, start_with, wait_for_removals};
use super::progress;
use super::server::Snapshot;

const MINUTE: Duration = Duration::from_mins(1);

/// Nobody listens there.
const UNREACHABLE: &str = "http://127.0.0.1:1/metadata/v1.json";

/// Requests in each of the first minutes, of two fleets in two clusters at the same time; then what is left
/// once all have given up.
pub(super) async fn measure(figures: &mut Figures, nodes: usize, minutes: u32) -> Result<()> {
    let (restarted, staying) =
        tokio::try_join!(measure_restarted(nodes, minutes), measure_staying(nodes, minutes))?;
    figures.extend(restarted);
    figures.extend(staying);
    Ok(())
}

/// Runs that end, as without `--linger`.
async fn measure_restarted(nodes: usize, minutes: u32) -> Result<Figures> {
    let mut figures = Figures::default();
    let subject = format!("failing fleet of {nodes}, started again by the kubelet");
    let cluster = start(nodes).await?;
    let objects = without_linger(&settings(Layout::Combined)?)?;
    minute_by_minute(&mut figures, &cluster, &subject, minutes, &objects).await?;
    Ok(figures)
}

/// Runs that stay, and give up when the minutes are over.
async fn measure_staying(nodes: usize, minutes: u32) -> Result<Figures> {
    let mut figures = Figures::default();
    let subject = format!("failing fleet of {nodes}");
    let cluster = start(nodes).await?;
    let settings =
        Settings { give_up_after: GiveUpAfter::Time(MINUTE * minutes), ..settings(Layout::Combined)? };
    let objects: Vec<_> = Manifests::new(&settings)?.objects().cloned().collect();
    minute_by_minute(&mut figures, &cluster, &subject, minutes, &objects).await?;
    progress("until all have given up");
    wait_for_removals(&cluster, nodes, 0).await?;
    let ours = cluster.annotator_requests().await?;
    let written = ours.iter().filter(|request| request.code() == 200).count();
    figures.add(Figure::count(&subject, "our writes until all have given up", written));
    silence(&mut figures, &cluster, &subject).await?;
    Ok(figures)
}

async fn start(nodes: usize) -> Result<Cluster> {
    let droplet = recorded_as("droplet");
    let node = move |node| droplet(node).env("DIGITAL_OCEAN_METADATA_URL", UNREACHABLE);
    start_with(nodes, node, Arc::new(InProcess), Backoff::KUBERNETES).await
}

/// The manifests, with runs that end when they have failed.
fn without_linger(settings: &Settings) -> Result<Vec<Object>> {
    let mut objects: Vec<_> = Manifests::new(settings)?.objects().cloned().collect();
    for object in &mut objects {
        let Object::DaemonSet(set) = object else { continue };
        let pod = set.spec.as_mut().and_then(|spec| spec.template.spec.as_mut());
        for container in pod.into_iter().flat_map(|pod| &mut pod.containers) {
            container.args.iter_mut().for_each(|args| args.retain(|arg| arg != "--linger"));
        }
    }
    Ok(objects)
}

async fn minute_by_minute(
    figures: &mut Figures,
    cluster: &Cluster,
    subject: &str,
    minutes: u32,
    objects: &[Object],
) -> Result<()> {
    progress(subject);
    let idle = Snapshot::take(cluster).await?;
    tokio::time::sleep(MINUTE).await;
    let mut before = Snapshot::take(cluster).await?;
    let of_idle = before.requests_since(&idle).values().sum::<f64>();
    figures.add(Figure::new(
        subject,
        "requests a minute before there is anything of ours",
        of_idle,
        Unit::Count,
    ));
    for object in objects {
        cluster.apply(object).await?;
    }
    let started = Instant::now();
    let mut ours = cluster.annotator_requests().await?.len();
    for minute in 1..=minutes {
        tokio::time::sleep((MINUTE * minute).saturating_sub(started.elapsed())).await;
        let now = Snapshot::take(cluster).await?;
        let total = now.requests_since(&before).values().sum::<f64>();
        let ours_now = cluster.annotator_requests().await?.len();
        figures.add(Figure::new(subject, &format!("requests in minute {minute}"), total, Unit::Count));
        figures.add(Figure::count(subject, "  of them ours", ours_now - ours));
        progress(&format!("{subject}, minute {minute}: {total} requests, {} of them ours", ours_now - ours));
        (before, ours) = (now, ours_now);
    }
    Ok(())
}
