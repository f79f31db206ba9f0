//! What a step keeps: how often it was tried, what became of it, and the facts of its command.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

/// More than the facts of a step and what it tells take.
const MAX_BYTES: u64 = 256 * 1024;

/// What is known of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// How often its command was started.
    pub tries: u32,
    /// Whether it was started and has not ended.
    pub is_running: bool,
    /// What became of the last try, if that failed.
    pub failure: Option<String>,
    /// What became of the step; nothing while it is tried.
    pub end: Option<End>,
    /// The facts of its command, by the names of their files.
    pub facts: BTreeMap<String, String>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// Its command has succeeded.
    Done,
    /// There was nothing to do on this node.
    Already,
    /// Its command has failed as often as it may.
    Failed,
    /// It did not run, since a step before it has failed.
    Skipped,
}

impl Record {
    /// The record of a step, if it has started.
    pub fn read(folder: &Path, step: &str) -> io::Result<Option<Self>> {
        let mut file = match open(&path(folder, step)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let text = read(&mut file, MAX_BYTES)?;
        serde_json::from_slice(&text).map(Some).map_err(io::Error::from)
    }

    /// Replaces the record of a step. It is on the disk when this returns: the command may be what reboots
    /// the node.
    pub fn write(&self, folder: &Path, step: &str) -> io::Result<()> {
        let staged = folder.join(format!(".{step}"));
        // A link that another step has put there leads out of the folder.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(flags(OFlags::NOFOLLOW))
            .open(&staged)?;
        // Whatever the umask is, and whoever runs the publisher.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(staged, path(folder, step))?;
        File::open(folder)?.sync_all()
    }
}

fn path(folder: &Path, step: &str) -> PathBuf {
    folder.join(format!("{step}.json"))
}

/// Opens a regular file. A link could lead to a token, and a pipe would be waited for.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = flags(OFlags::NOFOLLOW | OFlags::NONBLOCK);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).expect("flags of open(2) are an int")
}

/// Reads a file that must not be longer.
pub(super) fn read(file: &mut File, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::other(format!("it is longer than {max_bytes} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_was_kept_is_read_again_whatever_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(folder.path(), "main").unwrap(), None);
        let facts = [("value".to_owned(), "1".to_owned())].into();
        let record = Record { tries: 2, end: Some(End::Done), facts, ..Record::default() };
        record.write(folder.path(), "main").unwrap();
        assert_eq!(Record::read(folder.path(), "main").unwrap(), Some(record));
        let mode = fs::metadata(folder.path().join("main.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_read_but_a_file_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("token"), "{}").unwrap();
        symlink(at("token"), at("link.json")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe.json"), rustix::fs::Mode::RWXU).unwrap();
        fs::create_dir(at("folder.json")).unwrap();
        fs::write(at("long.json"), vec![b' '; 300 * 1024]).unwrap();
        fs::write(at("broken.json"), "{").unwrap();
        for step in ["link", "pipe", "folder", "long", "broken"] {
            assert!(Record::read(folder.path(), step).is_err(), "{step}");
        }
    }
}
