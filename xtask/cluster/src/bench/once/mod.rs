//! A task beside the pattern that people copy, and what 20 tasks add to each update of a Node's status.

mod copied;
mod status;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use node_annotator_core::{NamedFacts, Registry, Selection};
use node_annotator_deploy::once::{Input, Options as TaskOptions, Task};
use node_annotator_deploy::{Manifests, Settings, Tolerations};
use node_annotator_tests::binaries::{Binaries, Tool};
use node_annotator_tests::kubelet::Backoff;
use node_annotator_tests::kubelet::events::What;
use node_annotator_tests::{Cluster, NodeSpec, Options as ClusterOptions, wait};
use serde_json::json;
use tokio::process::Command;

use super::figures::{Figure, Figures, Unit, float};
use super::progress;
use super::server::Snapshot;

/// What the work is, and what it is where it fails.
const WORK: &str = "true";
const FAILING: &str = "echo no space left >&2; exit 7";

/// How long one that fails is watched.
const WATCHED: Duration = Duration::from_mins(2);

/// After which pods that are to go are gone.
const SETTLED: Duration = Duration::from_secs(20);

pub(super) async fn measure(figures: &mut Figures, nodes: usize) -> Result<()> {
    let kubectl = tokio::task::spawn_blocking(|| Binaries::obtain(None, &[Tool::Kubectl])).await??;
    let kubectl = kubectl.path(Tool::Kubectl).to_string_lossy().into_owned();
    for subject in [Subject::Copied, Subject::Once] {
        Bench { subject, nodes, kubectl: kubectl.clone(), cluster: start(nodes).await? }
            .measure(figures)
            .await?;
    }
    status::measure(figures).await
}

async fn start(nodes: usize) -> Result<Cluster> {
    let options = ClusterOptions { backoff: Backoff::KUBERNETES, ..ClusterOptions::default() };
    let cluster = Cluster::start(options).await?;
    cluster.add_nodes((1..=nodes).map(|number| NodeSpec::new(format!("n{number}")))).await?;
    Ok(cluster)
}

async fn wait_for_label(cluster: &Cluster, node: &str, label: &str) -> Result<()> {
    let is_there = |node: &Node| {
        if node.labels().contains_key(label) { Ok(()) } else { Err(format!("{:?}", node.labels())) }
    };
    cluster.wait_for_node(node, &format!("the label {label}"), is_there).await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// An init container that works and says so, a container that waits, and a token that may patch Nodes.
    Copied,
    Once,
}

struct Bench {
    subject: Subject,
    nodes: usize,
    kubectl: String,
    cluster: Cluster,
}

impl Bench {
    async fn measure(self, figures: &mut Figures) -> Result<()> {
        let subject = format!("{} on {} nodes", self.name(), self.nodes);
        progress(&subject);
        let before = Snapshot::take(&self.cluster).await?;
        self.install("setup", WORK).await?;
        let label = self.label("setup");
        for number in 1..=self.nodes {
            wait_for_label(&self.cluster, &format!("n{number}"), &label).await?;
        }
        tokio::time::sleep(SETTLED).await;
        let all = Snapshot::take(&self.cluster).await?.requests_since(&before).values().sum::<f64>();
        let account = self.account("setup");
        let own = self.cluster.requests(|request| request.user.username == account).await?.len();
        let nodes = float(self.nodes);
        figures.add(Figure::count(&subject, "pods that stay", self.pods("setup").await?.len()));
        figures.add(Figure::new(&subject, "requests of its pods, a node", float(own) / nodes, Unit::Plain));
        figures.add(Figure::new(&subject, "requests of all, a node", all / nodes, Unit::Plain));

        progress(&format!("{subject}: one that fails, for {} s", WATCHED.as_secs()));
        let seen = self.cluster.events().all().len();
        self.install("fails", FAILING).await?;
        let installed = Instant::now();
        let thief = self.thief("fails").await?;
        for (name, done) in self.attempts(&thief).await? {
            figures.add(Figure::count(&subject, &format!("its token may: {name}"), usize::from(done)));
        }
        self.show(&["auth", "can-i", "--list", &format!("--as={}", self.account("fails"))]).await?;
        tokio::time::sleep(WATCHED.saturating_sub(installed.elapsed())).await;
        let namespace = self.namespace("fails");
        let events = self.cluster.events().since(seen);
        let starts = events.iter().filter(|event| {
            event.namespace == namespace
                && matches!(event.what, What::Started { .. })
                && ["setup", "fails"].contains(&event.container.as_str())
        });
        let told = "containers of the work started in two minutes, a node";
        figures.add(Figure::new(&subject, told, float(starts.count()) / nodes, Unit::Plain));
        figures.add(Figure::count(&subject, "pods left of what fails", self.pods("fails").await?.len()));
        let error = format!("jsonpath={{.metadata.annotations.{}}}", "k8s\\.haim\\.dev/fails\\.error");
        self.show(&["get", "node", "n1", "-o", &error]).await
    }

