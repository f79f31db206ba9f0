//! Looks at a release as somebody who downloads it: is all there, does it fit together.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cyclonedx_bom::models::bom::Bom;
use cyclonedx_bom::prelude::Validate as _;
use node_annotator_tests::binaries::{Binaries, Tool};
use serde_json::Value;
use xtask_workspace::{RELEASED, Target};

use super::{CHECKSUMS, VERSION, archive_name, chart};
use crate::{krew, pages, sha256};

/// What `SHA256SUMS` says of the files in a folder.
pub(super) fn checksums(folder: &Path) -> Result<String> {
    let lines = files(folder)?.into_iter().filter(|(name, _)| name != CHECKSUMS);
    let lines: Vec<_> = lines.map(|(name, bytes)| format!("{}  {name}", sha256(&bytes))).collect();
    Ok(lines.join("\n") + "\n")
}

/// Both folders have the same files with the same bytes.
pub(super) fn same(one: &Path, other: &Path) -> Result<()> {
    let (one, other) = (files(one)?, files(other)?);
    ensure!(one.keys().eq(other.keys()), "made once more there are other files");
    for (name, bytes) in &one {
        ensure!(other[name] == *bytes, "{name} is another one when it is made once more");
    }
    Ok(())
}

/// All that a release owes.
pub(super) fn look(folder: &Path) -> Result<()> {
    let found = files(folder)?;
    let text = |name: &str| {
        let bytes = found.get(name).with_context(|| format!("{name} is missing"))?;
        std::str::from_utf8(bytes).with_context(|| format!("{name} is no UTF-8"))
    };
    ensure!(text(CHECKSUMS)? == checksums(folder)?, "{CHECKSUMS} does not fit the files");
    for (name, bytes) in &found {
        ensure!(!bytes.is_empty(), "{name} is empty");
    }
    let targets = RELEASED.map(Target::new).into_iter().filter(|it| found.contains_key(&archive_name(it)));
    let targets: Vec<_> = targets.collect();
    ensure!(!targets.is_empty(), "there is no binary");
    let mut programs = BTreeMap::new();
    for target in &targets {
        let name = archive_name(target);
        let program = archive(target, &found[&name]).with_context(|| format!("{name} is not complete"))?;
        programs.insert(target.triple().to_owned(), program);
    }
    plugin(folder, text(&format!("{}.yaml", krew::PLUGIN))?, &targets, &found)?;
    let package = found.get(&chart::package_name()).context("the chart is missing")?;
    let package = unpack_gzip(package).context("the chart is no archive")?;
    let (_, metadata) = package.get("node-annotator/Chart.yaml").context("the chart has no Chart.yaml")?;
    chart::check(std::str::from_utf8(metadata).context("Chart.yaml is no UTF-8")?)?;
    let linux: Vec<_> = targets.iter().filter(|target| target.is_linux()).collect();
    if !linux.is_empty() {
        let archive =
            found.get(&format!("node-annotator-{VERSION}-image.tar")).context("the image is missing")?;
        let digests = image(archive, &linux, &programs).context("the image is not complete")?;
        provenance(text(&format!("node-annotator-{VERSION}.intoto.json"))?, &digests)?;
        for target in linux {
            let name = format!("node-annotator-{VERSION}-{}.cdx.json", target.triple());
            bill(text(&name)?).with_context(|| format!("{name} is not complete"))?;
        }
    }
    Ok(())
}

/// An archive with a binary, which is returned.
fn archive(target: &Target, bytes: &[u8]) -> Result<Vec<u8>> {
    let folder = archive_name(target);
    let folder = folder.trim_end_matches(".tar.gz");
    let files = unpack_gzip(bytes)?;
    let file =
        |name: &str| files.get(&format!("{folder}/{name}")).with_context(|| format!("{name} is missing"));
    let (mode, program) = file("node-annotator")?;
    ensure!(mode & 0o111 == 0o111, "the binary is not executable");
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "completions/_node-annotator"] {
        file(name)?;
    }
    ensure!(
        file("completions/kubectl_complete-node_annotator")?.0 & 0o111 == 0o111,
        "kubectl cannot start its completions"
    );
    for page in pages::man_pages()? {
        ensure!(file(&page.path)?.1 == page.contents, "{} is of another version", page.path);
    }
    if *target == Target::host()? {
        let place = tempfile::tempdir().context("cannot make a folder for temporary files")?;
        let path = place.path().join("node-annotator");
        fs::write(&path, program).context("cannot unpack the binary")?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let output = Command::new(&path).arg("--version").output().context("cannot start the binary")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let expected = format!("node-annotator {VERSION}");
        ensure!(
            said.trim_end() == expected || said.starts_with(&format!("{expected} (")),
            "it says `{said}`"
        );
    }
    Ok(program.clone())
}

