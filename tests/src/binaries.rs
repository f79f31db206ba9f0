//! The programs of Kubernetes, of a node, and those that look at what is made: built once from pinned Go
//! modules and kept under `target/`, or ready-made ones.

mod build;
mod modules;
mod packages;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use xtask_workspace::{KUBERNETES_VARIABLE, kubernetes_versions};

use modules::Modules;

/// Names a folder with ready-made programs, to be used instead of building them.
pub const BINARIES_VARIABLE: &str = "NODE_ANNOTATOR_TEST_BINARIES";

/// A program of the control plane or of a node, or one to look at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers, the one for DaemonSets among them.
    ControllerManager,
    /// The scheduler, which binds the pods of a DaemonSet as well.
    Scheduler,
    /// The command line client: nothing here needs it, people do.
    Kubectl,
    /// What runs pods on a node.
    Kubelet,
    /// What runs containers for the kubelet.
    Containerd,
    /// What stays with each pod for containerd.
    Shim,
    /// The command line client of containerd, which brings images into it.
    Ctr,
    /// What makes a container out of a process.
    Runc,
    /// What gives a pod its network interface.
    Bridge,
    /// What gives a pod its address.
    HostLocal,
    /// What checks and tries rules of Prometheus.
    Promtool,
    /// What reads dashboards as Grafana's own library does.
    Dashboards,
    /// A registry for images and charts.
    Registry,
    /// What installs charts, in its third version.
    Helm3,
    /// The same in its fourth version.
    Helm4,
    /// What checks workflows.
    Actionlint,
    /// What checks the manifest of a kubectl plugin, as the index of plugins does.
    KrewValidator,
    /// What waits: the program of this project that is in each pod's sandbox, and in pods that stand in the
    /// way.
    Idle,
}

impl Tool {
    /// All that a pinned go.mod of Kubernetes provides.
    pub const KUBERNETES: [Self; 6] =
        [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Scheduler, Self::Kubectl, Self::Kubelet];

    /// What a control plane consists of.
    pub const CONTROL_PLANE: [Self; 4] =
        [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Scheduler];

    /// What a real node consists of.
    pub const NODE: [Self; 8] = [
        Self::Kubelet,
        Self::Containerd,
        Self::Shim,
        Self::Ctr,
        Self::Runc,
        Self::Bridge,
        Self::HostLocal,
        Self::Idle,
    ];

    /// The program's file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Kubelet => "kubelet",
            Self::Containerd => "containerd",
            Self::Shim => "containerd-shim-runc-v2",
            Self::Ctr => "ctr",
            Self::Runc => "runc",
            Self::Bridge => "bridge",
            Self::HostLocal => "host-local",
            Self::Promtool => "promtool",
            Self::Dashboards => "dashboards",
            Self::Registry => "registry",
            Self::Helm3 => "helm3",
            Self::Helm4 => "helm4",
            Self::Actionlint => "actionlint",
            Self::KrewValidator => "validate-krew-manifest",
            Self::Idle => "idle",
        }
    }

    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::ApiServer => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Scheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Kubelet => "k8s.io/kubernetes/cmd/kubelet",
            Self::Containerd => "github.com/containerd/containerd/v2/cmd/containerd",
            Self::Shim => "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            Self::Ctr => "github.com/containerd/containerd/v2/cmd/ctr",
            Self::Runc => "github.com/opencontainers/runc",
            Self::Bridge => "github.com/containernetworking/plugins/plugins/main/bridge",
            Self::HostLocal => "github.com/containernetworking/plugins/plugins/ipam/host-local",
            Self::Promtool => "github.com/prometheus/prometheus/cmd/promtool",
            Self::Dashboards => "./dashboards",
            Self::Registry => "github.com/distribution/distribution/v3/cmd/registry",
            Self::Helm3 => "helm.sh/helm/v3/cmd/helm",
            Self::Helm4 => "helm.sh/helm/v4/cmd/helm",
            Self::Actionlint => "github.com/rhysd/actionlint/cmd/actionlint",
            Self::KrewValidator => "sigs.k8s.io/krew/cmd/validate-krew-manifest",
            Self::Idle => "./idle",
        }
    }

    /// Where it is pinned.
    fn pinned_in(self) -> Pinned {
        match self {
            tool if Self::KUBERNETES.contains(&tool) => Pinned::Kubernetes,
            Self::Promtool => Pinned::In("monitoring"),
            Self::Dashboards => Pinned::In("grafana"),
            Self::Registry => Pinned::In("registry"),
            Self::Helm3 => Pinned::In("helm/3"),
            Self::Helm4 => Pinned::In("helm/4"),
            Self::Actionlint | Self::KrewValidator => Pinned::In("release"),
            _ => Pinned::In(NODE),
        }
    }
}

