//! The recipes of the documentation, each by the command in its first line, with the image of the tests.
//!
//! What they set on a machine keeps the value that it has: the kernel of the node is that of the machine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use node_annotator_tests::{annotator_binary, wait};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{IMAGE, Task, is_available};
use crate::world::{World, key};

/// On the node, for what recipes read and write of the host.
const FOLDER: &str = "/var/lib/kubelet/recipes";

/// The taint of a task, without its name.
const TAINT: &str = "startup-taint.cluster-autoscaler.kubernetes.io/node-annotator-once";

/// The recipe whose node is born with a taint.
const WAITS: &str = "wait-for-driver";

/// A recipe that runs here.
struct Recipe {
    name: &'static str,
    /// What is not on this node, and what stands for it.
    changes: Vec<(String, String)>,
    /// A fact, by the end of its key.
    fact: Option<(&'static str, String)>,
}

/// Those that are left out need a disk that may be erased, and the metadata service of a cloud.
fn recipes() -> Result<Vec<Recipe>> {
    let now = |path: &str| anyhow::Ok(fs::read_to_string(path).context(path.to_owned())?.trim().to_owned());
    let (maps, watches) = (now("/proc/sys/vm/max_map_count")?, now("/proc/sys/fs/inotify/max_user_watches")?);
    let pages = now("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")?;
    let change = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let maps = change("vm.max_map_count=262144", &format!("vm.max_map_count={maps}"));
    let watches = change("max_user_watches=524288", &format!("max_user_watches={watches}"));
    let agent = json!([BUSYBOX_THERE, "sh", "-c", r#"test "$KEY" = "of your agents" && test -n "$NODE""#]);
    let words = |list: &Value| list.to_string().trim_matches(['[', ']']).to_owned();
    let recipe = |name, changes: &[_], fact| Recipe { name, changes: changes.to_vec(), fact };
    Ok(vec![
        recipe("kernel-parameters", &[maps.clone(), watches], None),
        recipe("image-pre-pull", &[], None),
        recipe("containerd-ca", &[change("/etc/containerd/certs.d", &format!("{FOLDER}/certs.d"))], None),
        recipe(
            "huge-pages",
            &[change("echo 1024", &format!("echo {pages}")), change("-ge 1024", &format!("-ge {pages}"))],
            Some((".reserved", pages)),
        ),
        recipe(WAITS, &[change(r#""path":"/dev""#, &format!(r#""path":"{FOLDER}/dev""#))], None),
        recipe("register-agent", &[(r#""/agent","register""#.to_owned(), words(&agent))], None),
        recipe("copied-pattern", &[maps], None),
    ])
}

/// Where the image of the tests has its only program.
const BUSYBOX_THERE: &str = "/busybox";

/// What the command of a recipe prints, for this node.
async fn printed(recipe: &Recipe) -> Result<Vec<Value>> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let text = fs::read_to_string(root.join(format!("docs/recipes/{}.yaml", recipe.name)))?;
    let command = text.strip_prefix("# node-annotator ").and_then(|text| text.lines().next());
    let command = command.with_context(|| format!("`{}` does not begin with its command", recipe.name))?;
    let output = Command::new("sh")
        .args(["-c", &format!("exec \"$0\" {command} -o json")])
        .arg(annotator_binary()?)
        .current_dir(root)
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut list: Value = serde_json::from_slice(&output.stdout)?;
    for item in list["items"].as_array_mut().context("no items")? {
        let Some(pod) = item.pointer_mut("/spec/template/spec").filter(|pod| pod.is_object()) else {
            continue;
        };
        for containers in ["initContainers", "containers"] {
            pod[containers].as_array_mut().into_iter().flatten().for_each(with_image_of_tests);
        }
    }
    let mut text = list["items"].to_string();
    for (from, to) in &recipe.changes {
        ensure!(text.contains(from), "`{}` has no `{from}`", recipe.name);
        text = text.replace(from, to);
    }
    Ok(serde_json::from_str(&text)?)
}

/// Programs are those of busybox, which has no links there.
fn with_image_of_tests(container: &mut Value) {
    let is_ours = |name: &str| ["node-annotator", "node-annotator-copy"].contains(&name);
    if container["name"].as_str().is_none_or(is_ours) {
        return;
    }
    container["image"] = json!(IMAGE);
    // Root, as in the images that the recipes name.
    if container["securityContext"]["runAsUser"].is_null() {
        container["securityContext"]["runAsUser"] = json!(0);
    }
    let Some(args) = container["args"].as_array_mut() else { return };
    let Some(first) = args.iter().position(|word| word == "--").map(|place| place + 1) else { return };
    if args[first].as_str().is_some_and(|word| !word.starts_with('/')) {
        args.insert(first, json!(BUSYBOX_THERE));
    }
}

pub(crate) async fn each_recipe_runs(world: &mut World) -> Result<()> {
    if !is_available() {
        return Ok(());
    }
    world.node.run("mkdir", &["-p", &format!("{FOLDER}/dev")])?;
    let labels = json!({"example.com/pool": "database", "example.com/gpu": "true"});
    world.patch_node(json!({"metadata": {"labels": labels}})).await?;
    for recipe in recipes()? {
        let task = Task::new(world, recipe.name);
        if recipe.name == WAITS {
            let taint = json!([{"key": format!("{TAINT}-{WAITS}"), "effect": "NoSchedule"}]);
            world.patch_node(json!({"spec": {"taints": taint}})).await?;
        }
        for object in printed(&recipe).await? {
            world.cluster().apply(&object).await.with_context(|| format!("`{}`", recipe.name))?;
        }
        if recipe.name == WAITS {
            driver_comes(world, &task).await?;
        }
        let node = task.wait_for_label("").await.with_context(|| format!("`{}`", recipe.name))?;
        if let Some((end, value)) = &recipe.fact {
            let key = key(&format!("{}{end}", recipe.name));
            assert_eq!(node.annotations().get(&key), Some(value), "{}", recipe.name);
        }
        let took = task.wait_until_gone().await?;
        println!("  {}: gone {took:.2?} after its done label", recipe.name);
        task.delete().await?;
    }
    let certificate = world.node.path(format!("{FOLDER}/certs.d/registry.example.com/ca.crt"))?;
    assert!(fs::read_to_string(certificate)?.contains("of your registry"));
    let none = json!({"example.com/pool": null, "example.com/gpu": null});
    world.patch_node(json!({"metadata": {"labels": none}})).await.map(drop)
}

/// The node keeps its taint until the driver is there.
async fn driver_comes(world: &World, task: &Task<'_>) -> Result<()> {
    task.wait_until_running().await?;
    let node = world.own_node().await?;
    ensure!(!node.labels().contains_key(&key(task.name)), "it is done without its driver");
    ensure!(is_tainted(&node), "the taint is gone before");
    world.node.run("touch", &[&format!("{FOLDER}/dev/nvidiactl")])?;
    wait::until("the taint to go", async || {
        ensure!(!is_tainted(&world.own_node().await?), "it is there");
        Ok(())
    })
    .await
}

fn is_tainted(node: &k8s_openapi::api::core::v1::Node) -> bool {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.into_iter().any(|taint| taint.key.starts_with(TAINT))
}