/// The manifest for krew: its archives are these, and krew's own check takes it.
fn plugin(
    folder: &Path,
    manifest: &str,
    targets: &[Target],
    found: &BTreeMap<String, Vec<u8>>,
) -> Result<()> {
    let read: Value = serde_saphyr::from_str(manifest).context("the manifest for krew is no YAML")?;
    ensure!(read["spec"]["version"] == format!("v{VERSION}"), "the manifest for krew is of another version");
    let platforms = read["spec"]["platforms"].as_array().context("the manifest for krew has no platform")?;
    ensure!(platforms.len() == targets.len(), "the manifest for krew has another number of platforms");
    for (platform, target) in platforms.iter().zip(targets) {
        let name = archive_name(target);
        let uri = platform["uri"].as_str().unwrap_or_default();
        ensure!(uri.ends_with(&format!("/v{VERSION}/{name}")), "the manifest for krew does not name {name}");
        ensure!(
            platform["sha256"] == sha256(&found[&name]),
            "the manifest for krew has another checksum of {name}"
        );
    }
    let binaries = Binaries::obtain(None, &[Tool::KrewValidator])?;
    let mut validator = Command::new(binaries.path(Tool::KrewValidator));
    // Its installation downloads the archives, which are not there before the release.
    validator.arg("-skip-install").arg("-manifest").arg(folder.join(format!("{}.yaml", krew::PLUGIN)));
    let output = validator.output().context("cannot start krew's validator")?;
    ensure!(
        output.status.success(),
        "krew refuses the manifest: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// An image with the programs of the archives; the digests of its index and manifests.
fn image(archive: &[u8], targets: &[&Target], programs: &BTreeMap<String, Vec<u8>>) -> Result<Vec<String>> {
    let files = unpack(archive)?;
    let json = |name: &str| -> Result<Value> {
        let (_, bytes) = files.get(name).with_context(|| format!("{name} is missing"))?;
        serde_json::from_slice(bytes).with_context(|| format!("{name} is no JSON"))
    };
    let place = |descriptor: &Value| {
        format!("blobs/{}", descriptor["digest"].as_str().unwrap_or_default().replace(':', "/"))
    };
    let root = json("index.json")?["manifests"][0].clone();
    let index = json(&place(&root))?;
    let manifests = index["manifests"].as_array().context("its index names no manifest")?;
    ensure!(manifests.len() == targets.len(), "it has another number of architectures");
    let mut digests = vec![root["digest"].clone()];
    for (descriptor, target) in manifests.iter().zip(targets) {
        let (os, architecture) = target.of_kubernetes();
        let platform = &descriptor["platform"];
        ensure!(
            platform["os"] == os && platform["architecture"] == architecture,
            "it has {platform} in a wrong place"
        );
        let manifest = json(&place(descriptor))?;
        let (_, layer) = files.get(&place(&manifest["layers"][0])).context("a layer is missing")?;
        let layer = unpack_gzip(layer)?;
        let (_, program) = layer.get("node-annotator").context("a layer has no program")?;
        ensure!(*program == programs[target.triple()], "its program is not that of the archive");
        digests.push(descriptor["digest"].clone());
    }
    Ok(digests.iter().filter_map(|digest| digest.as_str()).map(str::to_owned).collect())
}

fn provenance(statement: &str, digests: &[String]) -> Result<()> {
    let statement: Value = serde_json::from_str(statement).context("the provenance is no JSON")?;
    let subjects = statement["subject"].as_array().context("the provenance is of nothing")?;
    let named: Vec<_> = subjects.iter().filter_map(|it| it["digest"]["sha256"].as_str()).collect();
    let expected: Vec<_> = digests.iter().map(|digest| digest.trim_start_matches("sha256:")).collect();
    ensure!(named == expected, "the provenance is of another image");
    Ok(())
}

fn bill(text: &str) -> Result<()> {
    let bom = Bom::parse_from_json(text.as_bytes()).context("it is not CycloneDX")?;
    ensure!(bom.validate().passed(), "it is not valid CycloneDX");
    let component = bom.metadata.as_ref().and_then(|metadata| metadata.component.as_ref());
    let version =
        component.and_then(|component| component.version.as_ref()).context("it is of no version")?;
    ensure!(version.to_string() == VERSION, "it is of version {version}");
    // The API client alone brings more.
    ensure!(bom.components.is_some_and(|components| components.0.len() > 50), "it lists too few crates");
    Ok(())
}

fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in folder.read_dir().with_context(|| format!("cannot list `{}`", folder.display()))? {
        let path = entry.context("cannot list the release")?.path();
        let bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        files.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), bytes);
    }
    Ok(files)
}

/// The files of an archive with their permissions.
type Unpacked = BTreeMap<String, (u32, Vec<u8>)>;

fn unpack_gzip(bytes: &[u8]) -> Result<Unpacked> {
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut unpacked)
        .context("it is not compressed with gzip")?;
    unpack(&unpacked)
}

fn unpack(bytes: &[u8]) -> Result<Unpacked> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries().context("it is no tar archive")? {
        let mut entry = entry.context("it is no tar archive")?;
        let path = entry.path().context("a file without a name")?.display().to_string();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).with_context(|| format!("cannot read {path}"))?;
        files.insert(path, (entry.header().mode().unwrap_or_default(), contents));
    }
    Ok(files)
}
