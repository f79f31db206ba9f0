//! How a pod of ours is started, told by the manifests and the simulated kubelet, without starting it.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use node_annotator_deploy::{Layout, Manifests, Object, Settings};
use node_annotator_tests::kubelet::runtime::{ContainerSpec, Exit, Running, Runtime};
use node_annotator_tests::{Cluster, NodeSpec, wait};
use serde_json::json;
use tokio::sync::oneshot;

/// Starts nothing, and keeps what it was asked to start.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    started: Mutex<Vec<(ContainerSpec, oneshot::Sender<Exit>)>>,
}

impl Runtime for Recorder {
    fn start(&self, spec: ContainerSpec) -> Result<Running> {
        let (sender, exited) = oneshot::channel();
        self.started.lock().unwrap_or_else(PoisonError::into_inner).push((spec, sender));
        Ok(Running::new(None, exited, Arc::new(|_| ())))
    }
}

/// What a container of ours gets: arguments, variables, and a token that is bound to the pod.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) kubeconfig: PathBuf,
    pub(super) token: PathBuf,
}

/// Installs everything but the DaemonSet, and puts one pod of it on a node: unlike the DaemonSet's, nobody
/// takes it away.
pub(super) async fn start(
    cluster: &Cluster,
    recorder: &Recorder,
    settings: &Settings,
    node: NodeSpec,
) -> Result<Started> {
    let name = node.name.clone();
    cluster.add_node(node).await?;
    let manifests = Manifests::new(&Settings { layout: Layout::Combined, ..settings.clone() })?;
    for object in manifests.objects().filter(|object| !matches!(object, Object::DaemonSet(_))) {
        cluster.apply(object).await?;
    }
    let set = manifests.daemon_sets().next().context("no DaemonSet")?;
    let namespace = set.metadata.namespace.clone().context("no namespace")?;
    let mut spec = json!(set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()));
    spec["nodeName"] = json!(name);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bench", "namespace": namespace}, "spec": spec,
    });
    cluster.apply(&serde_json::from_value::<Pod>(pod)?).await?;
    let spec = wait::until("a pod to be started", async || {
        let started = recorder.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.first().map(|(spec, _)| spec.clone()).ok_or("none is")
    })
    .await?;
    let kubeconfig = spec.env.iter().find(|(name, _)| name == "KUBECONFIG").context("no kubeconfig")?;
    let kubeconfig = PathBuf::from(&kubeconfig.1);
    Ok(Started {
        arguments: spec.command.into_iter().skip(1).collect(),
        environment: spec.env,
        token: kubeconfig.with_file_name("token"),
        kubeconfig,
    })
}

impl Started {
    /// A copy of its kubeconfig that leads to another address.
    pub(super) fn kubeconfig_to(&self, server: &str, address: &str) -> Result<PathBuf> {
        let text = fs::read_to_string(&self.kubeconfig).context("cannot read the kubeconfig")?;
        let path = self.kubeconfig.with_file_name("relay.kubeconfig");
        fs::write(&path, text.replace(server, &format!("https://{address}")))?;
        Ok(path)
    }
}
