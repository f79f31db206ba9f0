//! The promise itself: each node runs once, and the DaemonSet controller takes the pod away.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::Api;
use kube::api::{Patch, PatchParams};
use node_annotator_tests::kubelet::InProcess;
use node_annotator_tests::kubelet::events::What;
use node_annotator_tests::kubelet::runtime::Runtime;
use node_annotator_tests::metadata::{Answer, MetadataServer};
use node_annotator_tests::{Cluster, Options};
use serde_json::json;

use crate::support::{
    COLLECTORS, NAMESPACE, annotations, droplet, exit_codes, install_all, install_combined, key, labels,
    node_of, ours, restarts, starts, wait_for_label, wait_until_gone,
};

#[tokio::test]
async fn three_nodes_run_three_collectors_once_and_nothing_comes_back() -> Result<()> {
    let metadata = MetadataServer::start(Answer::droplet("10.17.0.9")).await?;
    let cluster = Cluster::start(Options::default()).await?;
    let nodes =
        [droplet("droplet", &metadata), node_of("intel", "intel-xeon"), node_of("arm", "neoverse-n1")];
    for node in nodes {
        cluster.add_node(node).await?;
    }
    let daemon_sets = install_all(&cluster).await?;
    assert_eq!(daemon_sets.len(), COLLECTORS.len());

    for node in ["droplet", "intel", "arm"] {
        for collector in COLLECTORS {
            let node = wait_for_label(&cluster, node, &key(collector)).await?;
            assert_eq!(labels(&node)[&key(collector)], "saved");
        }
    }
    wait_until_gone(&cluster, &daemon_sets).await?;

    let node = cluster.node("droplet").await?;
    assert_eq!(annotations(&node)[&key("digital-ocean-anchor-ip")], "10.17.0.9");
    assert_eq!(annotations(&node)[&key("digital-ocean-anchor-ip.region")], "nyc3");
    let node = cluster.node("arm").await?;
    assert_eq!(annotations(&node)[&key("cpu-model")], "Neoverse-N1");
    assert!(annotations(&node).contains_key(&key("kernel")), "{:?}", ours(&node));
    // Not a Droplet: done, without a fact and without a failure.
    assert_eq!(labels(&node)[&key("digital-ocean-anchor-ip")], "saved");
    assert!(
        !ours(&node).keys().any(|key| key.starts_with("annotation k8s.haim.dev/digital-ocean")),
        "{node:?}"
    );

    // A change of the DaemonSets makes their controller look again: it still wants no pod.
    let api: Api<DaemonSet> = Api::namespaced(cluster.client(), NAMESPACE);
    for name in &daemon_sets {
        let change = json!({"spec": {"revisionHistoryLimit": 7}});
        api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await?;
    }
    wait_until_gone(&cluster, &daemon_sets).await?;

    let events = cluster.events().all();
    assert_eq!((starts(&events), restarts(&events)), (9, 0), "{events:#?}");
    assert_eq!(exit_codes(&events), [0; 9], "{events:#?}");
    assert!(!events.iter().any(|event| event.what == What::Killed), "{events:#?}");

    let pods = cluster
        .requests(|request| request.object.resource == "pods" && request.object.namespace == NAMESPACE);
    let pods = pods.await?;
    let by_controller = |verb: &str| {
        let requests =
            pods.iter().filter(|request| request.verb == verb && request.object.subresource.is_empty());
        requests.filter(|request| request.user_agent.contains("daemon-set-controller")).collect::<Vec<_>>()
    };
    assert_eq!(by_controller("create").len(), 9);
    // It may ask more than once for a pod that takes its time to go.
    let deleted: BTreeSet<_> = by_controller("delete").iter().map(|request| &request.object.name).collect();
    assert_eq!(deleted.len(), 9, "{deleted:?}");

    let requests = cluster.annotator_requests().await?;
    assert_eq!(requests.len(), 9, "one request per run: {requests:#?}");
    assert!(requests.iter().all(|request| request.verb == "patch" && request.code() == 200), "{requests:#?}");
    Ok(())
}

#[tokio::test]
async fn a_node_added_later_runs_once_and_a_label_taken_away_runs_again_only_there() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    cluster.add_node(node_of("first", "intel-xeon")).await?;
    cluster.add_node(node_of("second", "amd-epyc")).await?;
    let daemon_sets = install_combined(&cluster).await?;
    for node in ["first", "second"] {
        wait_for_label(&cluster, node, &key("kernel")).await?;
    }
    wait_until_gone(&cluster, &daemon_sets).await?;
    assert_eq!(starts(&cluster.events().all()), 2);

    cluster.add_node(node_of("later", "neoverse-n1")).await?;
    wait_for_label(&cluster, "later", &key("kernel")).await?;
    wait_until_gone(&cluster, &daemon_sets).await?;
    assert_eq!((starts(&cluster.events().all()), starts(&cluster.events().on_node("later"))), (3, 1));

    cluster.label_node("first", &key("kernel"), None).await?;
    wait_for_label(&cluster, "first", &key("kernel")).await?;
    wait_until_gone(&cluster, &daemon_sets).await?;
    assert_eq!((starts(&cluster.events().all()), starts(&cluster.events().on_node("first"))), (4, 2));
    assert_eq!(exit_codes(&cluster.events().all()), [0; 4]);
    Ok(())
}

#[tokio::test]
async fn a_node_that_the_seed_of_this_project_has_annotated_does_not_run_again() -> Result<()> {
    let metadata = MetadataServer::start(Answer::droplet("10.17.0.9")).await?;
    let cluster = Cluster::start(Options::default()).await?;
    let anchor_ip = key("digital-ocean-anchor-ip");
    let marked = droplet("marked", &metadata).label(&anchor_ip, "saved").annotation(&anchor_ip, "10.17.0.1");
    cluster.add_node(marked).await?;
    cluster.add_node(droplet("new", &metadata)).await?;
    let daemon_sets =
        crate::support::install(&cluster, &crate::support::settings("digital-ocean-anchor-ip")).await?;
    wait_for_label(&cluster, "new", &anchor_ip).await?;
    wait_until_gone(&cluster, &daemon_sets).await?;

    assert_eq!(cluster.events().on_node("marked").len(), 0);
    assert_eq!(annotations(&cluster.node("marked").await?)[&anchor_ip], "10.17.0.1");
    assert_eq!(annotations(&cluster.node("new").await?)[&anchor_ip], "10.17.0.9");
    assert_eq!(metadata.connections(), 1);
    Ok(())
}

#[tokio::test]
async fn the_library_half_writes_what_the_process_writes() -> Result<()> {
    let mut written = Vec::new();
    for runtime in [None, Some(Arc::new(InProcess) as Arc<dyn Runtime>)] {
        let metadata = MetadataServer::start(Answer::droplet("10.17.0.9")).await?;
        let cluster = Cluster::start(Options { runtime, ..Options::default() }).await?;
        cluster.add_node(droplet("n1", &metadata)).await?;
        let daemon_sets = install_combined(&cluster).await?;
        wait_for_label(&cluster, "n1", &key("kernel")).await?;
        wait_until_gone(&cluster, &daemon_sets).await?;
        let requests = cluster.annotator_requests().await?;
        assert_eq!(requests.len(), 1, "{requests:#?}");
        assert_eq!(exit_codes(&cluster.events().all()), [0]);
        written.push((ours(&cluster.node("n1").await?), requests[0].request_object.clone()));
    }
    assert_eq!(written[0], written[1]);
    Ok(())
}
