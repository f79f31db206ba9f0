//! An image: its name, what is written on it, and how it becomes an archive.

use std::collections::HashMap;

use anyhow::{Result, bail};
use oci_spec::distribution::Reference;
use oci_spec::image::{
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REF_NAME, ANNOTATION_TITLE, ANNOTATION_VERSION,
    Config, ConfigBuilder, ImageConfiguration, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, OciLayoutBuilder, Os, PlatformBuilder, RootFsBuilder,
};

use crate::Program;
use crate::blob::{Blob, Entry, gzip, json, sha256, tar};

/// The customary user and group of images without users: a number, since a kubelet cannot tell whether a name
/// is root's.
const NOBODY: &str = "65532:65532";

/// A kubelet hands on the user of an image and not its group. The container runtime looks the group up in
/// here, and takes root's where it finds none.
const PASSWD: &str = "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";

/// Under this key an archive tells containerd the whole name of its image.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image of one static program, which a container runs as user and group 65532, and of the file that says
/// which group is the user's.
#[derive(Clone, Debug)]
pub struct Image {
    name: Reference,
    labels: HashMap<String, String>,
}

impl Image {
    /// An image with a name and a tag as in a pod: `mine:1.0`, `registry.example/mine:1.0`.
    pub fn new(name: &str) -> Result<Self> {
        const HINT: &str = "hint: a name and a tag, such as registry.example/mine:1.0";
        let reference = match name.parse::<Reference>() {
            Ok(reference) => reference,
            Err(error) => bail!("`{name}` is not the name of an image: {error}\n{HINT}"),
        };
        if reference.digest().is_some() {
            bail!("`{name}` has a digest, which is known only when the image is made\n{HINT}");
        }
        Ok(Self { name: reference, labels: HashMap::new() })
    }

    /// The image of the `node-annotator` binary of this repository.
    pub fn node_annotator(name: &str) -> Result<Self> {
        Ok(Self::new(name)?
            .label(ANNOTATION_TITLE, "node-annotator")
            .label(ANNOTATION_DESCRIPTION, "Run-once node fact collectors for Kubernetes")
            .label(ANNOTATION_VERSION, env!("CARGO_PKG_VERSION"))
            .label(ANNOTATION_LICENSES, "Apache-2.0 OR MIT"))
    }

    /// Writes something on the image, by a key such as `org.opencontainers.image.title`.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The name by which container runtimes know it: with a registry and a tag, even when nobody wrote them.
    pub fn name(&self) -> String {
        self.name.whole()
    }

    /// The archive: an image layout as a tar file.
    pub fn archive(&self, program: &Program) -> Result<Vec<u8>> {
        let layer = tar(&[
            Entry { path: "etc/passwd", mode: 0o644, contents: PASSWD.as_bytes() },
            Entry { path: program.name(), mode: 0o755, contents: program.bytes() },
        ])?;
        let diff_id = format!("sha256:{}", sha256(&layer));
        let layer = Blob::new(MediaType::ImageLayerGzip, gzip(&layer)?)?;
        let config = Blob::json(MediaType::ImageConfig, &self.configuration(program, diff_id)?)?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor.clone())
            .layers([layer.descriptor.clone()])
            .build()?;
        let manifest = Blob::json(MediaType::ImageManifest, &manifest)?;
        let platform =
            PlatformBuilder::default().architecture(program.architecture()).os(Os::Linux).build()?;
        let mut descriptor = manifest.descriptor.clone();
        descriptor.set_platform(Some(platform));
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

    fn configuration(&self, program: &Program, diff_id: String) -> Result<ImageConfiguration> {
        let config: Config = ConfigBuilder::default()
            .user(NOBODY)
            .entrypoint([format!("/{}", program.name())])
            .working_dir("/")
            .labels(self.labels.clone())
            .build()?;
        let files = RootFsBuilder::default().typ("layers").diff_ids([diff_id]).build()?;
        Ok(ImageConfigurationBuilder::default()
            .architecture(program.architecture())
            .os(Os::Linux)
            .config(config)
            .rootfs(files)
            .build()?)
    }

    fn annotations(&self) -> HashMap<String, String> {
        let mut annotations = HashMap::from([(CONTAINERD_NAME.to_owned(), self.name())]);
        if let Some(tag) = self.name.tag() {
            annotations.insert(ANNOTATION_REF_NAME.to_owned(), tag.to_owned());
        }
        annotations
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};

    use super::*;
    use crate::blob::sha256;
    use crate::program::tests::executable;

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
        let image = Image::node_annotator("node-annotator:1").unwrap();
        let pack = |name: &str| image.archive(&Program::new(name, executable()).unwrap()).unwrap();
        let first = pack("program");
        // Hash maps differ from one another within a process.
        for _ in 0..20 {
            assert_eq!(first, pack("program"));
        }
        assert_ne!(first, pack("another"));
    }

    #[test]
    fn digests_lead_from_the_index_to_the_program() {
        let program = Program::new("node-annotator", executable()).unwrap();
        let files =
            unpack(&Image::node_annotator("node-annotator:0.1.0").unwrap().archive(&program).unwrap());
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
        let files = BTreeMap::from([
            ("etc/passwd".to_owned(), PASSWD.as_bytes().to_owned()),
            ("node-annotator".to_owned(), executable()),
        ]);
        assert_eq!(unpack(&unpacked), files);
    }

    #[test]
    fn names_are_completed_as_container_runtimes_do_it() {
        for (name, full) in [
            ("mine", "docker.io/library/mine:latest"),
            ("mine:1", "docker.io/library/mine:1"),
            ("team/mine:1", "docker.io/team/mine:1"),
            ("localhost/mine:1", "localhost/mine:1"),
            ("registry.example/mine:1", "registry.example/mine:1"),
            ("registry:5000/mine:1", "registry:5000/mine:1"),
        ] {
            assert_eq!(Image::new(name).unwrap().name(), full);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let digest = format!("mine@sha256:{}", "0".repeat(64));
        for name in ["", "Mine:1", "mine:", "mine 1", "mine:1:2", &digest] {
            let error = Image::new(name).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}` ")), "{error}");
            assert!(error.contains("hint: "), "{error}");
        }
    }

    #[test]
    fn labels_are_on_the_image() {
        let image = Image::new("mine:1").unwrap().label("org.opencontainers.image.title", "mine");
        let files = unpack(&image.archive(&Program::new("mine", executable()).unwrap()).unwrap());
        let labelled = files.values().filter(|bytes| {
            String::from_utf8_lossy(bytes).contains(r#""Labels":{"org.opencontainers.image.title":"mine"}"#)
        });
        assert_eq!(labelled.count(), 1);
    }
}
