//! What becomes of a task.

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::{Task, is_available, pod, restricted};
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
