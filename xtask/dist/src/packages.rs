//! `cargo xtask packages`: the crates that are published, as cargo packages them, and a crate of other people
//! that is built from nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use xtask_workspace::{cargo, root, target_folder};

/// In the order in which they are published: each depends on those before it.
pub(crate) const PUBLISHED: [&str; 5] = [
    "node-annotator-core",
    "node-annotator-testing",
    "node-annotator-collectors",
    "node-annotator-deploy",
    "node-annotator",
];

/// What each package has besides its sources.
const OWED: [&str; 4] = ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// What a package may have at most, compressed: its sources, and none of the recorded machines.
const LIMIT: u64 = 400_000;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Look at what is packaged, and build nothing from it
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = target_folder().join("packages");
    let mut package = cargo();
    package.args(["package", "--no-verify", "--allow-dirty", "--quiet", "--target-dir"]).arg(&folder);
    package.args(PUBLISHED.iter().flat_map(|name| ["--package", name]));
    passes(&mut package)?;
    let unpacked = folder.join("unpacked");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).context("cannot remove what was unpacked before")?;
    }
    for name in PUBLISHED {
        unpack(&folder, &unpacked, name).with_context(|| format!("the package {name}"))?;
    }
    if !options.quick {
        let example = copy_example(&unpacked)?;
        let mut test = cargo();
        // Without the settings and the patch of this workspace, which other people do not have.
        test.current_dir(&example).arg("test").arg("--target-dir").arg(folder.join("target"));
        passes(&mut test)?;
    }
    eprintln!("{} packages of {VERSION}: {}", PUBLISHED.len(), unpacked.display());
    Ok(())
}

fn unpack(folder: &Path, unpacked: &Path, name: &str) -> Result<()> {
    let archive = folder.join("package").join(format!("{name}-{VERSION}.crate"));
    let bytes = fs::read(&archive).with_context(|| format!("cannot read `{}`", archive.display()))?;
    let size = u64::try_from(bytes.len())?;
    ensure!(
        size <= LIMIT,
        "it has {size} bytes, and may have {LIMIT}: what in it is not needed to build it?"
    );
    tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]))
        .unpack(unpacked)
        .context("it cannot be unpacked")?;
    let place = place(unpacked, name);
    for file in OWED {
        ensure!(place.join(file).is_file(), "it has no {file}");
    }
    let manifest = fs::read_to_string(place.join("Cargo.toml")).context("cannot read its Cargo.toml")?;
    for key in ["description", "license", "repository", "readme", "keywords", "categories", "rust-version"] {
        ensure!(manifest.contains(&format!("\n{key} = ")), "its Cargo.toml has no `{key}`");
    }
    ensure!(!manifest.contains("[patch"), "its Cargo.toml has a patch");
    Ok(())
}

fn place(unpacked: &Path, name: &str) -> PathBuf {
    unpacked.join(format!("{name}-{VERSION}"))
}

/// The example of a crate of other people, on the packages in place of the checkout.
fn copy_example(unpacked: &Path) -> Result<PathBuf> {
    let (source, copy) = (root().join("collectors/examples/out-of-tree"), unpacked.join("out-of-tree"));
    copy_folder(&source, &copy)?;
    let path = copy.join("Cargo.toml");
    let manifest = fs::read_to_string(&path).context("cannot read the example's Cargo.toml")?;
    fs::write(&path, on_packages(&manifest, unpacked)?).context("cannot write the example's Cargo.toml")?;
    Ok(copy)
}

/// The manifest with versions in place of paths, and with packages in place of those of the registry.
fn on_packages(manifest: &str, unpacked: &Path) -> Result<String> {
    let of_version = |line: &str| match line.split_once(" = { path = ") {
        Some((name, _)) => format!("{name} = \"{VERSION}\""),
        None => line.to_owned(),
    };
    let mut lines: Vec<_> = manifest.lines().map(of_version).collect();
    ensure!(
        lines.iter().all(|line| !line.contains("path =")),
        "the example depends on something by a path that is not replaced"
    );
    lines.push("\n[patch.crates-io]".to_owned());
    let patch = |name| format!("{name} = {{ path = \"{}\" }}", place(unpacked, name).display());
    lines.extend(PUBLISHED.map(patch));
    Ok(lines.join("\n") + "\n")
}

fn copy_folder(source: &Path, copy: &Path) -> Result<()> {
    fs::create_dir_all(copy).with_context(|| format!("cannot make `{}`", copy.display()))?;
    for entry in source.read_dir().with_context(|| format!("cannot list `{}`", source.display()))? {
        let path = entry.context("cannot list the example")?.path();
        let place = copy.join(path.file_name().context("a file without a name")?);
        if path.is_dir() && !path.ends_with("target") {
            copy_folder(&path, &place)?;
        } else if path.is_file() && !path.ends_with("Cargo.lock") {
            fs::copy(&path, &place).with_context(|| format!("cannot copy `{}`", path.display()))?;
        }
    }
    Ok(())
}

fn passes(command: &mut Command) -> Result<()> {
    let status = command.status().context("cannot start cargo")?;
    if status.success() { Ok(()) } else { bail!("cargo: {status}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_goes_by_versions() {
        let manifest = fs::read_to_string(root().join("collectors/examples/out-of-tree/Cargo.toml")).unwrap();
        let text = on_packages(&manifest, Path::new("/packages")).unwrap();
        assert!(text.contains(&format!("\nnode-annotator-core = \"{VERSION}\"\n")), "{text}");
        assert!(text.contains(&format!("path = \"/packages/node-annotator-core-{VERSION}\"")), "{text}");
        assert!(on_packages("a = { version = \"1\", path = \"..\" }", Path::new("/packages")).is_err());
    }
}