    fn name(&self) -> &'static str {
        match self.subject {
            Subject::Copied => "copied pattern",
            Subject::Once => "once",
        }
    }

    fn namespace(&self, task: &str) -> String {
        match self.subject {
            Subject::Copied => format!("copied-{task}"),
            Subject::Once => format!("once-{task}"),
        }
    }

    fn account(&self, task: &str) -> String {
        let name = if self.subject == Subject::Once { "node-annotator" } else { "setup" };
        format!("system:serviceaccount:{}:{name}", self.namespace(task))
    }

    /// What a node has that is done.
    fn label(&self, task: &str) -> String {
        match self.subject {
            Subject::Copied => copied::LABEL.to_owned(),
            Subject::Once => format!("k8s.haim.dev/{task}"),
        }
    }

    async fn install(&self, task: &str, script: &str) -> Result<()> {
        match self.subject {
            Subject::Copied => {
                for object in copied::manifests(&self.namespace(task), script, &self.kubectl) {
                    self.cluster.apply(&object).await?;
                }
                Ok(())
            }
            Subject::Once => install(&self.cluster, task, script, NamedFacts::default()).await,
        }
    }

    async fn pods(&self, task: &str) -> Result<Vec<Pod>> {
        self.cluster.pods(&self.namespace(task)).await
    }

    /// Whoever has the token of a pod on `n1`.
    async fn thief(&self, task: &str) -> Result<Client> {
        let pod = wait::until("a pod on n1", async || {
            let pods = self.pods(task).await?;
            let is_there =
                |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some("n1");
            pods.into_iter().find(is_there).context("no pod")
        })
        .await?;
        let container = if self.subject == Subject::Once { "node-annotator" } else { "setup" };
        let folder = self.cluster.kubelet().container_folder(&pod.uid().context("no uid")?, container);
        let folder = folder.parent().context("no folder")?;
        let kubeconfig =
            wait::until("its kubeconfig", async || Kubeconfig::read_from(folder.join("kubeconfig"))).await?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// What it tries, and whether that is done. A policy is in force a moment after it is stored.
    async fn attempts(&self, thief: &Client) -> Result<Vec<(&'static str, bool)>> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let label = |key: &str| json!({"metadata": {"labels": {key: "x"}}});
        let taint = json!({"spec": {"taints": [{"key": "example.com/x", "effect": "NoExecute"}]}});
        let nodes: Api<Node> = Api::all(thief.clone());
        let parameters = PatchParams { dry_run: true, ..PatchParams::default() };
        let mut done = Vec::new();
        for (name, node, patch) in [
            ("set any label of its own node", "n1", label("example.com/any")),
            ("set any label of another node", "n2", label("example.com/any")),
            ("say that another node is done", "n2", label(&self.label("fails"))),
            ("drive all pods from another node", "n2", taint),
        ] {
            let answer = nodes.patch(node, &parameters, &Patch::Strategic(patch)).await;
            done.push((name, answer.is_ok()));
        }
        done.push(("read another node", nodes.get("n2").await.is_ok()));
        Ok(done)
    }

    /// Prints what kubectl shows an administrator.
    async fn show(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(self.cluster.kubeconfig())
            .args(arguments)
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        println!("$ kubectl {}\n{}{}", arguments.join(" "), text.trim_end(), error.trim_end());
        Ok(())
    }
}

/// The manifest of a task that gives a script to a shell, applied.
async fn install(cluster: &Cluster, name: &str, script: &str, facts: NamedFacts) -> Result<()> {
    let command = ["sh", "-c", script].map(str::to_owned);
    let input = Input::of_command(name, "busybox:1.37", &command, false);
    let registry = Registry::from_inventory()?;
    let selection = registry.iter().next().map(Selection::of).context("no collector")?;
    let base = Settings {
        installation: format!("once-{name}").parse()?,
        tolerations: Tolerations::Some(Vec::new()),
        ..Settings::new(selection)
    };
    let options = TaskOptions { facts, ..TaskOptions::default() };
    for object in Manifests::new(&Task::settings(name, &input, &options, base)?)?.objects() {
        cluster.apply(object).await?;
    }
    Ok(())
}
