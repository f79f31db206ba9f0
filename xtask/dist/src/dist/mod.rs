//! `cargo xtask dist`: what a release consists of.

mod changelog;
mod chart;
mod check;
mod registry;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use node_annotator_image::archive::{Entry, gzip, tar};
use node_annotator_image::{Image, Program};
use xtask_workspace::{RELEASED, Target, static_binary, target_folder};

use crate::image::{self, Made};
use crate::pages::{self, File};
use crate::revision::Revision;
use crate::{krew, sha256};

/// Of the workspace, and of all that is released.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What lists all other files, as `sha256sum --check` reads it.
const CHECKSUMS: &str = "SHA256SUMS";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder to write; what is in it is removed [default: target/dist]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Take archives that were made on another machine too, such as those for macOS
    #[arg(long, value_name = "DIR")]
    with: Option<PathBuf>,
    /// Write the archives with binaries alone, on a machine whose targets another one lacks
    #[arg(long, conflicts_with_all = ["with", "check"])]
    binaries: bool,
    /// The tag that the release is made for; it has to be that of the version
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Make it from the binary as the tests build it, for this machine alone; look at all of it, make it
    /// once more to see whether it is the same, and push the image to a registry on loopback
    #[arg(long, conflicts_with = "with")]
    check: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    changelog::check()?;
    if let Some(tag) = &options.tag {
        ensure!(*tag == format!("v{VERSION}"), "the tag `{tag}` is not that of the version, v{VERSION}");
        changelog::check_released()?;
    }
    let target = target_folder();
    if options.check {
        let folder = options.output.clone().unwrap_or_else(|| target.join("dist-check"));
        let binaries = [(Target::host()?, static_binary::build()?)];
        let made = Release { folder: &folder, binaries: &binaries, with: None }.make()?;
        check::look(&folder)?;
        let again = folder.with_extension("again");
        Release { folder: &again, binaries: &binaries, with: None }.make()?;
        check::same(&folder, &again)?;
        fs::remove_dir_all(&again).context("cannot remove what was made again")?;
        if let Some(made) = made {
            registry::check(&made)?;
        }
        eprintln!("a release of {VERSION} is complete: {}", folder.display());
        return Ok(());
    }
    let revision = Revision::of_checkout();
    let commit = revision.as_ref().map(Revision::short);
    let mut binaries = Vec::new();
    for target in RELEASED.map(Target::new) {
        if let Some(missing) = target.missing()? {
            eprintln!("left out: {}: {missing}", target.triple());
            continue;
        }
        eprintln!("building the release binary for {}", target.triple());
        let built = static_binary::build_for(&target, commit.as_deref())?;
        binaries.push((target, built));
    }
    let folder = options.output.clone().unwrap_or_else(|| target.join("dist"));
    let release = Release { folder: &folder, binaries: &binaries, with: options.with.as_deref() };
    if options.binaries {
        release.make_archives()?;
    } else {
        release.make()?;
        check::look(&folder)?;
    }
    eprintln!("{VERSION}: {}", folder.display());
    Ok(())
}

/// A release that is made.
struct Release<'a> {
    folder: &'a Path,
    /// What was built, each for its target.
    binaries: &'a [(Target, PathBuf)],
    /// Archives that were made elsewhere.
    with: Option<&'a Path>,
}

