//! A container of the operator that looks for our token.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Task, container, is_available, pod, restricted};
use crate::world::World;

/// What a process finds of a token: in its own files, and in those and the memory of all others that it sees.
const HUNT: &str = "
for place in '' $(ls -d /proc/[0-9]*/root 2>/dev/null); do
  for file in $place/var/run/secrets/kubernetes.io/serviceaccount/token $place/run/secrets/kubernetes.io/serviceaccount/token; do
    head -c 20 $file >/dev/null 2>&1 && test -s $file && echo found $file >> /tmp/found
  done
done
for memory in /proc/[0-9]*/mem /proc/[0-9]*/environ; do
  tr '\\000' '\\n' < ${memory%/*}/cmdline 2>/dev/null | grep -qx once-publish || continue
  head -c 1 $memory >/dev/null 2>&1 && echo found $memory >> /tmp/found
done
{ echo searched; cat /tmp/found 2>/dev/null; } | head -c 900 > $NODE_ANNOTATOR_FACTS/value
";

fn with_tmp(mut container: Value) -> Value {
    let folder = json!([{"name": "tmp", "emptyDir": {}}]);
    container["volumeMounts"] = json!([{"name": "tmp", "mountPath": "/tmp"}]);
    let mut input = pod(json!([container]));
    input["spec"]["volumes"] = folder;
    input
}

pub(crate) async fn no_container_finds_our_token(world: &mut World) -> Result<()> {
    if !is_available() {
        return Ok(());
    }
    let plain = with_tmp(restricted("main", HUNT));
    // As root of its container, which sees all processes of the node.
    let mut root = with_tmp(container("main", HUNT));
    root["spec"]["hostPID"] = json!(true);
    root["spec"]["securityContext"] = json!({"runAsUser": 0});
    // As the user of ours, which no manifest of ours allows: an image may have it.
    let mut twin = with_tmp(container("main", HUNT));
    twin["spec"]["hostPID"] = json!(true);
    for (name, input, same_user) in [("plain", plain, false), ("root", root, false), ("twin", twin, true)] {
        let task = Task::new(world, name);
        let mut text = task.printed(&[], &input).await?;
        if same_user {
            // That of the image.
            text = text.replace("64198", "65532");
        }
        world.cluster().apply_yaml(&text).await?;
        let node = task.wait_for_label("").await?;
        assert_eq!(task.fact(&node).as_deref(), Some("searched"), "{name}");
        task.wait_until_gone().await?;
        task.delete().await?;
    }
    // What nobody can hold: root of the node reads what it likes. It shows that the search can find
    // something.
    let mut privileged = container("main", HUNT);
    privileged["securityContext"] = json!({"privileged": true, "runAsUser": 0});
    let mut input = with_tmp(privileged);
    input["spec"]["hostPID"] = json!(true);
    let task = Task::new(world, "owner");
    task.apply(&[], &input).await?;
    let node = task.wait_for_label("").await?;
    let found = task.fact(&node).unwrap_or_default();
    assert!(found.contains("found"), "{found}");
    task.wait_until_gone().await?;
    task.delete().await
}
