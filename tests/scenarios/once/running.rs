//! What becomes of a task on its nodes.

use std::path::Path;

use anyhow::{Context as _, Result};
use node_annotator_tests::kubelet::events::What;
use node_annotator_tests::{Cluster, NodeSpec};
use serde_json::json;

use super::{apply, apply_script, cluster, fact, mark, run, states, wait_for_label, wait_until_gone, writes};

#[tokio::test]
async fn a_task_runs_once_on_each_node_and_again_when_it_is_another() -> Result<()> {
    let cluster = cluster().await?;
    cluster.add_node(NodeSpec::new("n2")).await?;
    let folder = cluster.folder().to_owned();
    success(&cluster, &folder).await?;
    changed(&cluster, &folder).await?;
    check(&cluster, &folder).await?;
    killed(&cluster, &folder).await?;
    manifests_of_others(&cluster, &folder).await
}

#[tokio::test]
async fn a_task_that_fails_says_why_at_once_and_ends() -> Result<()> {
    let cluster = cluster().await?;
    let script = "echo working; echo 'no space \u{202e}left' >&2; exit 7";
    apply_script(&cluster, "broken", &["--tries=2"], script).await?;
    let told = cluster
        .wait_for_node("n1", "the error", |node| {
            fact(node, "broken.error").map(str::to_owned).ok_or_else(|| "no error".to_owned())
        })
        .await?;
    assert!(told.starts_with("`broken`: exit code 7: ") && told.contains("no space left"), "{told}");
    let node = wait_for_label(&cluster, "n1", "broken.failed").await?;
    assert_eq!(mark(&node, "broken"), None);
    wait_until_gone(&cluster, "broken").await?;
    assert_eq!(writes(&cluster).await?, 2);
    // In the words of the commands for a fleet it is a collector like any other.
    let status = run(&cluster, &["status", "--namespace=once-broken", "-o", "json"], "").await?;
    let told = states(&status.stdout).context(status.stderr)?;
    let (node, state, why) = &told[0];
    assert_eq!((node.as_str(), state.as_str()), ("n1", "given-up"), "{told:?}");
    assert!(why.contains("exit code 7"), "{why}");
    let rerun = run(&cluster, &["rerun", "--namespace=once-broken", "--failed"], "").await?;
    assert_eq!(rerun.code, 0, "{rerun:?}");
    wait_until_gone(&cluster, "broken").await?;

    apply_script(&cluster, "silent", &["--tries=1", "--no-output"], "echo secret; exit 3").await?;
    let node = wait_for_label(&cluster, "n1", "silent.failed").await?;
    assert_eq!(fact(&node, "silent.error"), Some("`silent`: exit code 3"));

    apply_script(&cluster, "hanging", &["--tries=1", "--timeout=1s"], "sleep 1000").await?;
    let node = wait_for_label(&cluster, "n1", "hanging.failed").await?;
    assert_eq!(fact(&node, "hanging.error"), Some("`hanging`: timed out after 1s"));
    Ok(())
}

async fn success(cluster: &Cluster, folder: &Path) -> Result<()> {
    let count = folder.join("count");
    let script = format!(
        "echo x >> {}; echo ready > $NODE_ANNOTATOR_FACTS/value; echo 42 > $NODE_ANNOTATOR_FACTS/rack",
        count.display()
    );
    apply_script(cluster, "tune", &["--fact=rack", "--retired-fact=old"], &script).await?;
    for node in ["n1", "n2"] {
        let node = wait_for_label(cluster, node, "tune").await?;
        assert!(mark(&node, "tune").is_some_and(|value| value.starts_with('h')));
        assert_eq!((fact(&node, "tune"), fact(&node, "tune.rack")), (Some("ready"), Some("42")));
    }
    wait_until_gone(cluster, "tune").await?;
    assert_eq!(writes(cluster).await?, 2, "one write on each node");
    let events = cluster.events().all();
    let restarts = events.iter().filter(|event| matches!(event.what, What::Started { restart: 1.., .. }));
    assert_eq!(restarts.count(), 0);
    assert!(!events.iter().any(|event| event.what == What::Killed), "{events:#?}");
    // The same input changes nothing.
    apply_script(cluster, "tune", &["--fact=rack", "--retired-fact=old"], &script).await?;
    wait_until_gone(cluster, "tune").await?;
    assert_eq!(std::fs::read_to_string(&count)?, "x\nx\n");
    // What it tries on a node that has just been written is too soon.
    node_annotator_tests::wait::until("doctor to find nothing", async || {
        let doctor = run(cluster, &["doctor", "--namespace=once-tune"], "").await?;
        anyhow::ensure!(doctor.code == 0, "{}{}", doctor.stdout, doctor.stderr);
        Ok(())
    })
    .await
}

