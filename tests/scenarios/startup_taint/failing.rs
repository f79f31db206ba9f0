//! What becomes of the taint where a collector is given up.

use std::time::Duration;

use anyhow::{Result, ensure};
use node_annotator_core::GiveUpAfter;
use node_annotator_deploy::startup_taint::OnFailure;
use node_annotator_deploy::{Layout, Settings, StartupTaint};
use node_annotator_tests::metadata::{Answer, MetadataServer};
use node_annotator_tests::{Cluster, Options};

use super::{TAINT, tainting, taints, wait_for_taint_to_go};
use crate::support::{
    droplet, install, key, labels, ours, serves_mutating_policies, wait_for_label, wait_until_gone,
};

const ANCHOR_IP: &str = "digital-ocean-anchor-ip";

fn impatient(on_failure: OnFailure) -> Settings {
    Settings {
        layout: Layout::Combined,
        host_network: false,
        give_up_after: GiveUpAfter::Time(Duration::from_secs(4)),
        startup_taint: Some(StartupTaint { key: TAINT.to_owned(), on_failure }),
        ..tainting()
    }
}

#[tokio::test]
async fn what_is_given_up_keeps_the_taint_or_lets_it_go_as_the_operator_says() -> Result<()> {
    let metadata = MetadataServer::start(Answer::status(500, "out of order")).await?;
    let cluster = Cluster::start(Options::default()).await?;
    if !serves_mutating_policies(&cluster).await {
        return Ok(());
    }
    cluster.add_node(droplet("kept", &metadata).taint(TAINT, "NoSchedule")).await?;
    let sets = install(&cluster, &impatient(OnFailure::Keep)).await?;
    let failed = key(&format!("{ANCHOR_IP}.failed"));
    let kept = wait_for_label(&cluster, "kept", &failed).await?;
    ensure!(
        taints(&kept).contains(&TAINT) && labels(&kept).contains_key(&key("kernel")),
        "{:?}",
        ours(&kept)
    );
    wait_until_gone(&cluster, &sets).await?;
    ensure!(taints(&cluster.node("kept").await?).contains(&TAINT), "nobody has taken it away");

    // Once it is mended, the run after it takes the taint away.
    metadata.set(Answer::droplet("10.17.0.9"));
    cluster.label_node("kept", &failed, None).await?;
    let freed = wait_for_taint_to_go(&cluster, "kept").await?;
    ensure!(labels(&freed).contains_key(&key(ANCHOR_IP)), "{:?}", ours(&freed));
    wait_until_gone(&cluster, &sets).await?;

    metadata.set(Answer::status(500, "out of order"));
    install(&cluster, &impatient(OnFailure::Remove)).await?;
    cluster.add_node(droplet("freed", &metadata).taint(TAINT, "NoSchedule")).await?;
    let freed = wait_for_taint_to_go(&cluster, "freed").await?;
    ensure!(labels(&freed).contains_key(&failed), "it went before the end: {:?}", ours(&freed));
    ensure!(!labels(&freed).contains_key(&key(ANCHOR_IP)), "{:?}", ours(&freed));
    wait_until_gone(&cluster, &sets).await?;
    Ok(())
}
