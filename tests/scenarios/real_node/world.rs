//! What all scenarios share: a control plane, one real node with the image, and the generated manifests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};
use node_annotator_core::{Registry, Selection};
use node_annotator_deploy::{DEFAULT_IMAGE, Layout, Manifests, Settings};
use node_annotator_image::{Image, Program};
use node_annotator_tests::audit::Request;
use node_annotator_tests::binaries::{Binaries, Tool};
use node_annotator_tests::{Cluster, Options, RealCluster, RealNode, wait};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use xtask_workspace::static_binary;

use crate::once::{BUSYBOX, IMAGE};

/// The namespace of the generated manifests.
pub(crate) const NAMESPACE: &str = "node-annotator";

/// The collectors that the scenarios run, each in a `DaemonSet` of its own.
pub(crate) const COLLECTORS: [&str; 3] = ["cpu-model", "digital-ocean-anchor-ip", "kernel"];

/// The node's name.
pub(crate) const NODE: &str = "real-1";

/// One node of one cluster, on which scenarios run one after the other.
pub(crate) struct World {
    // Before its cluster.
    pub(crate) node: RealNode,
    pub(crate) real: RealCluster,
}

impl World {
    /// Starts everything, and returns when the node is ready.
    pub(crate) async fn start() -> Result<Self> {
        let path =
            tokio::task::spawn_blocking(static_binary::build).await.context("the build panicked")??;
        let real = RealCluster::start(Options::default()).await?;
        let archive = real.cluster().folder().join("image.tar");
        fs::write(&archive, Image::node_annotator(DEFAULT_IMAGE)?.pack(&[Program::read(path)?])?.archive()?)?;
        let mut archives = vec![archive];
        if Path::new(BUSYBOX).exists() {
            let archive = real.cluster().folder().join("busybox.tar");
            fs::write(&archive, Image::new(IMAGE)?.pack(&[Program::read(BUSYBOX)?])?.archive()?)?;
            archives.push(archive);
        }
        let node = real.add_node(NODE, &archives).await?;
        Ok(Self { node, real })
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.real.cluster()
    }

    /// Applies the generated manifests, and returns what they are.
    pub(crate) async fn install(&self, settings: &Settings) -> Result<Manifests> {
        let manifests = Manifests::new(settings)?;
        self.cluster().apply_yaml(&manifests.yaml()?).await?;
        Ok(manifests)
    }

    /// Applies the manifests of one collector, and gives its container variables before the first pod starts.
    pub(crate) async fn install_with(&self, collector: &str, variables: &[(&str, &str)]) -> Result<()> {
        let opt_out = |value: Value| json!({"metadata": {"labels": {key("opt-out"): value}}});
        self.patch_node(opt_out(json!("true"))).await?;
        self.install(&settings(collector)?).await?;
        let set = format!("daemonset/{}", set_name(collector));
        let namespace = format!("--namespace={NAMESPACE}");
        let variables: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut arguments = vec![namespace.as_str(), "set", "env", &set];
        arguments.extend(variables.iter().map(String::as_str));
        self.kubectl(&arguments).await?;
        self.patch_node(opt_out(Value::Null)).await?;
        Ok(())
    }

    /// Starts a pod from the template of a generated `DaemonSet`, with everything that the manifests put
    /// around it but the `DaemonSet`: nobody takes the pod away, so that it lingers. Returns when it has
    /// written the node.
    pub(crate) async fn lingering_pod(&self, settings: &Settings) -> Result<Pod> {
        self.lingering_pod_with(settings, |_| {}).await
    }

