//! A folder with a pinned go.mod, and the programs built from it.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xtask_workspace::target_folder;

use super::{Tool, build};
use crate::pin;

/// Pinned modules, and where their programs go.
pub(super) struct Modules {
    /// What is built, for people: `Kubernetes v1.36.3`.
    pub(super) title: String,
    /// The folder with go.mod and go.sum.
    pub(super) folder: PathBuf,
    /// The version that Kubernetes programs are stamped with; empty for others.
    pub(super) version: String,
    /// The contents of both files.
    pins: (String, String),
    output: PathBuf,
}

impl Modules {
    /// One minor version of Kubernetes.
    pub(super) fn kubernetes(minor: &str) -> Result<Self> {
        let folder = pin::modules_folder().join(minor);
        if !folder.join("go.mod").is_file() {
            bail!(
                "Kubernetes {minor} is not pinned: no go.mod in `{}`\nhint: cargo xtask pin-kubernetes {minor}.0",
                folder.display()
            );
        }
        let pins = read_pins(&folder)?;
        let version =
            pin::required_version(&pins.0, "k8s.io/kubernetes").context("go.mod requires no Kubernetes")?;
        let version = version.to_owned();
        let title = format!("Kubernetes {version}");
        let output = target_folder().join("kubernetes").join(minor);
        Ok(Self { title, folder, version, pins, output })
    }

    /// A folder of this package. It is the same for all versions of Kubernetes.
    pub(super) fn of(name: &str) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let pins = read_pins(&folder)?;
        let title = format!("what tests/{name}/go.mod pins");
        let output = target_folder().join("kubernetes").join(name);
        Ok(Self { title, folder, version: String::new(), pins, output })
    }

    /// The folder with the programs; those that are missing or out of date are built.
    pub(super) fn programs(&self, tools: &[Tool]) -> Result<PathBuf> {
        let bin = self.output.join("bin");
        let missing = || tools.iter().copied().filter(|tool| !self.is_built(&bin, *tool)).collect::<Vec<_>>();
        if !missing().is_empty() {
            fs::create_dir_all(&bin).with_context(|| format!("cannot create `{}`", bin.display()))?;
            let lock =
                File::create(self.output.join("lock")).context("cannot create the build's lock file")?;
            lock.lock().context("cannot lock the build")?;
            // Whoever held the lock before has probably built what is missing.
            build::build(self, &bin, &missing())?;
        }
        Ok(bin)
    }

    fn is_built(&self, bin: &Path, tool: Tool) -> bool {
        bin.join(tool.name()).is_file()
            && fs::read_to_string(stamp_path(bin, tool)).is_ok_and(|it| it == self.stamp(tool))
    }

    /// What the file beside a program must hold for the program to be current.
    pub(super) fn stamp(&self, tool: Tool) -> String {
        let mut hasher = DefaultHasher::new();
        (&self.pins, build::flags(tool, &self.version)).hash(&mut hasher);
        if let Some(own) = tool.package().strip_prefix("./") {
            fs::read(self.folder.join(own).join("main.go")).unwrap_or_default().hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}

pub(super) fn stamp_path(bin: &Path, tool: Tool) -> PathBuf {
    bin.join(format!(".{}.stamp", tool.name()))
}

fn read_pins(folder: &Path) -> Result<(String, String)> {
    let read = |name| {
        let path = folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))
    };
    Ok((read("go.mod")?, read("go.sum")?))
}
