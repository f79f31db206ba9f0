//! An image that is packed: what a registry stores, and what lies in an archive.

use std::collections::HashMap;

use anyhow::Result;
use oci_spec::distribution::Reference;
use oci_spec::image::{ANNOTATION_REF_NAME, ImageIndexBuilder, MediaType, OciLayoutBuilder};

use crate::archive::{Entry, tar};
use crate::blob::{Blob, json};

/// Under this key an archive tells containerd the whole name of its image.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image as it is stored: an index, a manifest for each platform, and what these name.
#[derive(Clone, Debug)]
pub struct Packed {
    pub(crate) name: Reference,
    pub(crate) blobs: Vec<Blob>,
    pub(crate) manifests: Vec<Blob>,
    pub(crate) index: Blob,
}

impl Packed {
    /// The digest by which a pod names it: that of its index.
    pub fn digest(&self) -> String {
        self.index.digest()
    }

    /// Layers and configurations, which a registry has to have before it takes a manifest.
    pub fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// The manifest of each platform, which a registry has to have before it takes the index.
    pub fn manifests(&self) -> &[Blob] {
        &self.manifests
    }

    /// What the image's tag stands for.
    pub fn index(&self) -> &Blob {
        &self.index
    }

    /// The archive: an image layout as a tar file.
    pub fn archive(&self) -> Result<Vec<u8>> {
        let mut root = self.index.descriptor.clone();
        root.set_annotations(Some(self.names()));
        let index = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests([root])
            .build()?;
        let layout = OciLayoutBuilder::default().image_layout_version("1.0.0").build()?;

        let (index, layout) = (json(&index)?, json(&layout)?);
        let blobs: Vec<_> = self.blobs.iter().chain(&self.manifests).chain([&self.index]).collect();
        let paths: Vec<_> = blobs.iter().map(|blob| blob.path()).collect();
        let mut entries = vec![
            Entry { path: "oci-layout", mode: 0o644, contents: &layout },
            Entry { path: "index.json", mode: 0o644, contents: &index },
        ];
        for (path, blob) in paths.iter().zip(&blobs) {
            entries.push(Entry { path, mode: 0o644, contents: blob.bytes() });
        }
        tar(&entries)
    }

    fn names(&self) -> HashMap<String, String> {
        let mut annotations = HashMap::from([(CONTAINERD_NAME.to_owned(), self.name.whole())]);
        if let Some(tag) = self.name.tag() {
            annotations.insert(ANNOTATION_REF_NAME.to_owned(), tag.to_owned());
        }
        annotations
    }
}