impl Release<'_> {
    /// Writes it, and returns the image where there is one.
    fn make(&self) -> Result<Option<Made>> {
        let mut platforms = self.make_archives()?;
        platforms.extend(self.taken_in()?);
        let made = self.image()?;
        chart::package(self.folder)?;
        let manifest = krew::manifest(VERSION, &platforms)?;
        self.write(&format!("{}.yaml", krew::PLUGIN), manifest.as_bytes())?;
        self.write(CHECKSUMS, check::checksums(self.folder)?.as_bytes())?;
        Ok(made)
    }

    /// Writes the archives with binaries into the folder, which is emptied.
    fn make_archives(&self) -> Result<Vec<krew::Platform>> {
        if self.folder.exists() {
            // Only what this task wrote: a path that was mistyped loses nothing.
            ensure!(
                self.folder.join(CHECKSUMS).is_file() || self.folder.read_dir()?.next().is_none(),
                "`{}` has other files in it\nhint: name a folder that is empty, or made by this task",
                self.folder.display()
            );
            fs::remove_dir_all(self.folder).context("cannot remove the release that was there")?;
        }
        fs::create_dir_all(self.folder).context("cannot make the folder")?;
        let platforms = self.archives()?;
        self.write(CHECKSUMS, check::checksums(self.folder)?.as_bytes())?;
        Ok(platforms)
    }

    fn archives(&self) -> Result<Vec<krew::Platform>> {
        let host = Target::host()?;
        let Some((_, runs)) = self.binaries.iter().find(|(target, _)| *target == host) else {
            bail!("{} is not released: a binary that runs here prints the completions", host.triple());
        };
        let common = pages::files(runs)?;
        let archive = |(target, binary): &(Target, PathBuf)| {
            let program = fs::read(binary).with_context(|| format!("cannot read `{}`", binary.display()))?;
            let mut files = vec![File::new("node-annotator", 0o755, program)];
            files.extend(common.iter().cloned());
            let name = archive_name(target);
            let folder = name.trim_end_matches(".tar.gz");
            let paths: Vec<_> = files.iter().map(|file| format!("{folder}/{}", file.path)).collect();
            let entries = paths.iter().zip(&files);
            let entries =
                entries.map(|(path, file)| Entry { path, mode: file.mode, contents: &file.contents });
            let bytes = gzip(&tar(&entries.collect::<Vec<_>>())?)?;
            self.write(&name, &bytes)?;
            Ok(krew::Platform { target: target.clone(), archive: name, sha256: sha256(&bytes) })
        };
        self.binaries.iter().map(archive).collect()
    }

    fn taken_in(&self) -> Result<Vec<krew::Platform>> {
        let Some(with) = self.with else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for target in RELEASED.map(Target::new) {
            let name = archive_name(&target);
            let is_built = self.binaries.iter().any(|(built, _)| *built == target);
            if is_built || !with.join(&name).is_file() {
                continue;
            }
            let bytes = fs::read(with.join(&name)).with_context(|| format!("cannot read {name}"))?;
            self.write(&name, &bytes)?;
            found.push(krew::Platform { target, archive: name, sha256: sha256(&bytes) });
        }
        ensure!(!found.is_empty(), "`{}` has no archive of {VERSION} for another machine", with.display());
        Ok(found)
    }

    fn image(&self) -> Result<Option<Made>> {
        let linux: Vec<_> = self.binaries.iter().filter(|(target, _)| target.is_linux()).collect();
        if linux.is_empty() {
            eprintln!("left out: the image: nothing was built for Linux");
            return Ok(None);
        }
        let targets: Vec<_> = linux.iter().map(|(target, _)| target.clone()).collect();
        let programs = linux.iter().map(|(_, path)| Program::read(path)).collect::<Result<Vec<_>>>()?;
        let image = Image::node_annotator(node_annotator_deploy::DEFAULT_IMAGE)?;
        let made = image::pack(&image, &targets, &programs, Revision::of_checkout().as_ref())?;
        self.write(&format!("node-annotator-{VERSION}-image.tar"), &made.image.archive()?)?;
        for (_, attachment) in &made.attachments {
            self.write(attachment.file(), attachment.document())?;
        }
        Ok(Some(made))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        fs::write(self.folder.join(name), bytes).with_context(|| format!("cannot write {name}"))
    }
}

fn archive_name(target: &Target) -> String {
    format!("node-annotator-{VERSION}-{}.tar.gz", target.triple())
}
