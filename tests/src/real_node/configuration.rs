//! The configuration files of containerd, its network plugins and the kubelet.

use std::path::Path;

use serde_json::{Value, json};

/// The image of a pod's sandbox: it has no other origin than the one that it is imported from.
pub(super) const SANDBOX_IMAGE: &str = "localhost/idle:1";

/// Where containerd listens, on the node.
pub(super) const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";

/// What a kubelet is told, beside what all are told.
#[derive(Clone, Debug)]
pub struct KubeletSettings {
    /// How many pods the node takes.
    pub max_pods: u32,
}

impl Default for KubeletSettings {
    fn default() -> Self {
        // The kubelet's own.
        Self { max_pods: 110 }
    }
}

/// The kubelet's file. JSON is YAML.
pub(super) fn kubelet(settings: &KubeletSettings, authority: &Path, resolv_conf: &Path) -> String {
    let KubeletSettings { max_pods } = settings;
    let file = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": authority},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        // Only version 2 has a future; the machine may have a past.
        "failCgroupV1": false,
        "failSwapOn": false,
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD_SOCKET}"),
        "resolvConf": resolv_conf,
        "volumePluginDir": "/run/volume-plugins",
        "maxPods": max_pods,
        // The disk is the machine's: how full that is must not matter.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
    });
    file.to_string()
}

/// containerd's file. `programs` is the folder of runc and the network plugins.
pub(super) fn containerd(programs: &Path, network: &Path, snapshotter: &str) -> String {
    let programs = programs.display();
    let network = network.display();
    format!(
        "\
version = 3
root = '/var/lib/containerd'
state = '/run/containerd'
disabled_plugins = [
  'io.containerd.nri.v1.nri',
  'io.containerd.snapshotter.v1.blockfile',
  'io.containerd.snapshotter.v1.erofs',
  'io.containerd.tracing.processor.v1.otlp',
  'io.containerd.internal.v1.tracing',
]

[grpc]
address = '{CONTAINERD_SOCKET}'

[plugins.'io.containerd.cri.v1.images']
snapshotter = '{snapshotter}'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{SANDBOX_IMAGE}'

[plugins.'io.containerd.cri.v1.runtime']
# Whom the machine kills first is the machine's business, and a container in which this runs may forbid it.
restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
snapshotter = '{snapshotter}'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = '{programs}/runc'
SystemdCgroup = false

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['{programs}']
conf_dir = '{network}'
use_internal_loopback = true
"
    )
}

/// The network plugins' file: pods on a bridge of their node, with no way out of it.
pub(super) fn network(subnet: &str, gateway: &str) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "cni0",
            "isDefaultGateway": true,
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": subnet, "gateway": gateway}]],
                "dataDir": "/run/pod-addresses",
            },
        }],
    })
}
