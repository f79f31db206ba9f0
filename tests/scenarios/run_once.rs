//! The promise itself: each node runs once, and the DaemonSet controller takes the pod away.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::Api;
use kube::api::{Patch, PatchParams};
use node_annotator_deploy::Settings;
use node_annotator_tests::kubelet::InProcess;
use node_annotator_tests::kubelet::events::What;
use node_annotator_tests::kubelet::runtime::Runtime;
use node_annotator_tests::metadata::{Answer, MetadataServer};
use node_annotator_tests::{Cluster, NodeSpec, Options};
use serde_json::json;

use crate::support::{
    COLLECTORS, NAMESPACE, annotations, droplet, exit_codes, install, install_all, install_combined, key,
    labels, node_of, ours, restarts, saved, settings, starts, wait_for_label, wait_until_gone,
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
            assert_eq!(labels(&node)[&key(collector)], saved(collector));
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
    let daemon_sets = install(&cluster, &settings("digital-ocean-anchor-ip")).await?;
    wait_for_label(&cluster, "new", &anchor_ip).await?;
    wait_until_gone(&cluster, &daemon_sets).await?;

    assert_eq!(cluster.events().on_node("marked").len(), 0);
    assert_eq!(annotations(&cluster.node("marked").await?)[&anchor_ip], "10.17.0.1");
    assert_eq!(annotations(&cluster.node("new").await?)[&anchor_ip], "10.17.0.9");
    assert_eq!(metadata.connections(), 1);
    Ok(())
}

#[tokio::test]
async fn what_this_version_does_not_know_is_done_and_told_and_the_day_stands_beside_facts_alone() -> Result<()>
{
    let cluster = Cluster::start(Options::default()).await?;
    let untold = cluster.folder().join("untold");
    std::fs::create_dir_all(untold.join("proc"))?;
    std::fs::write(
        untold.join("proc/cpuinfo"),
        "processor\t: 0\nCPU implementer\t: 0x61\nCPU part\t: 0x000\n",
    )?;
    let untold = NodeSpec::new("untold").env("NODE_ANNOTATOR_HOST_ROOT", untold.to_string_lossy());
    cluster.add_node(untold).await?;
    cluster.add_node(node_of("told", "intel-xeon")).await?;
    let settings = Settings { stamp_day: true, ..settings("cpu-model") };
    let daemon_sets = install(&cluster, &settings).await?;
    let told = wait_for_label(&cluster, "told", &key("cpu-model")).await?;
    let untold = wait_for_label(&cluster, "untold", &key("cpu-model")).await?;
    wait_until_gone(&cluster, &daemon_sets).await?;

    let day = &annotations(&told)[&key("cpu-model.collected-at")];
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let days = [today.yesterday()?, today].map(|day| day.to_string());
    assert!(days.contains(day), "{day}");
    let found: Vec<_> = ours(&untold).into_iter().collect();
    let error = "unknown here: the Arm core does not tell which it is (implementer 0x61, part 0x000)";
    assert_eq!(
        found,
        [("annotation k8s.haim.dev/cpu-model.error", error), ("label k8s.haim.dev/cpu-model", "saved"),]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
    assert_eq!(exit_codes(&cluster.events().all()), [0, 0]);
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
