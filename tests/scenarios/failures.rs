//! Collectors that fail: the others are published, and what failed is written down without moving the Node
//! again and again.

use std::fs;

use anyhow::Result;
use node_annotator_tests::metadata::{Answer, MetadataServer};
use node_annotator_tests::{Cluster, Options};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{
    add_settled, annotations, droplet, exit_codes, install_combined, key, labels, machine, node_of, ours,
    restarts, starts, wait_for_label, wait_until_gone,
};

const ANCHOR_IP: &str = "digital-ocean-anchor-ip";

#[tokio::test]
async fn a_metadata_service_that_answers_500_holds_up_its_own_collector_alone() -> Result<()> {
    let metadata = MetadataServer::start(Answer::status(500, "out of order")).await?;
    let cluster = Cluster::start(Options::default()).await?;
    add_settled(&cluster, droplet("n1", &metadata)).await?;
    let daemon_sets = install_combined(&cluster).await?;

    let failed = key("digital-ocean-anchor-ip.error");
    wait_for_label(&cluster, "n1", &key("kernel")).await?;
    let first = cluster.node("n1").await?;
    assert!(annotations(&first).contains_key(&key("cpu-model")), "{:?}", ours(&first));
    assert!(
        !labels(&first).contains_key(&key(ANCHOR_IP)) && !annotations(&first).contains_key(&key(ANCHOR_IP))
    );
    assert_eq!(annotations(&first)[&failed], "the metadata service of DigitalOcean answered with status 500");

    // Each try asks four times, and the pod stays.
    metadata.wait_for_requests(9).await?;
    let events = cluster.events().all();
    assert_eq!((starts(&events), exit_codes(&events).len()), (1, 0), "{events:#?}");
    let third = cluster.node("n1").await?;
    assert_eq!(
        third.metadata.resource_version, first.metadata.resource_version,
        "failing again moved the Node"
    );
    assert_eq!(cluster.annotator_requests().await?.len(), 1, "failing again was written");

    metadata.set(Answer::droplet("10.17.0.9"));
    let done = wait_for_label(&cluster, "n1", &key(ANCHOR_IP)).await?;
    assert_eq!(annotations(&done)[&key(ANCHOR_IP)], "10.17.0.9");
    assert!(!annotations(&done).contains_key(&key("digital-ocean-anchor-ip.error")), "{:?}", ours(&done));
    wait_until_gone(&cluster, &daemon_sets).await?;
    let requests = cluster.annotator_requests().await?;
    let written = requests.iter().filter(|request| request.code() == 200).count();
    assert_eq!(written, 2, "one more for what is done");
    let events = cluster.events().all();
    assert_eq!((starts(&events), exit_codes(&events)), (1, vec![0]), "{events:#?}");
    Ok(())
}

#[tokio::test]
async fn a_pipe_in_place_of_a_file_fails_its_own_collector_and_the_others_are_published() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    // A machine of its own, where the kernel's release is a pipe into which nobody writes: opened as a file
    // is, it would stall.
    let root = cluster.folder().join("stuck-machine");
    for file in ["proc/cpuinfo", "proc/sys/kernel/version", "sys/class/dmi/id/sys_vendor"] {
        fs::create_dir_all(root.join(file).parent().expect("a folder"))?;
        fs::copy(machine("intel-xeon").join(file), root.join(file))?;
    }
    mknodat(CWD, root.join("proc/sys/kernel/osrelease"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    let node = node_of("n1", "intel-xeon").env("NODE_ANNOTATOR_HOST_ROOT", root.to_string_lossy());
    add_settled(&cluster, node).await?;
    install_combined(&cluster).await?;

    let node = wait_for_label(&cluster, "n1", &key("cpu-model")).await?;
    assert!(annotations(&node).contains_key(&key("cpu-model")), "{:?}", ours(&node));
    assert_eq!(labels(&node)[&key(ANCHOR_IP)], "saved");
    let error = &annotations(&node)[&key("kernel.error")];
    assert_eq!(error, "cannot read `/proc/sys/kernel/osrelease`: it is not a regular file");
    assert!(!labels(&node).contains_key(&key("kernel")));

    // The file is there again; the next try finishes.
    fs::remove_file(root.join("proc/sys/kernel/osrelease"))?;
    fs::write(root.join("proc/sys/kernel/osrelease"), "6.8.0-45-generic\n")?;
    let node = wait_for_label(&cluster, "n1", &key("kernel")).await?;
    assert_eq!(annotations(&node)[&key("kernel")], "6.8.0-45-generic");
    assert!(!annotations(&node).contains_key(&key("kernel.error")), "{:?}", ours(&node));
    assert_eq!(restarts(&cluster.events().all()), 0);
    Ok(())
}
