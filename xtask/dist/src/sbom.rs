//! A list of the crates in a binary, as CycloneDX has it (SBOM).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use cyclonedx_bom::models::bom::{Bom, SpecVersion};
use cyclonedx_bom::models::component::{Classification, Component, Components};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::external_reference::{
    ExternalReference, ExternalReferenceType, ExternalReferences,
};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::prelude::{DateTime, NormalizedString, Purl, SpdxExpression, Uri, Validate};
use serde_json::Value;
use xtask_workspace::Target;

use crate::revision::Revision;

/// Its media type, by which scanners know it in a registry.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.cyclonedx+json";

/// The package whose binary it is.
const PACKAGE: &str = "node-annotator";

/// The crates that are linked into the binary for a target, and which of them needs which.
pub(crate) fn sbom(target: &Target, revision: Option<&Revision>) -> Result<Vec<u8>> {
    let tree = ["tree", "--locked", "--package", PACKAGE, "--edges", "normal", "--prefix", "depth"];
    let tree = output(&[&tree[..], &["--target", target.triple(), "--format", " {p}"]].concat())?;
    let linked = Linked::parse(&tree)?;
    let metadata =
        output(&["metadata", "--locked", "--format-version", "1", "--filter-platform", target.triple()])?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?;
    let lock =
        fs::read_to_string(xtask_workspace::root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    write(&linked, &metadata, &checksums(&lock), revision)
}

/// What cargo prints.
fn output(arguments: &[&str]) -> Result<String> {
    let output = xtask_workspace::cargo().args(arguments).output().context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo {}: {said}", arguments[0]);
    String::from_utf8(output.stdout).context("cargo printed no UTF-8")
}

/// A crate by name and version.
type Crate = (String, String);

/// What `cargo tree` shows.
#[derive(Debug)]
struct Linked {
    root: Crate,
    /// Of each crate, what it needs.
    needs: BTreeMap<Crate, BTreeSet<Crate>>,
}

impl Linked {
    /// Reads lines of the form `2 serde v1.0.229 (proc-macro)`, where the number is the depth.
    fn parse(tree: &str) -> Result<Self> {
        let mut needs = BTreeMap::<Crate, BTreeSet<Crate>>::new();
        let mut path = Vec::<Crate>::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let mut words = line.split(' ');
            let mut word = || words.next().with_context(|| format!("cargo tree printed `{line}`"));
            let depth: usize = word()?.parse().context("cargo tree printed no depth")?;
            let name = word()?.to_owned();
            let version = word()?.trim_start_matches('v').to_owned();
            // It runs in the compiler, and is not in the binary.
            let is_linked = !line.contains("(proc-macro)");
            ensure!(depth <= path.len(), "cargo tree printed `{line}` below nothing");
            path.truncate(depth);
            let parent = path.last().cloned();
            path.push((name, version));
            let linked = path
                .last()
                .cloned()
                .filter(|_| is_linked && parent.as_ref().is_none_or(|it| needs.contains_key(it)));
            let Some(linked) = linked else { continue };
            needs.entry(linked.clone()).or_default();
            if let Some(parent) = parent {
                needs.entry(parent).or_default().insert(linked);
            }
        }
        let root = tree.lines().next().map(|line| line.split(' ').collect::<Vec<_>>());
        match root.as_deref() {
            Some([_, name, version, ..]) => {
                Ok(Self { root: ((*name).to_owned(), version.trim_start_matches('v').to_owned()), needs })
            }
            _ => anyhow::bail!("cargo tree printed nothing"),
        }
    }
}

/// The checksum of each crate that comes from a registry.
fn checksums(lock: &str) -> BTreeMap<Crate, String> {
    let value = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    let of_package = |package: &str| {
        Some(((value(package, "name")?, value(package, "version")?), value(package, "checksum")?))
    };
    lock.split("[[package]]").filter_map(of_package).collect()
}

