//! Collectors that keep failing: the pod stays for a while, and then goes for good, until somebody asks for
//! another run.

use std::time::Duration;

use anyhow::{Result, anyhow};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::DeleteParams;
use node_annotator_core::{DoneMark, GiveUpAfter};
use node_annotator_deploy::{Layout, Settings};
use node_annotator_tests::kubelet::events::{Event, What};
use node_annotator_tests::metadata::{Answer, MetadataServer};
use node_annotator_tests::{Cluster, Options, wait};

use crate::support::{
    COLLECTORS, NAMESPACE, add_settled, annotations, droplet, exit_codes, install, key, labels, node_of,
    ours, saved, settings, starts, wait_for_label, wait_until_gone,
};

const ANCHOR_IP: &str = "digital-ocean-anchor-ip";
const ANCHOR_IP_FAILED: &str = "digital-ocean-anchor-ip.failed";
const ANCHOR_IP_ERROR: &str = "digital-ocean-anchor-ip.error";

/// Stands in for whoever lets nobody change a Node.
const REFUSE: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: nodes-are-not-yours}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [UPDATE], resources: [nodes]}]}
  matchConditions:
  - {name: of-pods, expression: "request.userInfo.username.startsWith('system:serviceaccount:node-annotator:')"}
  validations:
  - {expression: "false", message: "nodes are not yours"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: nodes-are-not-yours}
spec: {policyName: nodes-are-not-yours, validationActions: [Deny]}
"#;

/// One DaemonSet for all, which gives up soon: at the second or third try. One try alone asks four times, for
/// seconds.
fn impatient() -> Settings {
    Settings {
        layout: Layout::Combined,
        give_up_after: GiveUpAfter::Time(Duration::from_secs(8)),
        ..settings(&COLLECTORS.join(","))
    }
}

async fn wait_for_label_to_go(cluster: &Cluster, node: &str, name: &str) -> Result<Node> {
    cluster
        .wait_for_node(node, &format!("the label {name} to go"), |node| {
            if labels(node).contains_key(name) { Err(format!("{:?}", ours(node))) } else { Ok(node.clone()) }
        })
        .await
}

#[tokio::test]
async fn what_is_given_up_is_marked_and_comes_again_when_the_operator_or_a_generation_asks() -> Result<()> {
    let metadata = MetadataServer::start(Answer::status(500, "out of order")).await?;
    let cluster = Cluster::start(Options::default()).await?;
    add_settled(&cluster, droplet("n1", &metadata)).await?;
    let sets = install(&cluster, &impatient()).await?;

    let given_up = wait_for_label(&cluster, "n1", &key(ANCHOR_IP_FAILED)).await?;
    assert_eq!(labels(&given_up)[&key(ANCHOR_IP_FAILED)], "saved");
    assert!(!labels(&given_up).contains_key(&key(ANCHOR_IP)), "it is not done");
    let error = "the metadata service of DigitalOcean answered with status 500";
    assert_eq!(annotations(&given_up)[&key(ANCHOR_IP_ERROR)], error);
    assert_eq!(labels(&given_up)[&key("kernel")], saved("kernel"));
    wait_until_gone(&cluster, &sets).await?;
    let events = cluster.events().all();
    assert_eq!((starts(&events), exit_codes(&events)), (1, vec![3]), "{events:#?}");
    assert!(!events.iter().any(|event| event.what == What::Killed), "{events:#?}");
    assert_eq!(writes(&cluster).await?, 2, "one at first, and one to give up");
    // A change of the DaemonSet makes its controller look again: it still wants no pod.
    let changed = Settings { give_up_after: GiveUpAfter::Time(Duration::from_secs(9)), ..impatient() };
    install(&cluster, &changed).await?;
    wait_until_gone(&cluster, &sets).await?;
    assert_eq!(starts(&cluster.events().all()), 1);

    // The operator takes the label away, and it runs again: in vain, and then not.
    cluster.label_node("n1", &key(ANCHOR_IP_FAILED), None).await?;
    wait_for_label(&cluster, "n1", &key(ANCHOR_IP_FAILED)).await?;
    wait_until_gone(&cluster, &sets).await?;
    assert_eq!(starts(&cluster.events().all()), 2);

    // Another generation tries it, although the label of the last one is still there.
    let second = Settings { mark: DoneMark::Generation("2".parse()?), ..impatient() };
    install(&cluster, &second).await?;
    cluster
        .wait_for_node("n1", "the second generation to be given up", |node| {
            let value = labels(node).get(&key(ANCHOR_IP_FAILED)).cloned();
            if value.as_deref() == Some("2") { Ok(()) } else { Err(format!("{:?}", ours(node))) }
        })
        .await?;
    wait_until_gone(&cluster, &sets).await?;
    assert_eq!(starts(&cluster.events().all()), 3);

    // What is done takes the label away, in the same PATCH.
    metadata.set(Answer::droplet("10.17.0.9"));
    install(&cluster, &Settings { mark: DoneMark::Generation("3".parse()?), ..impatient() }).await?;
    let done = wait_for_label_to_go(&cluster, "n1", &key(ANCHOR_IP_FAILED)).await?;
    assert_eq!(labels(&done)[&key(ANCHOR_IP)], "3");
    assert_eq!(annotations(&done)[&key(ANCHOR_IP)], "10.17.0.9");
    assert!(!annotations(&done).contains_key(&key(ANCHOR_IP_ERROR)), "{:?}", ours(&done));
    wait_until_gone(&cluster, &sets).await?;
    assert_eq!(writes(&cluster).await?, 2 + 2 + 2 + 1, "two for each that gave up, and one that is done");
    Ok(())
}

