//! What becomes of a task.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::{Task, container, is_available, pod, restricted};
use crate::world::{NODE, World, key};

/// Success, with what stands on the Node and what is left.
pub(crate) async fn a_task_runs_once_and_nothing_is_left(world: &mut World) -> Result<()> {
    if !is_available() {
        return Ok(());
    }
    let before = world.stored().await?.len();
    let task = Task::new(world, "tune");
    let script = "umask 077; echo ready > $NODE_ANNOTATOR_FACTS/value; id -u > $NODE_ANNOTATOR_FACTS/user";
    let mut input = pod(json!([restricted("main", script)]));
    input["spec"]["initContainers"] = json!([restricted("first", "true")]);
    task.apply(&["--fact=user"], &input).await?;
    let node = task.wait_for_label("").await?;
    let took = task.wait_until_gone().await?;
    println!("  gone {took:.2?} after its done label");
    assert_eq!(task.fact(&node).as_deref(), Some("ready"));
    assert_eq!(node.annotations()[&key("tune.user")], "1000");
    assert_eq!(world.stored().await?.len(), before + 1, "one write");
    let namespace = Api::<Namespace>::all(world.cluster().client()).get("once-tune").await?;
    assert_eq!(namespace.labels()["pod-security.kubernetes.io/enforce"], "restricted");
    // The same once more: nothing runs. Another one: it runs by itself, and takes the fact away.
    task.apply(&["--fact=user"], &input).await?;
    task.wait_until_gone().await?;
    assert_eq!(world.stored().await?.len(), before + 1);
    input["spec"]["containers"][0]["command"][3] = json!("echo changed > $NODE_ANNOTATOR_FACTS/value");
    task.apply(&["--fact=user"], &input).await?;
    let value = world
        .cluster()
        .wait_for_node(NODE, "another value", |node| {
            task.fact(node).filter(|value| value == "changed").ok_or_else(|| "not yet".to_owned())
        })
        .await?;
    assert_eq!(value, "changed");
    assert!(!world.own_node().await?.annotations().contains_key(&key("tune.user")));
    task.wait_until_gone().await?;
    task.delete().await
}

/// A failing, a hanging and a missing one; each is told before it is given up.
pub(crate) async fn a_task_that_fails_says_why_and_ends(world: &mut World) -> Result<()> {
    if !is_available() {
        return Ok(());
    }
    let failing = Task::new(world, "failing");
    failing.apply_script(&["--tries=2"], "echo no space left >&2; exit 7").await?;
    let hanging = Task::new(world, "hanging");
    hanging.apply_script(&["--tries=1", "--timeout=3s"], "trap '' TERM; sleep 1000").await?;
    let missing = Task::new(world, "missing");
    let mut absent = restricted("main", "true");
    absent["image"] = json!("localhost/no-such-image:1");
    missing.apply(&["--tries=2", "--timeout=10s"], &pod(json!([absent]))).await?;
    for (task, words) in [
        (&failing, "`main`: exit code 7: no space left"),
        (&hanging, "`main`: timed out after 3s"),
        (&missing, "`main` has not started after 10s"),
    ] {
        let error = task.wait_for_error(words).await?;
        println!("  {error}");
        let node = task.wait_for_label(".failed").await?;
        assert!(!node.labels().contains_key(&key(task.name)));
        let took = task.wait_until_gone().await?;
        println!("  {}: gone {took:.2?} after its failed label", task.name);
        task.delete().await?;
    }
    Ok(())
}

/// A check that finds nothing to do, and two tasks of which one is privileged.
pub(crate) async fn two_tasks_a_check_and_a_privileged_one(world: &mut World) -> Result<()> {
    if !is_available() {
        return Ok(());
    }
    let already = Task::new(world, "already");
    let check = r#"["/busybox", "sh", "-c", "echo there > $NODE_ANNOTATOR_FACTS/value"]"#;
    already.apply_script(&["--check", check], "exit 1").await?;
    let wide = Task::new(world, "wide");
    let mut privileged =
        container("main", "ls /dev/kmsg > $NODE_ANNOTATOR_FACTS/value; id -u >> $NODE_ANNOTATOR_FACTS/value");
    privileged["securityContext"] = json!({"privileged": true, "runAsUser": 0});
    wide.apply(&[], &pod(json!([privileged]))).await?;
    for (task, value) in [(&already, "there"), (&wide, "/dev/kmsg 0")] {
        let node = task.wait_for_label("").await?;
        assert_eq!(task.fact(&node).as_deref(), Some(value));
        task.wait_until_gone().await?;
    }
    let namespaces = Api::<Namespace>::all(world.cluster().client());
    for (name, level) in [("once-already", "restricted"), ("once-wide", "privileged")] {
        let namespace = namespaces.get(name).await?;
        assert_eq!(namespace.labels()["pod-security.kubernetes.io/enforce"], level, "{name}");
    }
    already.delete().await?;
    wide.delete().await
}

/// What people copy, taken over as it is: an init container that does the work, and a pause container.
pub(crate) async fn the_copied_pattern_is_taken_over(world: &mut World) -> Result<()> {
    if !is_available() {
        return Ok(());
    }
    let task = Task::new(world, "copied");
    let set = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "x"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
            "initContainers": [restricted("work", "echo worked > $NODE_ANNOTATOR_FACTS/value")],
            "containers": [{"name": "pause", "image": "registry.k8s.io/pause:3.10"}],
        }},
    }});
    task.apply(&[], &set).await?;
    let node = task.wait_for_label("").await?;
    assert_eq!(task.fact(&node).as_deref(), Some("worked"));
    task.wait_until_gone().await?;
    task.delete().await.context("cannot delete it")
}

/// The same pattern as it is, where its work fails: what an operator sees of it, beside what a task tells.
pub(crate) async fn the_copied_pattern_as_it_is_fails_for_ever(world: &mut World) -> Result<()> {
    if !is_available() {
        return Ok(());
    }
    let namespace = "copied-fails";
    let cluster = world.cluster();
    let named = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    cluster.apply(&named).await?;
    let set = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "setup", "namespace": namespace}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
            "initContainers": [container("work", "echo no space left >&2; exit 7")],
            "containers": [container("pause", "sleep 1000000")],
        }},
    }});
    cluster.apply(&set).await?;
    let list = ["get", "pods", "--namespace", namespace, "--no-headers"];
    let shown = node_annotator_tests::wait::until("kubectl to show a loop", async || {
        let shown = world.kubectl(&list).await?;
        anyhow::ensure!(shown.contains("Init:CrashLoopBackOff"), "{shown}");
        Ok(shown)
    })
    .await?;
    println!("  kubectl get pods: {}", shown.trim_end());
    assert!(!shown.contains("exit") && !shown.contains("space"), "it tells why: {shown}");
    world.kubectl(&["delete", "namespace", namespace, "--wait=false"]).await.map(drop)
}