fn write(
    linked: &Linked,
    metadata: &Value,
    checksums: &BTreeMap<Crate, String>,
    revision: Option<&Revision>,
) -> Result<Vec<u8>> {
    let packages = metadata["packages"].as_array().context("cargo metadata names no package")?;
    let component = |kind: Classification, (name, version): &Crate| -> Result<Component> {
        let mut component =
            Component::new(kind, name, version, Some(reference(&(name.clone(), version.clone()))));
        component.purl = Some(Purl::new("cargo", name, version).context("not a package URL")?);
        let known =
            packages.iter().find(|it| it["name"] == name.as_str() && it["version"] == version.as_str());
        let known = known.with_context(|| format!("cargo metadata does not know {name} {version}"))?;
        component.description = known["description"].as_str().map(NormalizedString::new);
        // Cargo still takes the old spelling, SPDX does not.
        let license = known["license"].as_str().map(|text| text.replace('/', " OR "));
        component.licenses =
            license.map(|text| Licenses(vec![LicenseChoice::Expression(SpdxExpression::new(&text))]));
        if let Some(repository) =
            known["repository"].as_str().and_then(|it| Uri::try_from(it.to_owned()).ok())
        {
            let reference = ExternalReference::new(ExternalReferenceType::Vcs, repository);
            component.external_references = Some(ExternalReferences(vec![reference]));
        }
        component.hashes = checksums.get(&(name.clone(), version.clone())).map(|checksum| {
            Hashes(vec![Hash { alg: HashAlgorithm::SHA_256, content: HashValue(checksum.clone()) }])
        });
        Ok(component)
    };
    let others = linked.needs.keys().filter(|it| **it != linked.root);
    let components = others.map(|it| component(Classification::Library, it)).collect::<Result<_>>()?;
    let dependencies = linked.needs.iter().map(|(needing, needed)| Dependency {
        dependency_ref: reference(needing),
        dependencies: needed.iter().map(reference).collect(),
    });
    let bom = Bom {
        spec_version: SpecVersion::V1_5,
        // A number at random would make each build another.
        serial_number: None,
        metadata: Some(Metadata {
            timestamp: revision.and_then(|revision| DateTime::try_from(revision.time.clone()).ok()),
            component: Some(component(Classification::Application, &linked.root)?),
            ..Metadata::default()
        }),
        components: Some(Components(components)),
        dependencies: Some(Dependencies(dependencies.collect())),
        ..Bom::default()
    };
    let validation = bom.validate_version(SpecVersion::V1_5);
    ensure!(validation.passed(), "the list of crates is not CycloneDX: {validation:?}");
    let mut bytes = Vec::new();
    bom.output_as_json_v1_5(&mut bytes).context("cannot write CycloneDX")?;
    Ok(bytes)
}

fn reference((name, version): &Crate) -> String {
    format!("{name}@{version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_listed_with_what_it_links() {
        let target = Target::host().unwrap();
        let bytes = sbom(&target, None).unwrap();
        assert_eq!(bytes, sbom(&target, None).unwrap(), "each time the same");
        let bom = Bom::parse_from_json(&bytes[..]).unwrap();
        let components = bom.components.unwrap().0;
        let kube =
            components.iter().find(|it| it.name.to_string() == "kube").expect("it talks to Kubernetes");
        assert_eq!(kube.hashes.as_ref().unwrap().0[0].content.0.len(), 64);
        assert!(kube.licenses.is_some());
        // What runs in the compiler, and what only developers need.
        for absent in ["clap_derive", "serde_derive", "insta", "oci-client"] {
            assert!(components.iter().all(|it| it.name.to_string() != absent), "{absent}");
        }
    }

    #[test]
    fn what_is_below_a_macro_is_not_linked() {
        let tree =
            "0 a v1.0.0 (/a)\n1 b v2.0.0\n2 c v3.0.0\n1 m v1.0.0 (proc-macro)\n2 syn v2.0.0\n1 c v3.0.0\n";
        let linked = Linked::parse(tree).unwrap();
        let crates = |names: &[(&str, &str)]| {
            names
                .iter()
                .map(|(name, version)| ((*name).to_owned(), (*version).to_owned()))
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(
            linked.needs.keys().cloned().collect::<BTreeSet<_>>(),
            crates(&[("a", "1.0.0"), ("b", "2.0.0"), ("c", "3.0.0")])
        );
        assert_eq!(linked.needs[&linked.root], crates(&[("b", "2.0.0"), ("c", "3.0.0")]));
        assert!(Linked::parse("").is_err());
    }
}
