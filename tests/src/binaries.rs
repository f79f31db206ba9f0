//! The Kubernetes programs: built once from pinned Go modules and kept under `target/`, or ready-made ones.

mod build;

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{pin, target};

/// Names a folder with ready-made programs, to be used instead of building them.
pub const BINARIES_VARIABLE: &str = "NODE_ANNOTATOR_TEST_BINARIES";

/// Names the Kubernetes minor version for everything that does not ask for a particular one.
pub const VERSION_VARIABLE: &str = "NODE_ANNOTATOR_TEST_KUBERNETES";

const DEFAULT_MINOR: &str = "1.36";

/// A program of the control plane, or one to look at it.
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
}

impl Tool {
    /// All that a pinned go.mod provides.
    pub const ALL: [Self; 5] =
        [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Scheduler, Self::Kubectl];

    /// What a control plane consists of.
    pub const CONTROL_PLANE: [Self; 4] =
        [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Scheduler];

    /// The program's file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
        }
    }

    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::ApiServer => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Scheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
        }
    }
}

/// A folder in which the programs asked for are ready to run.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Finds or builds `tools` of a Kubernetes minor version such as `1.36` (`None`: [`VERSION_VARIABLE`], or the newest).
    ///
    /// Blocks: for minutes when nothing has been built yet, with progress on stderr; for milliseconds afterwards.
    pub fn obtain(minor: Option<&str>, tools: &[Tool]) -> Result<Self> {
        if let Some(folder) = env::var_os(BINARIES_VARIABLE).map(PathBuf::from) {
            return ready_made(&folder, tools);
        }
        let minor = minor.map_or_else(default_minor, str::to_owned);
        let modules = Modules::read(&minor)?;
        let folder = target::target_folder().join("kubernetes").join(&minor);
        let bin = folder.join("bin");
        let missing =
            || tools.iter().copied().filter(|tool| !modules.is_built(&bin, *tool)).collect::<Vec<_>>();
        if !missing().is_empty() {
            fs::create_dir_all(&bin).with_context(|| format!("cannot create `{}`", bin.display()))?;
            let lock = File::create(folder.join("lock")).context("cannot create the build's lock file")?;
            lock.lock().context("cannot lock the build")?;
            // Whoever held the lock before has probably built what is missing.
            build::build(&modules, &bin, &missing())?;
        }
        Ok(Self { folder: bin })
    }

    /// The path of a program that was asked for.
    pub fn path(&self, tool: Tool) -> PathBuf {
        self.folder.join(tool.name())
    }
}

/// The pinned modules of one minor version.
struct Modules {
    folder: PathBuf,
    /// `v1.36.3`.
    version: String,
    /// What the stamp beside each program must hold for it to be current.
    stamp: String,
}

impl Modules {
    fn read(minor: &str) -> Result<Self> {
        let folder = pin::modules_folder().join(minor);
        let Ok(go_mod) = fs::read_to_string(folder.join("go.mod")) else {
            bail!(
                "Kubernetes {minor} is not pinned: no go.mod in `{}`\nhint: cargo xtask pin-kubernetes {minor}.0",
                folder.display()
            );
        };
        let go_sum = fs::read_to_string(folder.join("go.sum")).context("cannot read go.sum")?;
        let version =
            pin::required_version(&go_mod, "k8s.io/kubernetes").context("go.mod requires no Kubernetes")?;
        let version = version.to_owned();
        let mut hasher = DefaultHasher::new();
        (&go_mod, &go_sum, build::linker_flags(&version)).hash(&mut hasher);
        let stamp = format!("{version} {:016x}", hasher.finish());
        Ok(Self { folder, version, stamp })
    }

    fn is_built(&self, bin: &Path, tool: Tool) -> bool {
        bin.join(tool.name()).is_file()
            && fs::read_to_string(stamp_path(bin, tool)).is_ok_and(|it| it == self.stamp)
    }
}

fn stamp_path(bin: &Path, tool: Tool) -> PathBuf {
    bin.join(format!(".{}.stamp", tool.name()))
}

fn default_minor() -> String {
    env::var(VERSION_VARIABLE).unwrap_or_else(|_| DEFAULT_MINOR.to_owned())
}

fn ready_made(folder: &Path, tools: &[Tool]) -> Result<Binaries> {
    let folder =
        folder.canonicalize().with_context(|| format!("{BINARIES_VARIABLE}: `{}`", folder.display()))?;
    for tool in tools {
        let path = folder.join(tool.name());
        ensure!(path.is_file(), "{BINARIES_VARIABLE}: no such file: `{}`", path.display());
    }
    eprintln!("using ready-made Kubernetes programs: {}", folder.display());
    Ok(Binaries { folder })
}

/// The go command, deaf to a workspace around this checkout.
pub(crate) fn go() -> Result<Command> {
    let found = env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join("go").is_file()));
    if !found {
        bail!(
            "Go is needed to build the Kubernetes control plane, and there is no `go` on PATH\n\
             hint: install Go 1.26 or newer, or set {BINARIES_VARIABLE} to a folder with {}",
            Tool::CONTROL_PLANE.map(Tool::name).join(", ")
        );
    }
    let mut command = Command::new("go");
    command.env("GOWORK", "off");
    Ok(command)
}
