//! What is known by its digest, and JSON that is always the same.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use oci_spec::image::{Descriptor, MediaType, Sha256Digest};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Something that is known by its digest: a layer, a configuration, a manifest, an index.
#[derive(Clone, Debug)]
pub struct Blob {
    pub(crate) descriptor: Descriptor,
    bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn new(media_type: MediaType, bytes: Vec<u8>) -> Result<Self> {
        let digest: Sha256Digest = sha256(&bytes).parse().context("not a digest")?;
        let descriptor = Descriptor::new(media_type, bytes.len() as u64, digest);
        Ok(Self { descriptor, bytes })
    }

    pub(crate) fn json(media_type: MediaType, value: &impl Serialize) -> Result<Self> {
        Self::new(media_type, json(value)?)
    }

    pub(crate) fn path(&self) -> String {
        format!("blobs/{}", self.digest().replace(':', "/"))
    }

    /// Its digest with the algorithm, `sha256:…`.
    pub fn digest(&self) -> String {
        self.descriptor.digest().to_string()
    }

    /// Its media type.
    pub fn media_type(&self) -> String {
        self.descriptor.media_type().to_string()
    }

    /// What it runs on, as in `linux/amd64`; nothing but a manifest has a platform.
    pub fn platform(&self) -> Option<String> {
        let platform = self.descriptor.platform().as_ref()?;
        Some(format!("{}/{}", platform.os(), platform.architecture()))
    }

    /// What it holds.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// JSON with its keys in order: labels and annotations come out of hash maps.
pub(crate) fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut value = serde_json::to_value(value).context("cannot write JSON")?;
    value.sort_all_objects();
    serde_json::to_vec(&value).context("cannot write JSON")
}
