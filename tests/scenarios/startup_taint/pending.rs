//! A workload waits for the facts, and the scheduler binds it then.

use std::sync::{Arc, Mutex};

use anyhow::{Result, ensure};
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use kube::runtime::watcher::watch_object;
use node_annotator_tests::{Cluster, Options};
use serde_json::json;

use super::{OTHER_TAINT, TAINT, is_done, tainting, taints, wait_for_taint_to_go};
use crate::support::{
    COLLECTORS, annotations, install, key, node_of, serves_mutating_policies, wait_until_gone,
};

#[tokio::test]
async fn a_workload_is_bound_once_all_facts_are_there_and_other_taints_stay() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    if !serves_mutating_policies(&cluster).await {
        return Ok(());
    }
    let node = node_of("n1", "intel-xeon").taint(TAINT, "NoSchedule").taint(OTHER_TAINT, "NoSchedule");
    cluster.add_node(node).await?;
    let states = record(&cluster, "n1");
    add_workload(&cluster).await?;
    wait_for_pod(&cluster, "to wait for the taint", |pod| {
        let conditions = pod.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
        conditions.filter_map(|condition| condition.message.as_deref()).any(|text| text.contains("taint"))
    })
    .await?;

    let sets = install(&cluster, &tainting()).await?;
    let freed = wait_for_taint_to_go(&cluster, "n1").await?;
    assert!(taints(&freed).contains(&OTHER_TAINT), "{:?}", taints(&freed));
    let bound = wait_for_pod(&cluster, "to be bound", |pod| {
        pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())
    })
    .await?;
    wait_until_gone(&cluster, &sets[..1]).await?;

    // Revisions of one etcd count up, whatever the object.
    let states = states.lock().expect("nobody panics with it").clone();
    let done = |node: &Node| COLLECTORS.iter().filter(|collector| is_done(node, collector)).count();
    let mut partly = 0;
    for node in &states {
        let (done, is_tainted) = (done(node), taints(node).contains(&TAINT));
        ensure!(is_tainted == (done < COLLECTORS.len()), "{done} done, tainted: {is_tainted}");
        ensure!(is_tainted || annotations(node).contains_key(&key("kernel")), "no facts: {node:?}");
        partly += usize::from((1..COLLECTORS.len()).contains(&done));
    }
    assert!(partly > 0, "one write did it all: nothing is said of several DaemonSets");
    let last_tainted = states.iter().rfind(|node| taints(node).contains(&TAINT)).map(revision);
    assert!(Some(revision(&bound)) > last_tainted, "{last_tainted:?}");
    Ok(())
}

/// Every state of a Node from now on that the API server tells of.
fn record(cluster: &Cluster, name: &str) -> Arc<Mutex<Vec<Node>>> {
    let states = Arc::new(Mutex::new(Vec::new()));
    let (nodes, name, recorded) = (Api::<Node>::all(cluster.client()), name.to_owned(), Arc::clone(&states));
    tokio::spawn(async move {
        let mut changes = watch_object(nodes, &name).boxed();
        while let Some(change) = changes.next().await {
            if let Ok(Some(node)) = change {
                recorded.lock().expect("nobody panics with it").push(node);
            }
        }
    });
    states
}

fn revision<K: kube::Resource>(object: &K) -> u64 {
    let revision = object.meta().resource_version.as_ref();
    revision.and_then(|revision| revision.parse().ok()).expect("a number")
}

/// It tolerates what is somebody else's, and not the startup taint.
async fn add_workload(cluster: &Cluster) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), "default");
    let is_there = |found: Option<&ServiceAccount>| found.map(drop).ok_or_else(|| "none".to_owned());
    cluster.wait_for_object(accounts, "default", "the account of the namespace", is_there).await?;
    let pod = json!({
        "metadata": {"name": "workload"},
        "spec": {
            "containers": [{"name": "workload", "image": "none", "command": ["sleep", "3600"]}],
            "tolerations": [{"key": OTHER_TAINT, "operator": "Exists"}],
            "terminationGracePeriodSeconds": 1,
        },
    });
    let pods: Api<Pod> = Api::namespaced(cluster.client(), "default");
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    Ok(())
}

async fn wait_for_pod(cluster: &Cluster, what: &str, is_so: impl Fn(&Pod) -> bool) -> Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), "default");
    cluster
        .wait_for_object(pods, "workload", &format!("the workload {what}"), |pod| match pod {
            Some(pod) if is_so(pod) => Ok(pod.clone()),
            pod => Err(format!("{:?}", pod.and_then(|pod| pod.status.as_ref()))),
        })
        .await
}
