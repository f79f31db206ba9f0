//! `expire`, `rerun` and `clean`: what is removed, what is left, and what comes of it.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DeleteParams;

use super::*;
use crate::support::{NAMESPACE, annotations, labels, ours, wait_for_label};

/// Who remembers which boots have been expired.
const RECORD: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: node-annotator-expire}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: expired, namespace: node-annotator-expire}
";

pub(super) async fn what_is_stale_runs_again_once_for_each_boot(fleet: &Fleet) -> Result<()> {
    let cluster = &fleet.cluster;
    let fresh = run(cluster, &["expire"]).await?;
    assert_eq!((fresh.code, fresh.stderr.as_str()), (0, "nothing to run again\n"));
    cluster.apply_yaml(RECORD).await?;

    // A reboot: the kernel and the kubelet tell another boot.
    boot(&fleet.root, BOOTS[1])?;
    tell_boot(cluster, "reboot-1", BOOTS[1]).await?;
    let stale = [("reboot-1 kernel", "stale: another boot"), ("reboot-1 digital-ocean-anchor-ip", "done")];
    wait_for_states(cluster, &stale).await?;
    let names = run(cluster, &["status", "--nodes", "reboot-1", "-o", "name"]).await?;
    assert_eq!(names.stdout, "node/reboot-1\n");
    let before = cluster.node("reboot-1").await?;
    let dry = run(cluster, &["expire", "--dry-run"]).await?;
    assert!(dry.code == 0 && dry.stdout.contains("\nreboot-1  1      cpu-model,kernel\n"), "{dry:?}");
    assert_eq!(ours(&cluster.node("reboot-1").await?), ours(&before));

    let requests = cluster.annotator_requests().await?.len();
    let expired = run(cluster, &["expire"]).await?;
    assert_eq!((expired.code, expired.stderr.as_str()), (0, "nodes changed: 1\n"));
    let requests = cluster.annotator_requests().await?.split_off(requests);
    let is_patch_by_operator = |request: &&node_annotator_tests::audit::Request| {
        request.verb == "patch" && request.uri.contains("operator")
    };
    assert_eq!(requests.iter().filter(is_patch_by_operator).count(), 1, "{requests:#?}");
    wait_for_states(cluster, &[("reboot-1 kernel", "done"), ("reboot-1 cpu-model", "done")]).await?;
    let after = cluster.node("reboot-1").await?;
    assert_eq!(annotations(&after)[&key("kernel.boot-id")], BOOTS[1][..8]);

    // A kubelet and a run that never agree: it runs again once, and is then reported.
    tell_boot(cluster, "reboot-1", BOOTS[2]).await?;
    let first = run(cluster, &["expire"]).await?;
    assert_eq!((first.code, first.stderr.as_str()), (0, "nodes changed: 1\n"));
    wait_for_states(cluster, &[("reboot-1 kernel", "stale"), ("reboot-1 cpu-model", "stale")]).await?;
    let before = cluster.node("reboot-1").await?;
    let second = run(cluster, &["expire"]).await?;
    assert_eq!(second.code, 3, "{second:?}");
    let still =
        "warning: `reboot-1` has run again in this boot, and its facts still differ: cpu-model: another boot";
    assert!(second.stderr.starts_with(still), "{second:?}");
    assert_eq!(ours(&cluster.node("reboot-1").await?), ours(&before));
    let record =
        Api::<ConfigMap>::namespaced(cluster.client(), "node-annotator-expire").get("expired").await?;
    let boots = record.data.context("no data")?;
    assert_eq!(boots["reboot-1"], BOOTS[2][..8]);

    // A node that is not ready waits.
    tell_boot(cluster, "reboot-1", BOOTS[3]).await?;
    let now = jiff::Timestamp::now();
    let not_ready = json!({"status": {"conditions": [
        {"type": "Ready", "status": "False", "reason": "Test", "lastHeartbeatTime": now, "lastTransitionTime": now},
    ]}});
    let nodes = Api::<Node>::all(cluster.client());
    nodes.patch_status("reboot-1", &PatchParams::default(), &Patch::Strategic(not_ready)).await?;
    let waits = run(cluster, &["expire", "--nodes", "reboot-1"]).await?;
    assert_eq!(waits.stderr, "stale nodes that are not ready, and wait: 1\nnothing to run again\n");
    Ok(())
}

