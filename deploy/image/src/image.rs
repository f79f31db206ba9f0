//! Container images as OCI archives: one static program, one layer, the same bytes whenever they are built.
//!
//! No container engine is involved. An archive goes into any of them: `ctr images import`, `podman load`, `docker load`,
//! `skopeo copy oci-archive:…`.

pub mod binary;

use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use oci_spec::image::{
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REF_NAME, ANNOTATION_TITLE, ANNOTATION_VERSION,
    Arch, Config, ConfigBuilder, Descriptor, ImageConfiguration, ImageConfigurationBuilder,
    ImageIndexBuilder, ImageManifestBuilder, MediaType, OciLayoutBuilder, Os, Platform, PlatformBuilder,
    RootFsBuilder, Sha256Digest,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// The customary user and group of images without users: a number, since there is no /etc/passwd to look a name up in.
const NOBODY: &str = "65532:65532";

/// What container runtimes put before a name that names no registry.
const IMPLIED_REGISTRY: &str = "docker.io/";
const IMPLIED_FOLDER: &str = "library/";

/// Under this key an archive tells containerd the whole name of its image.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image of nothing but one static program.
#[derive(Clone, Debug)]
pub struct Image {
    /// Name and tag, as in a pod: `node-annotator:0.1.0`.
    pub name: String,
    /// The program's file name in the root folder; it is what a container runs.
    pub program: &'static str,
    /// What is written on the image, by keys such as `org.opencontainers.image.title`.
    pub labels: HashMap<String, String>,
}

impl Image {
    /// The image of the product.
    pub fn node_annotator(name: &str) -> Self {
        let labels = [
            (ANNOTATION_TITLE, "node-annotator"),
            (ANNOTATION_DESCRIPTION, "Run-once node fact collectors for Kubernetes"),
            (ANNOTATION_VERSION, env!("CARGO_PKG_VERSION")),
            (ANNOTATION_LICENSES, "Apache-2.0 OR MIT"),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self { name: name.to_owned(), program: "node-annotator", labels: labels.into() }
    }

    /// The archive: an image layout as a tar file.
    pub fn archive(&self, program: &[u8]) -> Result<Vec<u8>> {
        let layer = tar(&[Entry { path: self.program, mode: 0o755, contents: program }])?;
        let diff_id = format!("sha256:{}", sha256(&layer));
        let layer = Blob::new(MediaType::ImageLayerGzip, gzip(&layer)?)?;
        let config = Blob::json(MediaType::ImageConfig, &self.configuration(diff_id)?)?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor.clone())
            .layers([layer.descriptor.clone()])
            .build()?;
        let manifest = Blob::json(MediaType::ImageManifest, &manifest)?;

        let mut descriptor = manifest.descriptor.clone();
        descriptor.set_platform(Some(platform()?));
        descriptor.set_annotations(Some(self.annotations()));
        let index = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests([descriptor])
            .build()?;
        let layout = OciLayoutBuilder::default().image_layout_version("1.0.0").build()?;

        let (index, layout) = (json(&index)?, json(&layout)?);
        let paths = [&layer, &config, &manifest].map(Blob::path);
        let blobs = [layer, config, manifest];
        let mut entries = vec![
            Entry { path: "oci-layout", mode: 0o644, contents: &layout },
            Entry { path: "index.json", mode: 0o644, contents: &index },
        ];
        for (path, blob) in paths.iter().zip(&blobs) {
            entries.push(Entry { path, mode: 0o644, contents: &blob.bytes });
        }
        tar(&entries)
    }

    fn configuration(&self, diff_id: String) -> Result<ImageConfiguration> {
        let config: Config = ConfigBuilder::default()
            .user(NOBODY)
            .entrypoint([format!("/{}", self.program)])
            .working_dir("/")
            .labels(self.labels.clone())
            .build()?;
        let files = RootFsBuilder::default().typ("layers").diff_ids([diff_id]).build()?;
        Ok(ImageConfigurationBuilder::default()
            .architecture(Arch::default())
            .os(Os::Linux)
            .config(config)
            .rootfs(files)
            .build()?)
    }

    fn annotations(&self) -> HashMap<String, String> {
        let mut annotations = HashMap::from([(CONTAINERD_NAME.to_owned(), full_name(&self.name))]);
        if let Some((_, tag)) = self.name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            annotations.insert(ANNOTATION_REF_NAME.to_owned(), tag.to_owned());
        }
        annotations
    }
}

fn platform() -> Result<Platform> {
    Ok(PlatformBuilder::default().architecture(Arch::default()).os(Os::Linux).build()?)
}

