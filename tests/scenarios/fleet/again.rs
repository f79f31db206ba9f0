//! What runs again by itself, and pods that have run and are still there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt as _;
use kube::api::PostParams;
use node_annotator_tests::audit::Request;

use super::*;
use crate::support::{NAMESPACE, annotations, labels, ours, wait_for_label, wait_until_gone};

pub(super) const EXPIRE: &str = "node-annotator-expire";

#[tokio::test]
async fn what_is_stale_runs_again_by_itself_and_a_pod_that_lingers_is_waited_for() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let is_slow = Arc::new(AtomicBool::new(false));
    cluster.add_node(node_of("worker-1", "intel-xeon")).await?;
    let root = add_rebooting(&cluster).await?;
    cluster.add_node(slow("slow-1", &is_slow)?).await?;
    let expire = Some("@hourly".parse()?);
    let sets = install(&cluster, &Settings { expire, ..combined() }).await?;
    settle(&cluster, &sets).await?;

    Box::pin(a_node_that_was_rebooted_runs_again_once(&cluster, &root, &sets)).await?;
    a_lingering_pod_is_waited_for(&cluster, &is_slow, &sets).await?;
    super::roles::each_right_is_needed_and_no_other(&cluster).await
}

pub(super) fn combined() -> Settings {
    Settings { layout: Layout::Combined, ..settings(&COLLECTORS.join(",")) }
}

async fn settle(cluster: &Cluster, sets: &[String]) -> Result<()> {
    for node in ["worker-1", "reboot-1", "slow-1"] {
        for collector in COLLECTORS {
            wait_for_label(cluster, node, &key(collector)).await?;
        }
    }
    wait_until_gone(cluster, sets).await
}

/// Its pods start a second late, while the switch is on.
fn slow(name: &str, is_slow: &Arc<AtomicBool>) -> Result<NodeSpec> {
    let (binary, is_slow) = (annotator_binary()?.to_string_lossy().into_owned(), is_slow.clone());
    Ok(node_of(name, "intel-xeon").before_start(move |container| {
        if is_slow.load(Ordering::Relaxed) {
            let arguments = container.command.split_off(1);
            let late = ["sh", "-c", "sleep 2; exec \"$0\" \"$@\"", binary.as_str()].map(str::to_owned);
            container.command = late.into_iter().chain(arguments).collect();
        }
    }))
}

/// Runs the CronJob's own command, as `kubectl create job --from=cronjob/expire` does, and returns whether it
/// succeeded.
async fn expire_by_job(cluster: &Cluster, name: &str) -> Result<bool> {
    let cron_jobs = Api::<CronJob>::namespaced(cluster.client(), EXPIRE);
    let template = cron_jobs.get("expire").await?.spec.context("no spec")?.job_template;
    let job = Job {
        metadata: kube::core::ObjectMeta {
            name: Some(name.to_owned()),
            ..template.metadata.unwrap_or_default()
        },
        spec: template.spec,
        status: None,
    };
    let jobs = Api::<Job>::namespaced(cluster.client(), EXPIRE);
    jobs.create(&PostParams::default(), &job).await?;
    cluster
        .wait_for_object(jobs, name, "the job to end", |job| {
            let status = job.and_then(|job| job.status.as_ref()).ok_or("no status")?;
            match (status.succeeded, status.failed) {
                (Some(1..), _) => Ok(true),
                (_, Some(1..)) => Ok(false),
                _ => Err(format!("{status:?}")),
            }
        })
        .await
}

/// The labels that the CronJob's account has taken away, by node, in the order of its requests.
pub(super) async fn removed(cluster: &Cluster) -> Result<Vec<String>> {
    let is_of_expire = |request: &Request| {
        request.verb == "patch"
            && request.object.resource == "nodes"
            && request.user.username == format!("system:serviceaccount:{EXPIRE}:node-annotator")
            && request.response_status.as_ref().is_some_and(|status| status.code == 200)
    };
    let mut found = Vec::new();
    for request in cluster.requests(is_of_expire).await? {
        let operations = request.request_object.clone().unwrap_or_default();
        let removals = operations.as_array().into_iter().flatten().filter(|it| it["op"] == "remove");
        let names = removals.filter_map(|it| it["path"].as_str()?.rsplit("~1").next().map(str::to_owned));
        found.push(format!("{}: {}", request.object.name, names.collect::<Vec<_>>().join(",")));
    }
    Ok(found)
}

