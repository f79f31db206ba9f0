//! Tasks on a real node: containers of another image, started by a real kubelet.

pub(crate) mod hostile;
pub(crate) mod interrupted;
pub(crate) mod recipes;
pub(crate) mod running;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::DeleteParams;
use kube::{Api, ResourceExt as _};
use node_annotator_tests::{annotator_binary, wait};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::world::{NODE, World, key};

/// Debian's `busybox-static`, alone in an image.
pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// Its image on the node.
pub(crate) const IMAGE: &str = "localhost/busybox:test";

/// Whether there is a program for the image; says so where there is none.
fn is_available() -> bool {
    let is_there = Path::new(BUSYBOX).exists();
    if !is_there {
        println!("  left out: `{BUSYBOX}` is missing; install busybox-static");
    }
    is_there
}

/// A task on the node, which goes with its namespace.
struct Task<'a> {
    world: &'a World,
    name: &'static str,
}

impl<'a> Task<'a> {
    fn new(world: &'a World, name: &'static str) -> Self {
        Self { world, name }
    }

    /// What `once` prints, given a manifest on stdin.
    async fn printed(&self, options: &[&str], input: &Value) -> Result<String> {
        let mut child = Command::new(annotator_binary()?)
            .args(["once", self.name, "-f", "-"])
            .args(options)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        stdin.write_all(input.to_string().as_bytes()).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Prints the task and applies it.
    async fn apply(&self, options: &[&str], input: &Value) -> Result<()> {
        let text = self.printed(options, input).await?;
        self.world.cluster().apply_yaml(&text).await?;
        Ok(())
    }

    /// A task of one container that `restricted` admits.
    async fn apply_script(&self, options: &[&str], script: &str) -> Result<()> {
        self.apply(options, &pod(json!([restricted("main", script)]))).await
    }

    async fn wait_for_label(&self, end: &str) -> Result<Node> {
        let label = key(&format!("{}{end}", self.name));
        let check = |node: &Node| {
            if node.labels().contains_key(&label) {
                Ok(node.clone())
            } else {
                Err(format!("{:?} {:?}", node.labels(), node.annotations()))
            }
        };
        self.world.cluster().wait_for_node(NODE, &format!("the label `{label}`"), check).await
    }

    async fn wait_for_error(&self, words: &str) -> Result<String> {
        let annotation = key(&format!("{}.error", self.name));
        let check = |node: &Node| match node.annotations().get(&annotation) {
            Some(error) if error.contains(words) => Ok(error.clone()),
            other => Err(format!("{other:?}")),
        };
        self.world.cluster().wait_for_node(NODE, &format!("an error with `{words}`"), check).await
    }

    fn fact(&self, node: &Node) -> Option<String> {
        node.annotations().get(&key(self.name)).cloned()
    }

    async fn pods(&self) -> Result<Vec<Pod>> {
        self.world.cluster().pods(&format!("once-{}", self.name)).await
    }

    /// Waits until the main container runs.
    async fn wait_until_running(&self) -> Result<Pod> {
        wait::until("the main container to run", async || {
            let pod = self.pods().await?.into_iter().next().context("no pod")?;
            let status = pod.status.clone().unwrap_or_default();
            let containers = status.container_statuses.unwrap_or_default();
            let runs = containers.iter().any(|it| it.state.as_ref().is_some_and(|it| it.running.is_some()));
            ensure!(runs, "{}", json!(containers));
            Ok(pod)
        })
        .await
    }

    /// Waits until no pod is left; how long that took.
    async fn wait_until_gone(&self) -> Result<Duration> {
        let started = tokio::time::Instant::now();
        let set = format!("node-annotator-{}", self.name);
        self.world.cluster().wait_until_done(&format!("once-{}", self.name), &set).await?;
        wait::until("the pod to go", async || {
            let left = self.pods().await?.len();
            ensure!(left == 0, "{left} left");
            Ok(())
        })
        .await?;
        Ok(started.elapsed())
    }

    /// Takes it away.
    async fn delete(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.world.cluster().client());
        namespaces.delete(&format!("once-{}", self.name), &DeleteParams::default()).await?;
        Ok(())
    }
}

/// A pod with these containers.
#[expect(clippy::needless_pass_by_value, reason = "it becomes a part")]
fn pod(containers: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": containers}})
}

/// A container that gives a script to the shell of the image.
fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "image": IMAGE, "command": ["/busybox", "sh", "-c", script]})
}

/// The same, under the rules of `restricted`.
fn restricted(name: &str, script: &str) -> Value {
    let mut container = container(name, script);
    container["securityContext"] = json!({
        "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 1000,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        "readOnlyRootFilesystem": true,
    });
    container
}
