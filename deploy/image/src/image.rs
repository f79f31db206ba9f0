//! An image: its name, what is written on it, and how it becomes an archive.

use std::collections::HashMap;

use anyhow::{Result, bail};
use oci_spec::distribution::Reference;
use oci_spec::image::{
    ANNOTATION_CREATED, ANNOTATION_DESCRIPTION, ANNOTATION_DOCUMENTATION, ANNOTATION_LICENSES,
    ANNOTATION_SOURCE, ANNOTATION_TITLE, ANNOTATION_URL, ANNOTATION_VERSION, Config, ConfigBuilder,
    ImageConfiguration, ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder, MediaType, Os,
    PlatformBuilder, RootFsBuilder,
};

use crate::archive::{Entry, gzip, tar};
use crate::blob::{Blob, sha256};
use crate::{Packed, Program};

/// The customary user and group of images without users: a number, since a kubelet cannot tell whether a name
/// is root's.
const NOBODY: &str = "65532:65532";

/// A kubelet hands on the user of an image and not its group. The container runtime looks the group up in
/// here, and takes root's where it finds none.
const PASSWD: &str = "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";

/// An image of one static program, for one or several architectures, which a container runs as user and group
/// 65532, and of the file that says which group is the user's.
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
            .label(ANNOTATION_LICENSES, env!("CARGO_PKG_LICENSE"))
            .label(ANNOTATION_SOURCE, env!("CARGO_PKG_REPOSITORY"))
            .label(ANNOTATION_URL, env!("CARGO_PKG_REPOSITORY"))
            .label(ANNOTATION_DOCUMENTATION, concat!(env!("CARGO_PKG_REPOSITORY"), "/tree/main/docs")))
    }

    /// Writes something on the image, by a key such as `org.opencontainers.image.title`: as a label of its
    /// configurations, and as an annotation of its manifests and its index.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The name by which container runtimes know it: with a registry and a tag, even when nobody wrote them.
    pub fn name(&self) -> String {
        self.name.whole()
    }

    /// Packs programs that were built from the same sources, each for another architecture.
    pub fn pack(&self, programs: &[Program]) -> Result<Packed> {
        let Some(first) = programs.first() else { bail!("an image without a program") };
        let (mut blobs, mut manifests) = (Vec::new(), Vec::new());
        for (at, program) in programs.iter().enumerate() {
            let architecture = program.architecture();
            if program.name() != first.name() {
                bail!("`{}` and `{}` are not one program: their names differ", first.name(), program.name());
            }
            if programs[..at].iter().any(|other| other.architecture() == architecture) {
                bail!("two programs for {architecture}\nhint: one for each architecture");
            }
            let packed = self.manifest(program)?;
            blobs.extend(packed.blobs);
            manifests.push(packed.manifest);
        }
        let index = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests(manifests.iter().map(|manifest| manifest.descriptor.clone()).collect::<Vec<_>>())
            .annotations(self.labels.clone())
            .build()?;
        let index = Blob::json(MediaType::ImageIndex, &index)?;
        Ok(Packed { name: self.name.clone(), blobs, manifests, index })
    }

    /// The image of one program, with its platform.
    fn manifest(&self, program: &Program) -> Result<OnePlatform> {
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
            .annotations(self.labels.clone())
            .build()?;
        let mut manifest = Blob::json(MediaType::ImageManifest, &manifest)?;
        let platform =
            PlatformBuilder::default().architecture(program.architecture()).os(Os::Linux).build()?;
        manifest.descriptor.set_platform(Some(platform));
        Ok(OnePlatform { blobs: [layer, config], manifest })
    }

    fn configuration(&self, program: &Program, diff_id: String) -> Result<ImageConfiguration> {
        let config: Config = ConfigBuilder::default()
            .user(NOBODY)
            .entrypoint([format!("/{}", program.name())])
            .working_dir("/")
            .labels(self.labels.clone())
            .build()?;
        let files = RootFsBuilder::default().typ("layers").diff_ids([diff_id]).build()?;
        let mut configuration = ImageConfigurationBuilder::default()
            .architecture(program.architecture())
            .os(Os::Linux)
            .config(config)
            .rootfs(files)
            .build()?;
        configuration.set_created(self.labels.get(ANNOTATION_CREATED).cloned());
        Ok(configuration)
    }
}