    /// As [`World::lingering_pod`], with a change of the pod before it is made.
    pub(crate) async fn lingering_pod_with(
        &self,
        settings: &Settings,
        change: impl FnOnce(&mut PodSpec),
    ) -> Result<Pod> {
        let manifests = Manifests::new(settings)?;
        for object in manifests.objects() {
            let object = serde_json::to_value(object)?;
            if object["kind"] != "DaemonSet" {
                self.cluster().apply(&object).await?;
            }
        }
        let set = manifests.daemon_sets().next().context("no DaemonSet")?;
        let template = set.spec.clone().context("no spec")?.template;
        let mut spec = template.spec.context("no pod")?;
        spec.node_name = Some(NODE.to_owned());
        // As the controller does it: the pod itself is for this node, whatever labels that has.
        spec.affinity = serde_json::from_value(json!({"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{
                "matchFields": [{"key": "metadata.name", "operator": "In", "values": [NODE]}],
            }]},
        }}))?;
        change(&mut spec);
        let metadata =
            ObjectMeta { name: Some("lingering".to_owned()), ..template.metadata.unwrap_or_default() };
        let pod = Pod { metadata, spec: Some(spec), status: None };
        let pod = self.pod_api().create(&PostParams::default(), &pod).await?;
        for collector in settings.selection.iter() {
            self.wait_for_label(collector.name).await?;
        }
        Ok(pod)
    }

    /// The Node as it is now.
    pub(crate) async fn own_node(&self) -> Result<Node> {
        self.cluster().node(NODE).await
    }

    /// What was stored of our requests. Where a policy has just changed, a run may be refused at first, and
    /// tries again.
    pub(crate) async fn stored(&self) -> Result<Vec<Request>> {
        let mut requests = self.cluster().annotator_requests().await?;
        requests.retain(|request| request.code() == 200);
        Ok(requests)
    }

    pub(crate) async fn wait_for_label(&self, collector: &str) -> Result<()> {
        let label = key(collector);
        let what = format!("the label `{label}`");
        let check = |node: &Node| {
            if node.labels().contains_key(&label) { Ok(()) } else { Err(format!("{:?}", node.labels())) }
        };
        self.cluster().wait_for_node(NODE, &what, check).await
    }

    /// Waits until the collector's `DaemonSet` wants no pod any more.
    pub(crate) async fn wait_until_done(&self, collector: &str) -> Result<()> {
        self.wait_for_label(collector).await?;
        self.cluster().wait_until_done(NAMESPACE, &set_name(collector)).await.map(drop)
    }

    pub(crate) fn pod_api(&self) -> Api<Pod> {
        Api::namespaced(self.cluster().client(), NAMESPACE)
    }

    /// From a PATCH of ours to the kubelet's last word about a pod, which takes the object away; by the
    /// server's clock.
    pub(crate) async fn time_until_gone(&self, patch: &Request, pod: &str) -> Result<Duration> {
        let deleted = wait::until("the kubelet to delete the pod", async || {
            let requests = self.cluster().audit().requests(|request| {
                request.verb == "delete"
                    && request.object.resource == "pods"
                    && request.object.name == pod
                    && request.user.username == format!("system:node:{NODE}")
                    && request.code() == 200
            })?;
            requests.last().cloned().context("no such request")
        })
        .await?;
        let at = |request: &Request| request.received.parse::<Timestamp>();
        Ok(Duration::try_from(at(&deleted)?.duration_since(at(patch)?))?)
    }

    /// kubectl with an administrator's rights.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let obtain = || Binaries::obtain(None, &[Tool::Kubectl]);
        let binaries = tokio::task::spawn_blocking(obtain).await.context("the build panicked")??;
        let output = tokio::process::Command::new(binaries.path(Tool::Kubectl))
            .arg("--kubeconfig")
            .arg(self.cluster().kubeconfig())
            .args(arguments)
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        Ok(text)
    }

    /// Changes the Node as an administrator.
    pub(crate) async fn patch_node(&self, patch: Value) -> Result<Node> {
        let nodes: Api<Node> = Api::all(self.cluster().client());
        Ok(nodes.patch(NODE, &PatchParams::default(), &Patch::Merge(patch)).await?)
    }

    /// Takes all DaemonSets, pods and keys of ours away.
    pub(crate) async fn clean(&self) -> Result<()> {
        let sets: Api<DaemonSet> = Api::namespaced(self.cluster().client(), NAMESPACE);
        let all = ListParams::default();
        sets.delete_collection(&DeleteParams::default(), &all).await?;
        self.pod_api().delete_collection(&DeleteParams::default().grace_period(1), &all).await?;
        wait::until("the pods of a scenario to go", async || {
            let left = self.cluster().pods(NAMESPACE).await?.len();
            if left == 0 { Ok(()) } else { Err(anyhow!("{left} left")) }
        })
        .await?;
        let node = self.own_node().await?;
        let nulls = |map: &BTreeMap<String, String>| {
            let ours = map.keys().filter(|it| it.starts_with(&key("")));
            ours.map(|it| (it.clone(), Value::Null)).collect::<Map<_, _>>()
        };
        let (labels, annotations) = (nulls(node.labels()), nulls(node.annotations()));
        self.patch_node(json!({"metadata": {"labels": labels, "annotations": annotations}})).await?;
        Ok(())
    }
}

/// A key under the default prefix.
pub(crate) fn key(name: &str) -> String {
    format!("k8s.haim.dev/{name}")
}

/// The name of a collector's `DaemonSet`.
pub(crate) fn set_name(collector: &str) -> String {
    format!("node-annotator-{collector}")
}

/// The manifests' settings for some collectors, with a DaemonSet for each; all else as it is by default.
pub(crate) fn settings(collectors: &str) -> Result<Settings> {
    let registry = Registry::from_inventory()?;
    let selection = Selection::parse(collectors, &registry)?;
    Ok(Settings { layout: Layout::PerCollector, ..Settings::new(selection) })
}

/// How often the kubelet has restarted a pod's containers.
pub(crate) fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|status| status.restart_count).sum()
}

/// Remembers all pods of the namespace, each as it was last seen.
pub(crate) struct Watcher {
    pods: Arc<Mutex<BTreeMap<String, Pod>>>,
    task: JoinHandle<()>,
}

impl Watcher {
    pub(crate) fn start(pods: Api<Pod>) -> Self {
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let remembered = seen.clone();
        let task = tokio::spawn(async move {
            let mut events = watcher::watcher(pods, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(pod) | Event::InitApply(pod) | Event::Delete(pod)) = event {
                    let mut seen = remembered.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.insert(pod.name_any(), pod);
                }
            }
        });
        Self { pods: seen, task }
    }

    pub(crate) fn pods(&self) -> BTreeMap<String, Pod> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}
