//! A task that is interrupted: killed for want of memory, killed as a whole, and a node that reboots.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{Task, is_available, pod, restricted};
use crate::world::{World, key};

/// On the disk of the node, which lasts over a reboot.
const FOLDER: &str = "/var/lib/kubelet/once-test";

pub(crate) async fn what_is_killed_is_a_failure_and_is_tried_again(world: &mut World) -> Result<()> {
    if !is_available() {
        return Ok(());
    }
    let greedy = Task::new(world, "greedy");
    let mut container = restricted("main", "tail /dev/zero");
    container["resources"] = json!({"limits": {"memory": "24Mi"}});
    greedy.apply(&["--tries=1"], &pod(json!([container]))).await?;
    greedy.wait_for_label(".failed").await?;
    let error = greedy.wait_for_error("main").await?;
    println!("  without memory: {error}");
    assert!(error.contains("signal 9") || error.contains("killed for want of memory"), "{error}");
    greedy.wait_until_gone().await?;
    greedy.delete().await?;

    // The whole container, our process in it included.
    let killed = Task::new(world, "killed");
    killed.apply_script(&["--tries=2"], "test $NODE_ANNOTATOR_MARK || sleep 4711").await?;
    killed.wait_until_running().await?;
    let wrapper = node_annotator_tests::wait::until("our process", async || {
        wrapper("sleep 4711").context("no process has it")
    })
    .await?;
    kill_process(Pid::from_raw(wrapper).context("no pid")?, Signal::KILL)?;
    let error = killed.wait_for_error("did not end").await?;
    println!("  {error}");
    killed.delete().await
}

/// The process of ours, in any namespace of this machine, that runs a script with these words.
fn wrapper(words: &str) -> Option<i32> {
    let folders = fs::read_dir("/proc").ok()?.flatten();
    folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok()).find(|pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.starts_with("/.node-annotator/program/") && line.contains(words)
    })
}

pub(crate) async fn a_node_that_reboots_in_the_middle_goes_on(world: &mut World) -> Result<()> {
    if !is_available() {
        return Ok(());
    }
    let input = |script: &str| {
        let mut container = super::container("main", script);
        container["securityContext"] = json!({"runAsUser": 0});
        container["volumeMounts"] = json!([{"name": "disk", "mountPath": "/disk"}]);
        let mut pod = pod(json!([container]));
        pod["spec"]["volumes"] =
            json!([{"name": "disk", "hostPath": {"path": FOLDER, "type": "DirectoryOrCreate"}}]);
        pod
    };
    // One reboots its node, and can tell that it has; the other one is in the way.
    let script = "echo x >> /disk/count; touch /disk/done; sleep 1000";
    let check = r#"["/busybox", "test", "-e", "/disk/done"]"#;
    Task::new(world, "update").apply(&["--check", check], &input(script)).await?;
    let script = "test -e /disk/once && exit 0; touch /disk/once; sleep 1000";
    Task::new(world, "other").apply(&[], &input(script)).await?;
    Task::new(world, "update").wait_until_running().await?;
    Task::new(world, "other").wait_until_running().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.node.power_off();
    world.node.power_on().await?;

    let other = Task::new(world, "other");
    let error = other.wait_for_error("by a reboot").await?;
    println!("  {error}");
    other.wait_for_label("").await?;
    let update = Task::new(world, "update");
    update.wait_for_label("").await?;
    for task in [&update, &other] {
        task.wait_until_gone().await?;
        task.delete().await?;
    }
    Ok(())
}

/// How often the task of each boot has written.
async fn runs(world: &World) -> Result<usize> {
    let mut stored = world.stored().await?;
    stored.retain(|it| it.user.username.starts_with("system:serviceaccount:once-each-boot:"));
    Ok(stored.len())
}

/// The first boot of a node is the machine's, as its containers see it; each later one has another id.
pub(crate) async fn a_task_per_boot_runs_again_after_a_reboot(world: &mut World) -> Result<()> {
    if !is_available() {
        return Ok(());
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?[..8].to_owned();
    let task = Task::new(world, "each-boot");
    task.apply_script(&["--per-boot"], "true").await?;
    let node = task.wait_for_label("").await?;
    assert_eq!(node.annotations()[&key("each-boot.boot-id")], boot);
    task.wait_until_gone().await?;
    world.node.power_off();
    world.node.power_on().await?;
    assert_eq!(runs(world).await?, 1, "it ran by itself");
    let expire = tokio::process::Command::new(node_annotator_tests::annotator_binary()?)
        .args(["expire", "--namespace=once-each-boot"])
        .env_clear()
        .env("NODE_ANNOTATOR_KUBECONFIG", world.cluster().kubeconfig())
        .output()
        .await?;
    anyhow::ensure!(expire.status.success(), "{}", String::from_utf8_lossy(&expire.stderr));
    node_annotator_tests::wait::until("it to run again", async || {
        let runs = runs(world).await?;
        anyhow::ensure!(runs == 2, "{runs} runs");
        Ok(())
    })
    .await?;
    let task = Task::new(world, "each-boot");
    task.wait_for_label("").await?;
    task.wait_until_gone().await?;
    task.delete().await
}