pub(super) async fn what_was_given_up_or_is_named_runs_again_in_waves(fleet: &Fleet) -> Result<()> {
    let cluster = &fleet.cluster;
    let everything = run(cluster, &["rerun"]).await?;
    assert_eq!(everything.code, 2, "{everything:?}");
    let nothing =
        run(cluster, &["rerun", "--collectors", "kernel", "--nodes", "out-1,full-1,tainted-1"]).await?;
    assert_eq!((nothing.code, nothing.stderr.as_str()), (0, "nothing to run again\n"));
    let dry = run(cluster, &["rerun", "--failed", "--dry-run"]).await?;
    assert!(dry.stdout.contains("\ndroplet-1  1      digital-ocean-anchor-ip\n"), "{dry:?}");

    fleet.metadata.set(Answer::droplet("10.17.0.9"));
    let failed = run(cluster, &["rerun", "--failed", "--wait"]).await?;
    assert_eq!(failed.code, 0, "{failed:?}");
    assert!(failed.stderr.ends_with("nodes changed: 1\nnodes done again: 1, failed: 0\n"), "{failed:?}");
    let node = cluster.node("droplet-1").await?;
    assert_eq!(annotations(&node)[&key(ANCHOR_IP)], "10.17.0.9");
    assert!(!labels(&node).contains_key(&key("digital-ocean-anchor-ip.failed")));

    let waves = &["rerun", "--collectors", "kernel", "--selector", "pool", "--wait", "--max-in-flight", "2"];
    let waves = run(cluster, waves).await?;
    assert_eq!(waves.code, 0, "{waves:?}");
    assert!(waves.stderr.ends_with("nodes changed: 4\nnodes done again: 4, failed: 0\n"), "{waves:?}");

    // What fails again is counted, and no further wave begins.
    fleet.metadata.set(Answer::status(500, "out of order"));
    let again = &[
        "rerun",
        "--collectors",
        ANCHOR_IP,
        "--nodes",
        "amd-1,droplet-1,worker-3",
        "--wait",
        "--max-in-flight",
        "2",
        "--max-failures",
        "1",
    ];
    let again = run(cluster, again).await?;
    assert_eq!(again.code, 4, "{again:?}");
    assert!(
        again
            .stderr
            .contains("error: `droplet-1` is not done: digital-ocean-anchor-ip: the metadata service"),
        "{again:?}"
    );
    assert!(again.stderr.contains("nodes changed: 2, not begun, since it was stopped: 1\n"), "{again:?}");
    Ok(())
}

pub(super) async fn keys_are_taken_away_and_those_of_others_stay(fleet: &Fleet) -> Result<()> {
    let cluster = &fleet.cluster;
    wait_for_label(cluster, "droplet-1", &key("digital-ocean-anchor-ip.failed")).await?;
    cluster.label_node("worker-1", &key("site-rack"), Some("saved")).await?;
    cluster.label_node("worker-1", "example.com/site-rack", Some("saved")).await?;
    let asked = run(cluster, &["clean"]).await?;
    assert_eq!(asked.code, 4, "{asked:?}");
    for text in [
        "warning: its DaemonSets are there, and write everything back",
        "kubectl delete daemonsets --namespace node-annotator --all",
        "no collector here has these names: site-rack (1)",
        "error: nobody can be asked here",
    ] {
        assert!(asked.stderr.contains(text), "{text}: {asked:?}");
    }
    for set in &fleet.sets {
        Api::<DaemonSet>::namespaced(cluster.client(), NAMESPACE)
            .delete(set, &DeleteParams::default())
            .await?;
    }
    wait::until("the pods to go", async || {
        let left = cluster.pods(NAMESPACE).await?.len();
        ensure!(left == 0, "{left} are left");
        Ok(())
    })
    .await?;

    let left = async || -> Result<Vec<String>> {
        let nodes = Api::<Node>::all(cluster.client()).list(&kube::api::ListParams::default()).await?;
        Ok(nodes.iter().flat_map(|node| ours(node).into_keys()).collect())
    };
    let before = left().await?;
    let dry = run(cluster, &["clean", "--dry-run"]).await?;
    assert!(dry.code == 0 && dry.stderr.contains(" keys on 6 nodes: cpu-model ("), "{dry:?}");
    assert_eq!(left().await?, before);
    let cleaned = run(cluster, &["clean", "--yes"]).await?;
    assert_eq!(cleaned.code, 0, "{cleaned:?}");
    assert_eq!(left().await?, ["label k8s.haim.dev/opt-out", "label k8s.haim.dev/site-rack"]);
    let all = run(cluster, &["clean", "--yes", "--all-under-prefix"]).await?;
    assert_eq!(all.code, 0, "{all:?}");
    assert_eq!(left().await?, ["label k8s.haim.dev/opt-out"]);
    assert_eq!(labels(&cluster.node("worker-1").await?)["example.com/site-rack"], "saved");
    let again = run(cluster, &["clean", "--yes"]).await?;
    assert_eq!((again.code, again.stderr.as_str()), (0, "nothing to take away\n"));
    Ok(())
}
