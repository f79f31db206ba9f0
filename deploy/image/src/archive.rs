//! Archives that depend on what is in them and not on when, where and by whom they are made.

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};

/// A file of a tar archive. It belongs to root and was last changed in 1970.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Where it lies, below the root of the archive.
    pub path: &'a str,
    /// Its permissions.
    pub mode: u32,
    /// What it holds.
    pub contents: &'a [u8],
}

/// An archive of these files, in this order.
pub fn tar(entries: &[Entry]) -> Result<Vec<u8>> {
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

/// Compressed as far as gzip goes.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    // No name and no time in its header.
    let mut encoder = GzBuilder::new().mtime(0).read(bytes, Compression::best());
    let mut compressed = Vec::new();
    std::io::copy(&mut encoder, &mut compressed).context("cannot compress")?;
    Ok(compressed)
}
