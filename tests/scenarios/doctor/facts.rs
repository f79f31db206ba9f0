//! Facts that outlived the boot that they describe, and the command that runs them again.

use std::fs;
use std::path::Path;

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use node_annotator_tests::{Cluster, NodeSpec, Options};
use serde_json::json;

use super::wait_for;
use crate::support::{annotations, install, key, settings, wait_for_label, wait_until_gone};

const BOOTS: [&str; 2] = ["1bd2a6f4-8f0e-4a7b-9d53-0c2b6f1e7a90", "77aa01c3-0d5e-4bb1-8a3f-5d1c9e2b4f60"];

/// What the machine's kernel says.
fn boot(root: &Path, boot_id: &str) -> Result<()> {
    fs::create_dir_all(root.join("proc/sys/kernel/random"))?;
    fs::write(root.join("proc/sys/kernel/random/boot_id"), format!("{boot_id}\n"))?;
    fs::write(root.join("proc/sys/kernel/osrelease"), "6.8.0-45-generic\n")?;
    Ok(())
}

#[tokio::test]
async fn facts_of_another_boot_are_seen_and_run_again() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let root = cluster.folder().join("machine");
    boot(&root, BOOTS[0])?;
    cluster.add_node(NodeSpec::new("n1").env("NODE_ANNOTATOR_HOST_ROOT", root.to_string_lossy())).await?;
    let sets = install(&cluster, &settings("kernel")).await?;
    let node = wait_for_label(&cluster, "n1", &key("kernel")).await?;
    assert_eq!(annotations(&node)[&key("kernel.boot-id")], BOOTS[0][..8]);
    wait_until_gone(&cluster, &sets).await?;
    wait_for(&cluster, &[]).await?;

    // A reboot, as the kubelet tells it: the label stays, and nothing runs by itself.
    boot(&root, BOOTS[1])?;
    let told = json!({"status": {"nodeInfo": {"bootID": BOOTS[1]}}});
    let nodes = Api::<Node>::all(cluster.client());
    nodes.patch_status("n1", &PatchParams::default(), &Patch::Strategic(told)).await?;
    let seen = wait_for(&cluster, &[("facts-current", "WARN")]).await?;
    assert_eq!(
        seen.check("facts-current").finding,
        "facts of another boot or machine on 1 nodes: `n1` (kernel: another boot)"
    );
    assert_eq!(seen.hint("facts-current"), "run them again: kubectl label nodes n1 k8s.haim.dev/kernel-");
    cluster.label_node("n1", &key("kernel"), None).await?;
    let node = wait_for_label(&cluster, "n1", &key("kernel")).await?;
    assert_eq!(annotations(&node)[&key("kernel.boot-id")], BOOTS[1][..8]);
    wait_until_gone(&cluster, &sets).await?;
    wait_for(&cluster, &[]).await?;
    Ok(())
}