async fn changed(cluster: &Cluster, folder: &Path) -> Result<()> {
    let before = cluster.node("n1").await?;
    let count = folder.join("count");
    // Another one: it runs again by itself, and the fact that it does not write any more is deleted.
    let script = format!("echo y >> {}; echo twice > $NODE_ANNOTATOR_FACTS/value", count.display());
    apply_script(cluster, "tune", &["--fact=rack"], &script).await?;
    let label = mark(&before, "tune").map(str::to_owned);
    let node = cluster
        .wait_for_node("n1", "another value", |node| {
            if mark(node, "tune").map(str::to_owned) == label {
                Err("the same".to_owned())
            } else {
                Ok(node.clone())
            }
        })
        .await?;
    assert_eq!((fact(&node, "tune"), fact(&node, "tune.rack")), (Some("twice"), None));
    wait_until_gone(cluster, "tune").await
}

async fn check(cluster: &Cluster, folder: &Path) -> Result<()> {
    let ran = folder.join("ran");
    let script = format!("touch {}", ran.display());
    apply_script(cluster, "already", &["--check", "echo there is one"], &script).await?;
    wait_for_label(cluster, "n1", "already").await?;
    wait_until_gone(cluster, "already").await?;
    assert!(!ran.exists());
    apply_script(cluster, "needed", &["--check", r#"["false"]"#], &script).await?;
    wait_for_label(cluster, "n1", "needed").await?;
    assert!(ran.exists());
    wait_until_gone(cluster, "needed").await
}

/// A container that is killed is started again by the kubelet, and its command counts as failed.
async fn killed(cluster: &Cluster, folder: &Path) -> Result<()> {
    let (first, second) = (folder.join("first"), folder.join("second"));
    let script = format!(
        "if test -e {0}; then touch {1}; else touch {0}; sleep 1000; fi",
        first.display(),
        second.display()
    );
    let selector = ["--node-selector=kubernetes.io/hostname=n1"];
    apply_script(cluster, "killed", &selector, &script).await?;
    node_annotator_tests::wait::until("the command to start", async || {
        anyhow::ensure!(first.exists(), "not yet");
        Ok(())
    })
    .await?;
    assert!(cluster.kubelet().kill_containers("n1") > 0);
    wait_for_label(cluster, "n1", "killed").await?;
    assert!(second.exists());
    wait_until_gone(cluster, "killed").await?;
    assert_eq!(mark(&cluster.node("n2").await?, "killed"), None, "only the selected node");
    Ok(())
}

/// A manifest from somewhere else: what comes before the main container, and what fails there.
async fn manifests_of_others(cluster: &Cluster, folder: &Path) -> Result<()> {
    let ran = folder.join("main-ran");
    let job = |init: &str| {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": {
            "backoffLimit": 0,
            "template": {"spec": {
                "restartPolicy": "Never",
                "initContainers": [
                    {"name": "first", "image": "a", "command": ["sh", "-c", init]},
                    {"name": "proxy", "image": "a", "restartPolicy": "Always", "command": ["sleep", "1000"]},
                ],
                "containers": [{"name": "main", "image": "b", "command": ["touch", ran.to_string_lossy()]}],
            }},
        }})
        .to_string()
    };
    apply(cluster, &["job", "-f", "-"], &job("exit 9")).await?;
    let node = wait_for_label(cluster, "n1", "job.failed").await?;
    assert_eq!(fact(&node, "job.error"), Some("`first`: exit code 9"));
    wait_until_gone(cluster, "job").await?;
    assert!(!ran.exists(), "what follows a failed step ran");
    apply(cluster, &["job", "-f", "-"], &job("exit 0")).await?;
    let node = wait_for_label(cluster, "n1", "job").await?;
    assert_eq!((fact(&node, "job.error"), mark(&node, "job.failed")), (None, None));
    assert!(ran.exists());
    wait_until_gone(cluster, "job").await
}