async fn a_node_that_was_rebooted_runs_again_once(
    cluster: &Cluster,
    root: &Path,
    sets: &[String],
) -> Result<()> {
    ensure!(expire_by_job(cluster, "fresh").await?, "nothing is stale");
    assert_eq!(removed(cluster).await?, Vec::<String>::new());

    boot(root, BOOTS[1])?;
    tell_boot(cluster, "reboot-1", BOOTS[1]).await?;
    let before = labels(&cluster.node("reboot-1").await?).clone();
    // Two at once: each removes what the other has not.
    let both = tokio::try_join!(expire_by_job(cluster, "one"), expire_by_job(cluster, "other"))?;
    assert_eq!(both, (true, true));
    assert_eq!(removed(cluster).await?, ["reboot-1: cpu-model,kernel"]);
    let is_new =
        |node: &Node| annotations(node).get(&key("kernel.boot-id")).is_some_and(|id| *id == BOOTS[1][..8]);
    cluster
        .wait_for_node("reboot-1", "the facts of this boot", |node| {
            if is_new(node) { Ok(()) } else { Err(format!("{:?}", ours(node))) }
        })
        .await?;
    settle(cluster, sets).await?;
    assert_eq!(labels(&cluster.node("reboot-1").await?), &before);

    // The kubelet tells of a boot that runs never see: once for this pair, and then it is told.
    tell_boot(cluster, "reboot-1", BOOTS[2]).await?;
    ensure!(expire_by_job(cluster, "differs").await?, "it runs again");
    settle(cluster, sets).await?;
    for name in ["still", "for-good"] {
        ensure!(!expire_by_job(cluster, name).await?, "that they still differ is an error");
    }
    assert_eq!(removed(cluster).await?, ["reboot-1: cpu-model,kernel"; 2]);
    let states = states(cluster, &["--nodes", "reboot-1"]).await?;
    assert_eq!(states[&format!("reboot-1 {ANCHOR_IP}")], "done", "{states:?}");
    // A node that is gone is forgotten.
    let records = Api::<ConfigMap>::namespaced(cluster.client(), EXPIRE);
    let with_gone = Patch::Merge(json!({"data": {"gone-1": "1bd2a6f4"}}));
    records.patch("expired", &PatchParams::default(), &with_gone).await?;
    tell_boot(cluster, "reboot-1", BOOTS[1]).await?;
    ensure!(expire_by_job(cluster, "forgets").await?, "nothing is stale");
    let record = records.get("expired").await?.data.unwrap_or_default();
    assert_eq!(record.into_keys().collect::<Vec<_>>(), ["reboot-1"]);
    Ok(())
}

async fn a_lingering_pod_is_waited_for(
    cluster: &Cluster,
    is_slow: &AtomicBool,
    sets: &[String],
) -> Result<()> {
    is_slow.store(true, Ordering::Relaxed);
    cluster.label_node("slow-1", &key("kernel"), None).await?;
    let is_running = |pods: &[Pod]| {
        pods.iter().any(|pod| pod.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Running"))
    };
    wait::until("its pod to run", async || {
        let pods = cluster.pods(NAMESPACE).await?;
        ensure!(is_running(&pods), "{pods:?}");
        Ok(())
    })
    .await?;
    // It runs to its end, and nobody takes it away.
    cluster.control_plane().pause_controllers()?;
    wait_for_label(cluster, "slow-1", &key("kernel")).await?;
    let lingering: Vec<_> = cluster.pods(NAMESPACE).await?.iter().map(Pod::name_any).collect();
    assert_eq!(lingering.len(), 1, "{lingering:?}");
    is_slow.store(false, Ordering::Relaxed);

    let arguments =
        ["rerun", "--collectors", "kernel", "--nodes", "slow-1,worker-1", "--wait", "--timeout", "30s"];
    let before = cluster.annotator_requests().await?.len();
    let again = command(cluster, &arguments)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    wait::until("it to look at the pods again and again", async || {
        let requests = cluster.annotator_requests().await?.split_off(before);
        let of_pods = |it: &&Request| it.verb == "list" && it.object.resource == "pods";
        let looks = requests.iter().filter(of_pods).count();
        ensure!(looks >= 4, "{looks}");
        Ok(())
    })
    .await?;
    let node = cluster.node("slow-1").await?;
    assert!(
        labels(&node).contains_key(&key("kernel")),
        "its pod would stay, and run nothing: {:?}",
        ours(&node)
    );
    cluster.control_plane().resume_controllers()?;
    let again = again.wait_with_output().await?;
    let stderr = String::from_utf8(again.stderr)?;
    assert_eq!(again.status.code(), Some(0), "{stderr}");
    assert!(stderr.ends_with("nodes changed: 2\nnodes done again: 2, failed: 0\n"), "{stderr}");
    settle(cluster, sets).await
}
