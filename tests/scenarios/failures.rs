//! Collectors that fail: the others are published, and what failed is written down without moving the Node again and again.

use std::fs;

use anyhow::Result;
use node_annotator_tests::kubelet::events::{Event, What};
use node_annotator_tests::metadata::{Answer, MetadataServer};
use node_annotator_tests::{Cluster, Options};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{
    add_settled, annotations, droplet, exit_codes, install_combined, key, labels, machine, node_of, ours,
    wait_for_label, wait_until_gone,
};

const ANCHOR_IP: &str = "digital-ocean-anchor-ip";

#[tokio::test]
async fn a_metadata_service_that_answers_500_holds_up_its_own_collector_alone() -> Result<()> {
    let metadata = MetadataServer::start(Answer::status(500, "out of order")).await?;
    let cluster = Cluster::start(Options::default()).await?;
    add_settled(&cluster, droplet("n1", &metadata)).await?;
    let daemon_sets = install_combined(&cluster).await?;

    let failures =
        |count| move |events: &[Event]| (exit_codes(events).len() >= count).then(|| events.to_vec());
    let events = cluster.events().wait_for("the first failure", failures(1)).await?;
    assert_eq!(exit_codes(&events), [3]);
    let first = wait_for_label(&cluster, "n1", &key("kernel")).await?;
    assert!(annotations(&first).contains_key(&key("cpu-model")), "{:?}", ours(&first));
    assert!(
        !labels(&first).contains_key(&key(ANCHOR_IP)) && !annotations(&first).contains_key(&key(ANCHOR_IP))
    );
    let error = &annotations(&first)[&key("digital-ocean-anchor-ip.error")];
    assert_eq!(error, "the metadata service of DigitalOcean answered with status 500");

    let events = cluster.events().wait_for("two more failures", failures(3)).await?;
    assert!(exit_codes(&events).iter().all(|code| *code == 3), "{events:#?}");
    let message = events.iter().find_map(|event| match &event.what {
        What::Exited { message, .. } => Some(message.as_str()),
        _ => None,
    });
    assert!(
        message.is_some_and(|text| text.contains("status 500") && text.contains("\"exitCode\":3")),
        "{message:?}"
    );
    let third = cluster.node("n1").await?;
    assert_eq!(
        third.metadata.resource_version, first.metadata.resource_version,
        "failing again moved the Node"
    );

    metadata.set(Answer::droplet("10.17.0.9"));
    let done = wait_for_label(&cluster, "n1", &key(ANCHOR_IP)).await?;
    assert_eq!(annotations(&done)[&key(ANCHOR_IP)], "10.17.0.9");
    assert!(!annotations(&done).contains_key(&key("digital-ocean-anchor-ip.error")), "{:?}", ours(&done));
    wait_until_gone(&cluster, &daemon_sets).await?;
    Ok(())
}

#[tokio::test]
async fn a_pipe_in_place_of_a_file_fails_its_own_collector_and_the_others_are_published() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    // A machine of its own, where the kernel's release is a pipe into which nobody writes: opened as a file is, it would stall.
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
    let ended = |events: &[Event]| (!exit_codes(events).is_empty()).then(|| exit_codes(events)[0]);
    assert_eq!(cluster.events().wait_for("the container to end", ended).await?, 3);

    // The file is there again; the next start finishes.
    fs::remove_file(root.join("proc/sys/kernel/osrelease"))?;
    fs::write(root.join("proc/sys/kernel/osrelease"), "6.8.0-45-generic\n")?;
    let node = wait_for_label(&cluster, "n1", &key("kernel")).await?;
    assert_eq!(annotations(&node)[&key("kernel")], "6.8.0-45-generic");
    assert!(!annotations(&node).contains_key(&key("kernel.error")), "{:?}", ours(&node));
    Ok(())
}
