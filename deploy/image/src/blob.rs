//! The parts of an archive: blobs known by their digests, tar files, compression. No part depends on the
//! time.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use oci_spec::image::{Descriptor, MediaType, Sha256Digest};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Something that is known by its digest.
pub(crate) struct Blob {
    pub(crate) descriptor: Descriptor,
    digest: String,
    pub(crate) bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn new(media_type: MediaType, bytes: Vec<u8>) -> Result<Self> {
        let digest = sha256(&bytes);
        let known: Sha256Digest = digest.parse().context("not a digest")?;
        let descriptor = Descriptor::new(media_type, bytes.len() as u64, known);
        Ok(Self { descriptor, digest, bytes })
    }

    pub(crate) fn json(media_type: MediaType, value: &impl Serialize) -> Result<Self> {
        Self::new(media_type, json(value)?)
    }

    pub(crate) fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest)
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

/// A file of a tar archive. It belongs to root and was last changed in 1970.
pub(crate) struct Entry<'a> {
    pub(crate) path: &'a str,
    pub(crate) mode: u32,
    pub(crate) contents: &'a [u8],
}

pub(crate) fn tar(entries: &[Entry]) -> Result<Vec<u8>> {
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

pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    // No name and no time in its header.
    let mut encoder = GzBuilder::new().mtime(0).read(bytes, Compression::best());
    let mut compressed = Vec::new();
    std::io::copy(&mut encoder, &mut compressed).context("cannot compress")?;
    Ok(compressed)
}
