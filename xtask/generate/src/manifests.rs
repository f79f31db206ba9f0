//! `cargo xtask gen-manifests`: what lies in `deploy/kubernetes`, `deploy/per-collector` and
//! `deploy/monitoring`, from the registry, and the roles of operators in `deploy/rbac`.

use std::fs;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use node_annotator_core::{Registry, Selection};
use node_annotator_deploy::{Layout, Manifests, Settings, monitoring, roles};

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
    for (name, text) in monitoring::files(&registry, "cargo xtask gen-manifests")? {
        let path = xtask_workspace::root().join(MONITORING).join(name);
        if options.check {
            if fs::read_to_string(&path).unwrap_or_default() != text {
                eprintln!("{MONITORING}/{name}: differs");
                stale = true;
            }
            continue;
        }
        fs::create_dir_all(path.with_file_name("")).context("cannot create the folder for monitoring")?;
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        eprintln!("written: {}", path.display());
    }
    if stale {
        bail!("the manifests are not what the registry says\nhint: cargo xtask gen-manifests");
    }
    Ok(())
}
