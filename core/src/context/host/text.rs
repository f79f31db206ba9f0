//! The text of a file of the host, or some of its bytes.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use flate2::read::GzDecoder;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::error::Failure;
use super::walk::file_type;

/// The largest file that a collector reads, in bytes. /proc/cpuinfo of 2,048 threads has less than 4 MiB.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// The text of a file, invalid UTF-8 replaced. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostText {
    text: Arc<str>,
    is_cut: bool,
}

impl HostText {
    /// Whether the file goes on behind the end of the text: then its last part is not to be taken for a whole
    /// one.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The text of a file, or what was compressed to make it.
    pub(super) fn read(fd: OwnedFd, is_gzip: bool) -> Result<Self, Failure> {
        let mut bytes = Vec::new();
        let file = regular(fd)?;
        let mut reader: Box<dyn Read> = if is_gzip { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
        reader.by_ref().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failure)?;
        let is_cut = bytes.len() as u64 > MAX_FILE_BYTES;
        bytes.truncate(usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX));
        // The usual case needs no second copy of a large file.
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text.into(),
            Err(_) => String::from_utf8_lossy(&bytes).into(),
        };
        Ok(Self { text, is_cut })
    }
}

/// Some bytes of a file.
pub(super) fn bytes(fd: OwnedFd, offset: u64, length: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; length];
    match regular(fd)?.read_exact_at(&mut bytes, offset) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Failure::broken(format!("it has no {length} bytes from {offset} on")))
        }
        Err(error) => Err(failure(error)),
    }
}

fn regular(fd: OwnedFd) -> Result<File, Failure> {
    match file_type(&fd)? {
        FileType::RegularFile => Ok(fd.into()),
        // Container runtimes mask a file with /dev/null.
        FileType::CharacterDevice => Err(Failure::not_visible("the container runtime masks it")),
        FileType::Directory => Err(Errno::ISDIR.into()),
        _ => Err(Failure::broken("it is not a regular file")),
    }
}

fn failure(error: io::Error) -> Failure {
    Errno::from_io_error(&error).map_or(Failure::Broken(error), Failure::from)
}

impl Deref for HostText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl From<&str> for HostText {
    fn from(text: &str) -> Self {
        Self { text: text.into(), is_cut: false }
    }
}
