//! Simulated nodes: what a test chooses about one, and the Node object that its kubelet would register.

use std::collections::BTreeMap;
use std::env::consts;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, fs};

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::runtime::ContainerSpec;
use super::{Kubelet, locked};
use crate::ports::random;

/// A hook that may change what a container is started with.
pub type BeforeStart = Arc<dyn Fn(&mut ContainerSpec) + Send + Sync>;

/// A node to be simulated.
#[derive(Clone, Default)]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// Its labels, beside those for name, operating system and architecture.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The taints that it registers with, each a key and an effect.
    pub taints: Vec<(String, String)>,
    /// What it has for pods, beside what every node has; `None` where it does not tell.
    pub resources: BTreeMap<String, Option<String>>,
    /// Variables for every container on it, over those of the pod: what is different about this machine.
    pub env: BTreeMap<String, String>,
    /// Called before each start of a container on it, after all else is settled.
    pub before_start: Option<BeforeStart>,
}

impl NodeSpec {
    /// A node with nothing special about it.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds a taint.
    #[must_use]
    pub fn taint(mut self, key: &str, effect: &str) -> Self {
        self.taints.push((key.to_owned(), effect.to_owned()));
        self
    }

    /// Sets how much it has of a resource, such as `cpu`.
    #[must_use]
    pub fn resource(mut self, name: &str, quantity: &str) -> Self {
        self.resources.insert(name.to_owned(), Some(quantity.to_owned()));
        self
    }

    /// Lets it not tell how much it has of a resource.
    #[must_use]
    pub fn without_resource(mut self, name: &str) -> Self {
        self.resources.insert(name.to_owned(), None);
        self
    }

    /// Adds a variable for every container on it.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the hook that may change what a container is started with.
    #[must_use]
    pub fn before_start(mut self, hook: impl Fn(&mut ContainerSpec) + Send + Sync + 'static) -> Self {
        self.before_start = Some(Arc::new(hook));
        self
    }
}

impl fmt::Debug for NodeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A node that was registered.
#[derive(Debug)]
pub(super) struct SimulatedNode {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) env: Mutex<BTreeMap<String, String>>,
    spec: NodeSpec,
}

impl SimulatedNode {
    /// Gives a container what is different about this node.
    pub(super) fn adapt(&self, spec: &mut ContainerSpec) {
        for (name, value) in locked(&self.env).iter() {
            spec.set_env(name, value.clone());
        }
        if let Some(hook) = &self.spec.before_start {
            hook(spec);
        }
    }
}

impl Kubelet {
    /// Registers a node, ready from the start.
    pub async fn add_node(&self, spec: NodeSpec) -> Result<Node> {
        let name = spec.name.clone();
        let address = self.shared.next_address([10, 64]);
        let node = object(&spec, &address)?;
        let simulated =
            SimulatedNode { name: name.clone(), address, env: Mutex::new(spec.env.clone()), spec };
        // Known before it is there: its first pod may come faster than the answer.
        locked(&self.shared.nodes).insert(name.clone(), Arc::new(simulated));
        let created = {
            let _permit = self.shared.requests.acquire().await;
            self.nodes().create(&PostParams::default(), &node).await
        };
        if created.is_err() {
            locked(&self.shared.nodes).remove(&name);
        }
        created.with_context(|| format!("cannot register node `{name}`"))
    }

    /// Takes a node away, as when a machine is deleted: its containers are killed, its Node and its pods are
    /// removed.
    pub async fn delete_node(&self, name: &str) -> Result<()> {
        locked(&self.shared.nodes).remove(name);
        let deleted = self.nodes().delete(name, &DeleteParams::default()).await;
        deleted.with_context(|| format!("cannot delete node `{name}`"))?;
        for pod in locked(&self.shared.pods).values().filter(|pod| pod.node == name) {
            pod.wish.send_modify(|wish| {
                wish.object_exists = false;
                wish.stop = Some(Duration::ZERO);
            });
        }
        // What the pod garbage collector does after a minute.
        let pods: Api<Pod> = Api::all(self.shared.client.clone());
        let bound = ListParams::default().fields(&format!("spec.nodeName={name}"));
        for pod in pods.list(&bound).await.context("cannot list pods")? {
            let pods: Api<Pod> =
                Api::namespaced(self.shared.client.clone(), &pod.namespace().unwrap_or_default());
            // Somebody else may have been faster.
            let _ = pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await;
        }
        Ok(())
    }

    /// Changes a variable of a node, for containers started from now on; `None` takes it away.
    pub fn set_node_env(&self, node: &str, name: &str, value: Option<&str>) -> Result<()> {
        let nodes = locked(&self.shared.nodes);
        let node = nodes.get(node).ok_or_else(|| anyhow!("no such simulated node: `{node}`"))?;
        let mut env = locked(&node.env);
        match value {
            Some(value) => env.insert(name.to_owned(), value.to_owned()),
            None => env.remove(name),
        };
        Ok(())
    }

    fn nodes(&self) -> Api<Node> {
        Api::all(self.shared.client.clone())
    }
}

fn object(spec: &NodeSpec, address: &str) -> Result<Node> {
    let architecture = match consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut labels = BTreeMap::from(
        [
            ("kubernetes.io/hostname", spec.name.as_str()),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", architecture),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    labels.extend(spec.labels.clone());
    let usual = [("cpu", "4"), ("memory", "8Gi"), ("ephemeral-storage", "50Gi"), ("pods", "110")];
    let mut resources =
        BTreeMap::from(usual.map(|(name, quantity)| (name.to_owned(), Some(quantity.to_owned()))));
    resources.extend(spec.resources.clone());
    resources.retain(|_, quantity| quantity.is_some());
    let uuid = || {
        let (a, b) = (random(), random());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    };
    // As the kubelet of a machine reads them, whichever machine the containers see.
    let root = spec.env.get("NODE_ANNOTATOR_HOST_ROOT").map_or("/", String::as_str);
    let told = |path: &str| {
        let path = format!("{root}/{path}");
        // A scenario may have put a pipe there.
        let text = fs::metadata(&path)
            .ok()
            .filter(fs::Metadata::is_file)
            .and_then(|_| fs::read_to_string(path).ok());
        text.map(|text| text.trim().to_owned())
    };
    let kernel_version = told("proc/sys/kernel/osrelease").unwrap_or_else(|| "6.8.0".to_owned());
    let boot_id = told("proc/sys/kernel/random/boot_id").unwrap_or_else(uuid);
    let taints: Vec<_> =
        spec.taints.iter().map(|(key, effect)| json!({"key": key, "effect": effect})).collect();
    let now = jiff::Timestamp::now();
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "simulated",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    let node = json!({
        "metadata": {"name": spec.name, "labels": labels, "annotations": spec.annotations},
        "spec": {"taints": taints},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": spec.name}],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                condition("Ready", "True", "KubeletReady"),
            ],
            "nodeInfo": {
                "machineID": uuid(), "systemUUID": uuid(), "bootID": boot_id,
                "kernelVersion": kernel_version, "osImage": "simulated", "operatingSystem": "linux",
                "architecture": architecture, "containerRuntimeVersion": "simulated://1",
                "kubeletVersion": "v1.0.0-simulated", "kubeProxyVersion": "",
            },
        },
    });
    serde_json::from_value(node).context("not a node")
}
