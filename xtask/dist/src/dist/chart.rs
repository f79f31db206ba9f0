//! The Helm chart as a package, as `helm package` names it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use node_annotator_image::archive::{Entry, gzip, tar};
use serde_json::Value;

use super::VERSION;

/// Where the chart lies in the checkout, and what its folder is called in the package.
const CHART: (&str, &str) = ("deploy/helm/node-annotator", "node-annotator");

/// The file name of the package.
pub(super) fn package_name() -> String {
    format!("{}-{VERSION}.tgz", CHART.1)
}

/// Writes the package into a folder.
pub(super) fn package(folder: &Path) -> Result<()> {
    let chart = xtask_workspace::root().join(CHART.0);
    let mut files = Vec::new();
    list(&chart, &mut files)?;
    files.sort();
    let mut entries = Vec::new();
    for path in &files {
        let name = path.strip_prefix(&chart).context("a file outside of the chart")?;
        let contents = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        entries.push((format!("{}/{}", CHART.1, name.display()), contents));
    }
    // Helm wants this one first.
    entries.sort_by_key(|(path, _)| !path.ends_with("node-annotator/Chart.yaml"));
    let entries = entries.iter().map(|(path, contents)| Entry { path, mode: 0o644, contents });
    let bytes = gzip(&tar(&entries.collect::<Vec<_>>())?)?;
    fs::write(folder.join(package_name()), bytes).context("cannot write the chart")
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = folder.read_dir().with_context(|| format!("cannot list `{}`", folder.display()))?;
    for entry in entries {
        let path = entry.context("cannot list the chart")?.path();
        if path.is_dir() { list(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// Its version, and that of what it installs, are those of the workspace.
pub(super) fn check(metadata: &str) -> Result<()> {
    let metadata: Value = serde_saphyr::from_str(metadata).context("Chart.yaml is no YAML")?;
    for key in ["version", "appVersion"] {
        ensure!(
            metadata[key] == VERSION,
            "Chart.yaml: {key} is {}, and the workspace's {VERSION}",
            metadata[key]
        );
    }
    Ok(())
}
