//! What is said of an image, attached to it in a registry: a list of what is in it, where it comes from.

use std::collections::HashMap;

use anyhow::Result;
use oci_spec::image::{ANNOTATION_TITLE, Descriptor, ImageManifestBuilder, MediaType};

use crate::blob::Blob;

/// A document about a manifest, as an artifact whose subject it is. The registry lists it under that.
#[derive(Clone, Debug)]
pub struct Attachment {
    artifact_type: String,
    file: String,
    subject: String,
    blobs: [Blob; 2],
    manifest: Blob,
}

impl Attachment {
    /// A document by its media type, such as `application/vnd.cyclonedx+json`, with a file name.
    pub fn new(subject: &Blob, media_type: &str, file: &str, document: &[u8]) -> Result<Self> {
        let artifact_type = media_type.to_owned();
        let media_type = MediaType::Other(artifact_type.clone());
        let empty = Blob::new(MediaType::EmptyJSON, b"{}".to_vec())?;
        let document = Blob::new(media_type.clone(), document.to_vec())?;
        let mut layer = document.descriptor.clone();
        layer.set_annotations(Some(HashMap::from([(ANNOTATION_TITLE.to_owned(), file.to_owned())])));
        let manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .artifact_type(media_type)
            .config(empty.descriptor.clone())
            .layers([layer])
            .subject(plain(subject))
            .build()?;
        let manifest = Blob::json(MediaType::ImageManifest, &manifest)?;
        Ok(Self {
            artifact_type,
            file: file.to_owned(),
            subject: subject.digest(),
            blobs: [empty, document],
            manifest,
        })
    }

    /// What the registry has to have before it takes the manifest.
    pub fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// The media type of the document.
    pub fn artifact_type(&self) -> &str {
        &self.artifact_type
    }

    /// Its file name.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The document itself.
    pub fn document(&self) -> &[u8] {
        self.blobs[1].bytes()
    }

    /// The digest of the manifest that it is about.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The manifest, which names its subject.
    pub fn manifest(&self) -> &Blob {
        &self.manifest
    }
}

/// A subject is named without its platform.
fn plain(blob: &Blob) -> Descriptor {
    let mut descriptor = blob.descriptor.clone();
    descriptor.set_platform(None);
    descriptor
}

#[cfg(test)]
mod tests {
    use oci_spec::image::ImageManifest;

    use super::*;

    #[test]
    fn a_document_names_what_it_is_about() {
        let subject = Blob::json(MediaType::ImageIndex, &"index").unwrap();
        let attachment =
            Attachment::new(&subject, "application/vnd.in-toto+json", "a.json", b"{\"a\":1}").unwrap();
        let manifest = ImageManifest::from_reader(attachment.manifest().bytes()).unwrap();
        assert_eq!(manifest.subject().as_ref().unwrap().digest().to_string(), subject.digest());
        assert_eq!(manifest.artifact_type().as_ref().unwrap().to_string(), "application/vnd.in-toto+json");
        assert_eq!(manifest.config().media_type(), &MediaType::EmptyJSON);
        let [layer] = &manifest.layers()[..] else { panic!("{manifest:?}") };
        assert_eq!(layer.annotations().as_ref().unwrap()[ANNOTATION_TITLE], "a.json");
        let digests: Vec<_> = attachment.blobs().iter().map(Blob::digest).collect();
        assert_eq!(digests, [manifest.config(), layer].map(|it| it.digest().to_string()));
    }
}
