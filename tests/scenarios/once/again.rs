//! Tasks that run again: after a reboot, and in waves on the nodes that are released.

use std::path::Path;

use anyhow::{Result, ensure};
use node_annotator_tests::{Cluster, NodeSpec, Options, wait};

use super::{apply_script, fact, mark, run, states, wait_for_label, wait_until_gone};
use crate::fleet::{BOOTS, boot, tell_boot};
use crate::support::key;

/// How often a script ran that adds a line to a file.
fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn a_task_per_boot_runs_again_where_a_node_has_rebooted() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let root = |name: &str| cluster.folder().join(name);
    for (name, id) in [("n1", BOOTS[0]), ("n2", BOOTS[1])] {
        boot(&root(name), id)?;
        let node = NodeSpec::new(name).env("NODE_ANNOTATOR_HOST_ROOT", root(name).to_string_lossy());
        cluster.add_node(node).await?;
    }
    let (each_boot, once) = (root("each-boot"), root("once"));
    let script = |file: &Path| format!("echo x >> {}", file.display());
    apply_script(&cluster, "tune", &["--per-boot"], &script(&each_boot)).await?;
    apply_script(&cluster, "format", &[], &script(&once)).await?;
    for (name, id) in [("n1", BOOTS[0]), ("n2", BOOTS[1])] {
        let node = wait_for_label(&cluster, name, "tune").await?;
        assert_eq!(fact(&node, "tune.boot-id"), Some(&id[..8]));
        let node = wait_for_label(&cluster, name, "format").await?;
        assert_eq!(fact(&node, "format.boot-id"), None);
    }
    wait_until_gone(&cluster, "tune").await?;
    wait_until_gone(&cluster, "format").await?;

    boot(&root("n1"), BOOTS[2])?;
    tell_boot(&cluster, "n1", BOOTS[2]).await?;
    for task in ["tune", "format"] {
        let expired = run(&cluster, &["expire", "--namespace", &format!("once-{task}")], "").await?;
        assert_eq!(expired.code, 0, "{expired:?}");
    }
    let is_of_this_boot = |node: &_| {
        let is_told = fact(node, "tune.boot-id") == Some(&BOOTS[2][..8]) && mark(node, "tune").is_some();
        if is_told { Ok(()) } else { Err("not yet".to_owned()) }
    };
    cluster.wait_for_node("n1", "the boot that it ran in", is_of_this_boot).await?;
    wait_until_gone(&cluster, "tune").await?;
    wait_until_gone(&cluster, "format").await?;
    assert_eq!((lines(&each_boot), lines(&once)), (3, 2));
    // Once for each boot.
    let expired = run(&cluster, &["expire", "--namespace", "once-tune"], "").await?;
    assert_eq!(expired.code, 0, "{expired:?}");
    wait_until_gone(&cluster, "tune").await?;
    assert_eq!(lines(&each_boot), 3);
    Ok(())
}

/// The nodes that were written, in order: released by an operator, or by the task.
async fn written(cluster: &Cluster, since: usize) -> Result<Vec<String>> {
    let mut requests = cluster.annotator_requests().await?;
    requests.retain(|request| request.verb == "patch" && request.code() == 200);
    let told = requests.iter().skip(since).map(|request| {
        let is_task = request.user.username.starts_with("system:serviceaccount:once-");
        format!("{} {}", request.object.name, if is_task { "written" } else { "released" })
    });
    Ok(told.collect())
}

#[tokio::test]
async fn a_held_task_runs_where_rerun_has_released_it_wave_by_wave() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    for name in ["n1", "n2", "n3", "n4"] {
        cluster.add_node(NodeSpec::new(name)).await?;
    }
    cluster.kubelet().set_node_env("n3", "FAILS", Some("1"))?;
    let ran = cluster.folder().join("ran");
    let script = format!("echo x >> {}; test -z \"$FAILS\"", ran.display());
    let options = ["--hold", "--tries=1"];
    apply_script(&cluster, "held", &options, &script).await?;
    cluster.wait_until_done("once-held", "node-annotator-held").await?;
    let fleet = ["--namespace=once-held"];
    let status = run(&cluster, &[&["status", "-o", "json"], &fleet[..]].concat(), "").await?;
    for (node, state, why) in states(&status.stdout)? {
        assert_eq!(state, "left-out", "{node}");
        assert!(why.contains("it is held: `rerun` releases it"), "{why}");
    }
    let rerun = async |options: &[&str]| {
        run(&cluster, &[&["rerun", "--wait", "--timeout=2m"], &fleet[..], options].concat(), "").await
    };
    // A canary by name.
    let canary = rerun(&["--nodes=n1"]).await?;
    assert_eq!(canary.code, 0, "{canary:?}");
    assert!(canary.stderr.contains("nodes done again: 1, failed: 0"), "{canary:?}");
    assert!(mark(&cluster.node("n1").await?, "held").is_some());
    assert_eq!(lines(&ran), 1);
    // What others gave up or have not run is not what is asked for.
    for state in ["--failed", "--stale"] {
        let none = rerun(&[state]).await?;
        assert_eq!((none.code, none.stderr.as_str()), (0, "nothing to run again\n"), "{none:?}");
    }
    // One wave after the other, and none after a failure.
    let before = written(&cluster, 0).await?.len();
    let waves = rerun(&["--nodes=n2,n3,n4", "--max-in-flight=1", "--max-failures=1"]).await?;
    assert_eq!(waves.code, 4, "{waves:?}");
    assert!(waves.stderr.contains("`n3` is not done"), "{waves:?}");
    let order = ["n2 released", "n2 written", "n3 released", "n3 written"];
    assert_eq!(written(&cluster, before).await?, order);
    assert_eq!(mark(&cluster.node("n4").await?, "held.released"), None);
    wait_until_gone(&cluster, "held").await?;
    assert_eq!(lines(&ran), 3);
    // Another input is held anew; a label of the earlier one releases nothing.
    apply_script(&cluster, "held", &options, &format!("true; {script}")).await?;
    cluster.wait_until_done("once-held", "node-annotator-held").await?;
    assert_eq!(lines(&ran), 3);
    cluster.kubelet().set_node_env("n3", "FAILS", None)?;
    let all = rerun(&["--all", "--max-in-flight=2"]).await?;
    assert_eq!(all.code, 0, "{all:?}");
    wait_until_gone(&cluster, "held").await?;
    assert_eq!(lines(&ran), 7);
    for name in ["n1", "n2", "n3", "n4"] {
        let node = cluster.node(name).await?;
        ensure!(mark(&node, "held") == mark(&node, "held.released"), "{:?}", node.metadata.labels);
    }
    // Nothing is left of it after `clean`.
    let clean = run(&cluster, &["clean", "--namespace=once-held", "--yes"], "").await?;
    assert_eq!(clean.code, 0, "{clean:?}");
    wait::until("no key to be left", async || {
        let node = cluster.node("n1").await?;
        ensure!(!crate::support::labels(&node).contains_key(&key("held.released")), "{:?}", node.metadata);
        Ok(())
    })
    .await
}
