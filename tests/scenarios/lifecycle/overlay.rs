//! Generated manifests with the components of `deploy/kustomize` over them, as an operator lays them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use node_annotator_deploy::{Manifests, Settings};
use node_annotator_tests::Cluster;
use serde_json::json;

const COMPONENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kustomize");

/// A folder of generated manifests with a copy of the components beside it.
#[derive(Debug)]
pub(crate) struct Overlay(PathBuf);

impl Overlay {
    /// Writes both into a folder of the cluster's.
    pub(crate) fn write(cluster: &Cluster, name: &str, settings: &Settings) -> Result<Self> {
        let folder = cluster.folder().join(name);
        Manifests::new(settings)?.write(&folder.join("kubernetes"))?;
        copy(COMPONENTS.as_ref(), &folder.join("kustomize"))?;
        Ok(Self(folder))
    }

    /// The folder of the manifests.
    pub(crate) fn manifests(&self) -> String {
        self.0.join("kubernetes").display().to_string()
    }

    /// The file of a component, to be changed as an operator would.
    pub(crate) fn component(&self, name: &str) -> PathBuf {
        self.0.join("kustomize").join(name).join("kustomization.yaml")
    }

    /// The folder of the kustomization with all components, as it is in the repository.
    pub(crate) fn with_all(&self) -> String {
        self.0.join("kustomize").display().to_string()
    }

    /// The folder of a kustomization with these components and no other.
    pub(crate) fn with(&self, components: &[&str]) -> Result<String> {
        let folder = self.0.join(format!("with-{}", components.join("-")));
        let components: Vec<_> = components.iter().map(|name| format!("../kustomize/{name}")).collect();
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "sortOptions": {"order": "fifo"},
            "resources": ["../kubernetes"],
            "components": components,
        });
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("kustomization.yaml"), kustomization.to_string())?;
        Ok(folder.display().to_string())
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list `{}`", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