/// The name by which container runtimes know an image: with a registry, even when nobody wrote one.
pub fn full_name(name: &str) -> String {
    match name.split_once('/') {
        None => format!("{IMPLIED_REGISTRY}{IMPLIED_FOLDER}{name}"),
        Some((first, _)) if first == "localhost" || first.contains(['.', ':']) => name.to_owned(),
        Some(_) => format!("{IMPLIED_REGISTRY}{name}"),
    }
}

/// Something that is known by its digest.
struct Blob {
    descriptor: Descriptor,
    digest: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn new(media_type: MediaType, bytes: Vec<u8>) -> Result<Self> {
        let digest = sha256(&bytes);
        let known: Sha256Digest = digest.parse().context("not a digest")?;
        let descriptor = Descriptor::new(media_type, bytes.len() as u64, known);
        Ok(Self { descriptor, digest, bytes })
    }

    fn json(media_type: MediaType, value: &impl Serialize) -> Result<Self> {
        Self::new(media_type, json(value)?)
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest)
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// JSON with its keys in order: labels and annotations come out of hash maps.
fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut value = serde_json::to_value(value).context("cannot write JSON")?;
    value.sort_all_objects();
    serde_json::to_vec(&value).context("cannot write JSON")
}

/// A file of a tar archive. It belongs to root and was last changed in 1970.
struct Entry<'a> {
    path: &'a str,
    mode: u32,
    contents: &'a [u8],
}

fn tar(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for Entry { path, mode, contents } in entries {
        let mut header = tar::Header::new_ustar();
        header.set_mode(*mode);
        header.set_size(contents.len() as u64);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, path, *contents).with_context(|| format!("cannot pack `{path}`"))?;
    }
    archive.into_inner().context("cannot finish the archive")
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    // No name and no time in its header.
    let mut encoder = GzBuilder::new().mtime(0).read(bytes, Compression::best());
    let mut compressed = Vec::new();
    std::io::copy(&mut encoder, &mut compressed).context("cannot compress")?;
    Ok(compressed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use oci_spec::image::{ImageIndex, ImageManifest};

    use super::*;

    fn unpack(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            (entry.path().unwrap().display().to_string(), contents)
        });
        entries.collect()
    }

    #[test]
    fn bytes_depend_on_nothing_but_the_program() {
        let pack = |program: &[u8]| Image::node_annotator("node-annotator:1").archive(program).unwrap();
        let first = pack(b"program");
        // Hash maps differ from one another within a process.
        for _ in 0..20 {
            assert_eq!(first, pack(b"program"));
        }
        assert_ne!(first, pack(b"another"));
    }

    #[test]
    fn digests_lead_from_the_index_to_the_program() {
        let files = unpack(&Image::node_annotator("node-annotator:0.1.0").archive(b"program").unwrap());
        let blob = |descriptor: &Descriptor| {
            let bytes = &files[&format!("blobs/{}", descriptor.digest().to_string().replace(':', "/"))];
            assert_eq!(bytes.len() as u64, descriptor.size());
            assert_eq!(format!("sha256:{}", sha256(bytes)), descriptor.digest().to_string());
            bytes.clone()
        };
        let index = ImageIndex::from_reader(&files["index.json"][..]).unwrap();
        let annotations = index.manifests()[0].annotations().clone().unwrap();
        assert_eq!(annotations[CONTAINERD_NAME], "docker.io/library/node-annotator:0.1.0");
        assert_eq!(annotations[ANNOTATION_REF_NAME], "0.1.0");
        let manifest = ImageManifest::from_reader(&blob(&index.manifests()[0])[..]).unwrap();
        let configuration = ImageConfiguration::from_reader(&blob(manifest.config())[..]).unwrap();
        let config = configuration.config().clone().unwrap();
        assert_eq!(config.user().as_deref(), Some("65532:65532"));
        assert_eq!(config.entrypoint().clone().unwrap(), ["/node-annotator"]);

        let [layer] = &manifest.layers()[..] else { panic!("{manifest:?}") };
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&blob(layer)[..]).read_to_end(&mut unpacked).unwrap();
        let diff_id = format!("sha256:{}", sha256(&unpacked));
        assert_eq!(configuration.rootfs().diff_ids(), &[diff_id]);
        assert_eq!(unpack(&unpacked), BTreeMap::from([("node-annotator".to_owned(), b"program".to_vec())]));
    }

    #[test]
    fn names_without_a_registry_get_one() {
        for (name, full) in [
            ("node-annotator:1", "docker.io/library/node-annotator:1"),
            ("team/node-annotator:1", "docker.io/team/node-annotator:1"),
            ("localhost/node-annotator:1", "localhost/node-annotator:1"),
            ("example.com/node-annotator:1", "example.com/node-annotator:1"),
            ("registry:5000/node-annotator:1", "registry:5000/node-annotator:1"),
        ] {
            assert_eq!(full_name(name), full);
        }
    }
}