/// The manifest of an image for one platform, and what it names.
struct OnePlatform {
    blobs: [Blob; 2],
    manifest: Blob,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};

    use super::*;
    use crate::blob::sha256;
    use crate::program::tests::{executable, executable_for_arm64};

    fn packed(image: &Image, name: &str) -> Vec<u8> {
        image.pack(&[Program::new(name, executable()).unwrap()]).unwrap().archive().unwrap()
    }

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
        let pack = |name: &str| packed(&image, name);
        let first = pack("program");
        // Hash maps differ from one another within a process.
        for _ in 0..20 {
            assert_eq!(first, pack("program"));
        }
        assert_ne!(first, pack("another"));
    }

    #[test]
    fn digests_lead_from_the_index_to_the_programs() {
        let programs =
            [executable(), executable_for_arm64()].map(|bytes| Program::new("program", bytes).unwrap());
        let image = Image::node_annotator("node-annotator:0.1.0")
            .unwrap()
            .label(ANNOTATION_CREATED, "2026-01-02T03:04:05Z");
        let packed = image.pack(&programs).unwrap();
        let files = unpack(&packed.archive().unwrap());
        let blob = |descriptor: &Descriptor| {
            let bytes = &files[&format!("blobs/{}", descriptor.digest().to_string().replace(':', "/"))];
            assert_eq!(bytes.len() as u64, descriptor.size());
            assert_eq!(format!("sha256:{}", sha256(bytes)), descriptor.digest().to_string());
            bytes.clone()
        };
        let layout = ImageIndex::from_reader(&files["index.json"][..]).unwrap();
        let [entry] = &layout.manifests()[..] else { panic!("{layout:?}") };
        let annotations = entry.annotations().clone().unwrap();
        assert_eq!(annotations["io.containerd.image.name"], "docker.io/library/node-annotator:0.1.0");
        assert_eq!(annotations["org.opencontainers.image.ref.name"], "0.1.0");
        assert_eq!(entry.digest().to_string(), packed.digest());

        let index = ImageIndex::from_reader(&blob(entry)[..]).unwrap();
        assert_eq!(index.annotations().as_ref().unwrap()[ANNOTATION_TITLE], "node-annotator");
        let platforms = index.manifests().iter().map(|manifest| manifest.platform().clone().unwrap());
        let platforms: Vec<_> = platforms.map(|it| format!("{}/{}", it.os(), it.architecture())).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
        for (descriptor, program) in index.manifests().iter().zip(&programs) {
            let manifest = ImageManifest::from_reader(&blob(descriptor)[..]).unwrap();
            assert_eq!(manifest.annotations().as_ref().unwrap()[ANNOTATION_LICENSES], "Apache-2.0 OR MIT");
            let configuration = ImageConfiguration::from_reader(&blob(manifest.config())[..]).unwrap();
            assert_eq!(*configuration.architecture(), program.architecture());
            assert_eq!(configuration.created().as_deref(), Some("2026-01-02T03:04:05Z"));
            let config = configuration.config().clone().unwrap();
            assert_eq!(config.user().as_deref(), Some("65532:65532"));
            assert_eq!(config.entrypoint().clone().unwrap(), ["/program"]);

            let [layer] = &manifest.layers()[..] else { panic!("{manifest:?}") };
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(&blob(layer)[..]).read_to_end(&mut unpacked).unwrap();
            let diff_id = format!("sha256:{}", sha256(&unpacked));
            assert_eq!(configuration.rootfs().diff_ids(), &[diff_id]);
            let files = BTreeMap::from([
                ("etc/passwd".to_owned(), PASSWD.as_bytes().to_owned()),
                ("program".to_owned(), program.bytes().to_owned()),
            ]);
            assert_eq!(unpack(&unpacked), files);
        }
    }

    #[test]
    fn an_image_is_of_one_program_for_each_architecture() {
        let image = Image::new("mine:1").unwrap();
        let mine = Program::new("mine", executable()).unwrap();
        let message = |programs: &[Program]| image.pack(programs).err().unwrap().to_string();
        assert_eq!(message(&[]), "an image without a program");
        assert!(message(&[mine.clone(), mine.clone()]).starts_with("two programs for amd64\nhint: "));
        let other = Program::new("other", executable_for_arm64()).unwrap();
        assert_eq!(message(&[mine, other]), "`mine` and `other` are not one program: their names differ");
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
        let files = unpack(&packed(&image, "mine"));
        let labelled = files.values().filter(|bytes| {
            String::from_utf8_lossy(bytes).contains(r#""Labels":{"org.opencontainers.image.title":"mine"}"#)
        });
        assert_eq!(labelled.count(), 1);
    }
}