/// What was stored. A write that follows another one at once is sent again.
async fn writes(cluster: &Cluster) -> Result<usize> {
    let requests = cluster.annotator_requests().await?;
    Ok(requests.iter().filter(|request| request.code() == 200).count())
}

#[tokio::test]
async fn a_pause_between_two_tries_ends_with_the_pod() -> Result<()> {
    let metadata = MetadataServer::start(Answer::status(500, "out of order")).await?;
    let cluster = Cluster::start(Options::default()).await?;
    add_settled(&cluster, droplet("n1", &metadata)).await?;
    install(&cluster, &Settings { give_up_after: GiveUpAfter::Never, ..impatient() }).await?;
    wait_for_label(&cluster, "n1", &key("kernel")).await?;
    delete_daemon_set(&cluster).await?;
    let gone =
        |events: &[Event]| events.iter().any(|event| event.what == What::Removed).then(|| events.to_vec());
    let events = cluster.events().wait_for("the pod to go", gone).await?;
    assert_eq!(exit_codes(&events), [3], "{events:#?}");
    assert!(!events.iter().any(|event| event.what == What::Killed), "{events:#?}");
    Ok(())
}

#[tokio::test]
async fn a_pod_that_may_not_write_ends_after_a_pause_that_ends_with_the_pod() -> Result<()> {
    const NODES: [&str; 4] = ["n1", "n2", "n3", "n4"];
    let cluster = Cluster::start(Options::default()).await?;
    cluster.apply_yaml(REFUSE).await?;
    // The policy is in force long before the first pod: that waits for its token, its node and its DaemonSet.
    for node in NODES {
        add_settled(&cluster, node_of(node, "intel-xeon")).await?;
    }
    let set = install(&cluster, &impatient()).await?;
    wait::until("every node to be refused", async || {
        let requests = cluster.annotator_requests().await?;
        let refused = |node: &&&str| requests.iter().any(|it| it.is_on_node(node) && it.code() == 422);
        let count = NODES.iter().filter(refused).count();
        if count == NODES.len() { Ok(()) } else { Err(anyhow!("{count} nodes; {requests:#?}")) }
    })
    .await?;
    let waiting = starts(&cluster.events().all()) - exit_codes(&cluster.events().all()).len();
    assert!(
        waiting >= NODES.len() / 2,
        "they have a minute, and end in one moment: {}",
        cluster.events().tail()
    );

    // One of them comes to its end by itself.
    let ended = |events: &[Event]| exit_codes(events).first().copied();
    assert_eq!(cluster.events().wait_for("an end", ended).await?, 4, "{set:?}");
    delete_daemon_set(&cluster).await?;
    let removed = |events: &[Event]| {
        (events.iter().filter(|event| event.what == What::Removed).count() == NODES.len())
            .then(|| events.to_vec())
    };
    let events = cluster.events().wait_for("the pods to go", removed).await?;
    assert!(exit_codes(&events).iter().all(|code| *code == 4), "{events:#?}");
    assert!(!events.iter().any(|event| event.what == What::Killed), "{events:#?}");
    let stored = cluster.node("n1").await?;
    assert!(ours(&stored).is_empty(), "{stored:?}");
    Ok(())
}

async fn delete_daemon_set(cluster: &Cluster) -> Result<()> {
    let sets: Api<DaemonSet> = Api::namespaced(cluster.client(), NAMESPACE);
    sets.delete("node-annotator", &DeleteParams::default()).await?;
    Ok(())
}
