//! The manifest by which krew, the manager of kubectl's plugins, installs ours.

use anyhow::{Context, Result};
use serde_json::json;
use xtask_workspace::Target;

/// The plugin, and with `.yaml` the name of its manifest.
pub(crate) const PLUGIN: &str = "node-annotator";

/// An archive that krew unpacks.
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    pub(crate) target: Target,
    /// The file name of the archive.
    pub(crate) archive: String,
    pub(crate) sha256: String,
}

/// The manifest, with an archive for each platform.
pub(crate) fn manifest(version: &str, platforms: &[Platform]) -> Result<String> {
    let repository = env!("CARGO_PKG_REPOSITORY");
    let platforms: Vec<_> = platforms
        .iter()
        .map(|platform| {
            let (os, architecture) = platform.target.of_kubernetes();
            let files = ["node-annotator", "LICENSE-APACHE", "LICENSE-MIT"];
            json!({
                "selector": { "matchLabels": { "os": os, "arch": architecture } },
                "uri": format!("{repository}/releases/download/v{version}/{}", platform.archive),
                "sha256": platform.sha256,
                "files": files.map(|file| json!({ "from": format!("*/{file}"), "to": "." })),
                "bin": "node-annotator",
            })
        })
        .collect();
    let manifest = json!({
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": { "name": PLUGIN },
        "spec": {
            "version": format!("v{version}"),
            "homepage": repository,
            "shortDescription": "Facts about nodes, read once and kept on them",
            "description": "Installs collectors that read facts about each node once and write them on the Node object, and looks at \
                what they wrote: status, facts as columns, differences, drift, expectations, reports.\n",
            "caveats": "The commands read Nodes and DaemonSets; `kubectl node-annotator doctor` says which rights are missing.\n",
            "platforms": platforms,
        },
    });
    serde_saphyr::to_string(&manifest).context("cannot write YAML")
}
