//! `cargo xtask gen-manifests`: what lies in `deploy/kubernetes`, `deploy/per-collector` and
//! `deploy/monitoring`, from the registry, what the Helm chart is made of, and the roles of operators in
//! `deploy/rbac`.

use std::fs;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use node_annotator_core::{Registry, Selection};
use node_annotator_deploy::{Layout, Manifests, Settings, chart, monitoring, roles};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write nothing, and fail if a file is not as it would be written
    #[arg(long)]
    check: bool,
}

/// Each layout, and where it lies.
const FOLDERS: [(Layout, &str); 2] =
    [(Layout::Combined, "deploy/kubernetes"), (Layout::PerCollector, "deploy/per-collector")];

/// Where the files for monitoring lie.
const MONITORING: &str = "deploy/monitoring";

/// Where the Helm chart lies. Its templates are written by hand.
const CHART: &str = "deploy/helm/node-annotator";

const COMMAND: &str = "cargo xtask gen-manifests";

pub(crate) fn run(options: &Options) -> Result<()> {
    let registry = Registry::from_inventory()?;
    let selection = Selection::parse("default", &registry)?;
    let mut stale = false;
    let mut folders = Vec::new();
    for (layout, name) in FOLDERS {
        folders.push((name, Manifests::new(&Settings { layout, ..Settings::new(selection.clone()) })?));
    }
    let of_default = Settings::new(selection);
    folders.push(("deploy/rbac", roles::manifests(&of_default.version, &of_default.command)));
    for (name, manifests) in folders {
        let folder = xtask_workspace::root().join(name);
        if !options.check {
            manifests.write(&folder)?;
            eprintln!("written: {}", folder.display());
            continue;
        }
        for difference in manifests.check(&folder)? {
            eprintln!("{name}/{difference}");
            stale = true;
        }
    }
    let of_folder = |folder: &'static str, files: Vec<(&'static str, String)>| {
        files.into_iter().map(move |(name, text)| (format!("{folder}/{name}"), text))
    };
    let monitoring = of_folder(MONITORING, monitoring::files(&registry, COMMAND)?);
    for (name, text) in monitoring.chain(of_folder(CHART, chart::files(&registry, COMMAND)?)) {
        let path = xtask_workspace::root().join(&name);
        if options.check {
            if fs::read_to_string(&path).unwrap_or_default() != text {
                eprintln!("{name}: differs");
                stale = true;
            }
            continue;
        }
        let folder = path.with_file_name("");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        eprintln!("written: {}", path.display());
    }
    if stale {
        bail!("the manifests are not what the registry says\nhint: cargo xtask gen-manifests");
    }
    Ok(())
}
