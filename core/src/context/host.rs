//! Reading the host's pseudo file systems below a root that may be another than `/`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// No file that a collector reads is larger; what lies beyond is not read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The root below which the host's /proc, /sys and /etc are found.
///
/// Paths are given as on the host, `/proc/cpuinfo`. All reads are blocking: an async collector does them in [`blocking`].
///
/// [`blocking`]: HostRoot::blocking
#[derive(Debug, Clone)]
pub struct HostRoot(PathBuf);

impl HostRoot {
    /// The host seen below `root`; `/` in a pod and on a shell.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// The text of a file, invalid UTF-8 replaced.
    pub fn read(&self, path: &str) -> Result<String, HostError> {
        let read = || {
            let mut bytes = Vec::new();
            File::open(self.locate(path))?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().map_err(|error| HostError::new(path, error))
    }

    /// The text of a file, or `None` if it does not exist or this machine does not support reading it.
    pub fn read_if_present(&self, path: &str) -> Result<Option<String>, HostError> {
        match self.read(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names in a directory, sorted; empty if there is no such directory.
    pub fn list(&self, path: &str) -> Result<Vec<String>, HostError> {
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in self.locate(path).read_dir()? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            Ok(names)
        };
        match list() {
            Ok(names) => Ok(names),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(HostError::new(path, error)),
        }
    }

    /// Whether a file or directory is there.
    pub fn exists(&self, path: &str) -> bool {
        self.locate(path).exists()
    }

    /// Reads on a thread of its own, so that an async collector does not stall the others.
    ///
    /// Dropping the future abandons a read that never returns.
    pub async fn blocking<T: Send + 'static>(&self, read: impl FnOnce(&Self) -> T + Send + 'static) -> T {
        let host = self.clone();
        match tokio::task::spawn_blocking(move || read(&host)).await {
            Ok(value) => value,
            Err(error) => match error.try_into_panic() {
                Ok(payload) => std::panic::resume_unwind(payload),
                // The runtime is shutting down: nobody waits for this any more.
                Err(_) => std::future::pending().await,
            },
        }
    }

    fn locate(&self, path: &str) -> PathBuf {
        self.0.join(Path::new(path).strip_prefix("/").unwrap_or(Path::new(path)))
    }
}

/// A file of the host that could not be read. The path is the host's own, without the root.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{path}`")]
pub struct HostError {
    path: String,
    #[source]
    source: io::Error,
}

impl HostError {
    /// The failure to read `path`.
    pub fn new(path: impl Into<String>, source: io::Error) -> Self {
        Self { path: path.into(), source }
    }

    /// Whether the file is not there, or is there and the kernel has nothing to say for it.
    fn is_absent(&self) -> bool {
        use io::ErrorKind::{InvalidInput, NotADirectory, NotFound, Unsupported};
        matches!(self.source.kind(), NotFound | NotADirectory | Unsupported | InvalidInput)
            || self.source.raw_os_error() == Some(ENODEV)
    }
}

/// What sysfs attributes of absent hardware answer.
const ENODEV: i32 = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_is_not_an_error_and_unreadable_is() {
        let host = HostRoot::new(env!("CARGO_MANIFEST_DIR"));
        assert!(host.read("/Cargo.toml").unwrap().contains("[package]"));
        assert!(host.read_if_present("/src/nothing").unwrap().is_none());
        assert!(host.read_if_present("/Cargo.toml/below-a-file").unwrap().is_none());
        assert_eq!(host.list("/nothing").unwrap(), Vec::<String>::new());
        assert!(host.exists("/src"));
        let error = host.read("/src").unwrap_err();
        assert_eq!(error.to_string(), "cannot read `/src`");
    }

    #[tokio::test]
    async fn a_blocking_read_hands_back_its_value_and_its_panic() {
        let host = HostRoot::new(env!("CARGO_MANIFEST_DIR"));
        assert!(host.blocking(|host| host.exists("/src")).await);
        let read = tokio::spawn(async move { host.blocking(|_| panic!("torn page")).await });
        let payload = read.await.unwrap_err().into_panic();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"torn page"));
    }
}