/// The folder with what a node has beside the kubelet.
const NODE: &str = "node";

/// The go.mod that pins a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pinned {
    /// One for each minor version.
    Kubernetes,
    /// One in a folder of this package.
    In(&'static str),
}

/// Folders in which the programs asked for are ready to run.
#[derive(Clone, Debug)]
pub struct Binaries(BTreeMap<Pinned, PathBuf>);

impl Binaries {
    /// Finds or builds `tools`, those of Kubernetes in a minor version such as `1.36` (`None`:
    /// [`KUBERNETES_VARIABLE`], or the newest).
    ///
    /// Blocks: for minutes when nothing has been built yet, with progress on stderr; for milliseconds
    /// afterwards.
    pub fn obtain(minor: Option<&str>, tools: &[Tool]) -> Result<Self> {
        if let Some(folder) = env::var_os(BINARIES_VARIABLE).map(PathBuf::from) {
            return ready_made(&folder, tools);
        }
        let mut pinned = BTreeMap::<Pinned, Vec<Tool>>::new();
        for tool in tools {
            pinned.entry(tool.pinned_in()).or_default().push(*tool);
        }
        let folders = pinned.into_iter().map(|(pinned, tools)| {
            let modules = match pinned {
                Pinned::Kubernetes => {
                    Modules::kubernetes(&minor.map_or_else(default_minor, |minor| Ok(minor.to_owned()))?)?
                }
                Pinned::In(name) => Modules::of(name)?,
            };
            Ok((pinned, modules.programs(&tools)?))
        });
        Ok(Self(folders.collect::<Result<_>>()?))
    }

    /// The path of a program.
    ///
    /// # Panics
    ///
    /// Nothing from the go.mod of this program was asked for.
    pub fn path(&self, tool: Tool) -> PathBuf {
        self.0[&tool.pinned_in()].join(tool.name())
    }

    /// The folder of the node's programs but the kubelet.
    pub(crate) fn node_folder(&self) -> &Path {
        &self.0[&Pinned::In(NODE)]
    }
}

fn default_minor() -> Result<String> {
    if let Ok(minor) = env::var(KUBERNETES_VARIABLE) {
        return Ok(minor);
    }
    let pinned = kubernetes_versions().context("cannot list the versions of Kubernetes that are pinned")?;
    pinned.last().cloned().context("no version of Kubernetes is pinned")
}

fn ready_made(folder: &Path, tools: &[Tool]) -> Result<Binaries> {
    let folder =
        folder.canonicalize().with_context(|| format!("{BINARIES_VARIABLE}: `{}`", folder.display()))?;
    for tool in tools {
        let path = folder.join(tool.name());
        ensure!(path.is_file(), "{BINARIES_VARIABLE}: no such file: `{}`", path.display());
    }
    eprintln!("using ready-made Kubernetes programs: {}", folder.display());
    Ok(Binaries(tools.iter().map(|tool| (tool.pinned_in(), folder.clone())).collect()))
}

/// The go command, deaf to a workspace around this checkout.
pub(crate) fn go() -> Result<Command> {
    let found = env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join("go").is_file()));
    if !found {
        bail!(
            "Go is needed to build it, and there is no `go` on PATH\n\
             hint: install Go 1.26 or newer, or set {BINARIES_VARIABLE} to a folder with {}",
            Tool::CONTROL_PLANE.map(Tool::name).join(", ")
        );
    }
    let mut command = Command::new("go");
    command.env("GOWORK", "off");
    Ok(command)
}
