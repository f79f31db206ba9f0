//! Others write taints on the same Node at the same moment: none of theirs is lost, and ours does not come
//! back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Node, Taint};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use node_annotator_deploy::policy::Scope;
use node_annotator_deploy::{Manifests, Object};
use node_annotator_tests::{Cluster, NodeSpec, Options, wait};
use serde_json::json;

use super::{TAINT, tainting, taints};
use crate::attack::{add_pod, client};
use crate::support::{COLLECTORS, NAMESPACE, add_settled, key, labels, saved, serves_mutating_policies};

const WRITERS: usize = 4;
const ROUNDS: usize = 60;

#[tokio::test]
async fn several_writers_of_taints_lose_none_and_the_startup_taint_stays_away() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    if !serves_mutating_policies(&cluster).await {
        return Ok(());
    }
    let settings = tainting();
    for object in
        Manifests::new(&settings)?.objects().filter(|object| !matches!(object, Object::DaemonSet(_)))
    {
        cluster.apply(object).await?;
    }
    add_settled(&cluster, NodeSpec::new("n1").taint(TAINT, "NoSchedule")).await?;
    let pod = add_pod(&cluster, NAMESPACE, "node-annotator", "n1").await?;
    let run = client(&cluster, NAMESPACE, "node-annotator", Some(&pod)).await?;
    let scope = Scope::new(&settings);
    let labels = COLLECTORS.map(|collector| (scope.prefix.done(collector), json!(saved(collector))));
    let done = json!({"metadata": {"labels": labels.into_iter().collect::<serde_json::Map<_, _>>()}});
    wait::until("both policies to be in force", async || patch(&run, &done).await.map(drop)).await?;

    let (ended, conflicts, written) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let writers = futures_util::future::try_join_all(
        (0..WRITERS).map(|index| write_taints(cluster.client(), index, &ended, &conflicts, &written)),
    );
    let rounds = async {
        let result = rounds(&cluster, &run, &done, &written).await;
        ended.store(true, Ordering::Relaxed);
        result
    };
    let (_, refused) = tokio::try_join!(writers, rounds)?;
    let (written, conflicts) = (written.into_inner(), conflicts.into_inner());
    eprintln!(
        "{ROUNDS} runs, {refused} of them told of a conflict; {written} taints of {WRITERS} writers, {conflicts} conflicts of theirs"
    );
    ensure!(conflicts > 0, "the writers did not meet anybody");
    Ok(())
}

/// Each round the node is born anew, and done. Returns how often the run had to try again.
async fn rounds(
    cluster: &Cluster,
    run: &Client,
    done: &serde_json::Value,
    written: &AtomicUsize,
) -> Result<usize> {
    let nodes: Api<Node> = Api::all(cluster.client());
    let mut refused = 0;
    for round in 0..ROUNDS {
        loop {
            let mut node = nodes.get("n1").await?;
            let taint = Taint { key: TAINT.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
            node.spec.get_or_insert_default().taints.get_or_insert_default().push(taint);
            let labels = node.metadata.labels.get_or_insert_default();
            labels.retain(|name, _| !COLLECTORS.iter().any(|collector| *name == key(collector)));
            match nodes.replace("n1", &PostParams::default(), &node).await {
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                answer => break drop(answer?),
            }
        }
        let before = written.load(Ordering::Relaxed);
        loop {
            match patch(run, done).await {
                Ok(()) => break,
                // As a run takes it: tried again.
                Err(kube::Error::Api(status)) if status.code == 409 => refused += 1,
                Err(error) => return Err(error).with_context(|| format!("round {round}")),
            }
        }
        // Until the writers have written on top of it, with what they had read before.
        wait::until_within(Duration::from_secs(30), "the writers to write", async || {
            let count = written.load(Ordering::Relaxed);
            if count >= before + WRITERS { Ok(()) } else { Err(anyhow::anyhow!("{count}")) }
        })
        .await?;
        let node = nodes.get("n1").await?;
        ensure!(!taints(&node).contains(&TAINT), "round {round}: it is back: {:?}", taints(&node));
        ensure!(COLLECTORS.iter().all(|name| labels(&node).contains_key(&key(name))), "round {round}");
    }
    Ok(refused)
}

async fn patch(client: &Client, change: &serde_json::Value) -> kube::Result<()> {
    let parameters =
        PatchParams { field_manager: Some("node-annotator".to_owned()), ..PatchParams::default() };
    let nodes: Api<Node> = Api::all(client.clone());
    // Only what is patched is read.
    nodes.patch_metadata("n1", &parameters, &Patch::Merge(change)).await.map(drop)
}

/// Reads the list, takes its own taint out of it or puts it in, and writes it back, if nobody has written
/// meanwhile. What it has written it has to find again.
async fn write_taints(
    client: Client,
    index: usize,
    ended: &AtomicBool,
    conflicts: &AtomicUsize,
    written: &AtomicUsize,
) -> Result<()> {
    let nodes: Api<Node> = Api::all(client);
    let own = format!("example.com/writer-{index}");
    let mut is_set = false;
    while !ended.load(Ordering::Relaxed) {
        let mut node = nodes.get("n1").await?;
        ensure!(taints(&node).contains(&own.as_str()) == is_set, "the taint of writer {index} is lost");
        let list = node.spec.get_or_insert_default().taints.get_or_insert_default();
        if is_set {
            list.retain(|taint| taint.key != own);
        } else {
            list.push(Taint { key: own.clone(), effect: "PreferNoSchedule".to_owned(), ..Taint::default() });
        }
        match nodes.replace("n1", &PostParams::default(), &node).await {
            Ok(_) => {
                is_set = !is_set;
                written.fetch_add(1, Ordering::Relaxed);
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                conflicts.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
