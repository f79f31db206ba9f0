//! Why a path of the host gave nothing.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;

/// A path of the host that could not be read. The path is the host's own, without the root.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot read `{path}`")]
pub struct HostError {
    path: String,
    kind: HostErrorKind,
    #[source]
    source: Arc<io::Error>,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostErrorKind {
    /// It is not there, and whoever asked cannot do without it.
    Absent,
    /// It may be there, and this process may not or cannot see it.
    NotVisible,
    /// It is there, and reading it fails or gives nonsense.
    Broken,
    /// It is not the node's, but that of a sandbox around the container.
    OfSandbox,
    /// The collector does not declare it: a defect of the collector.
    Undeclared,
}

impl HostError {
    /// The path is not there.
    pub fn absent(path: impl Into<String>) -> Self {
        Self::new(path, HostErrorKind::Absent, Errno::NOENT.into())
    }

    /// The path may be there and cannot be seen.
    pub fn not_visible(path: impl Into<String>, source: io::Error) -> Self {
        Self::new(path, HostErrorKind::NotVisible, source)
    }

    /// Reading the path fails, or what is read makes no sense.
    pub fn broken(path: impl Into<String>, source: io::Error) -> Self {
        Self::new(path, HostErrorKind::Broken, source)
    }

    /// The path is not the node's. The source of the error is the evidence.
    pub(super) fn of_sandbox(path: &str, evidence: &str) -> Self {
        Self::new(path, HostErrorKind::OfSandbox, io::Error::other(evidence.to_owned()))
    }

    /// Why the path is not the node's, if it is a sandbox's.
    pub fn sandbox(&self) -> Option<String> {
        (self.kind == HostErrorKind::OfSandbox).then(|| self.source.to_string())
    }

    pub(super) fn undeclared(path: &str) -> Self {
        Self::new(path, HostErrorKind::Undeclared, io::Error::other("the collector does not declare it"))
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> HostErrorKind {
        self.kind
    }

    fn new(path: impl Into<String>, kind: HostErrorKind, source: io::Error) -> Self {
        Self { path: path.into(), kind, source: Arc::new(source) }
    }
}

/// Why a path gave nothing, before anybody says which one.
#[derive(Debug)]
pub(super) enum Failure {
    Absent,
    NotVisible(io::Error),
    Broken(io::Error),
}

impl Failure {
    pub(super) fn not_visible(reason: impl Into<String>) -> Self {
        Self::NotVisible(io::Error::new(io::ErrorKind::PermissionDenied, reason.into()))
    }

    pub(super) fn broken(reason: impl Into<String>) -> Self {
        Self::Broken(io::Error::new(io::ErrorKind::InvalidData, reason.into()))
    }

    /// `None` is absent.
    pub(super) fn at<T>(self, path: &str) -> Result<Option<T>, HostError> {
        match self {
            Self::Absent => Ok(None),
            Self::NotVisible(source) => Err(HostError::not_visible(path, source)),
            Self::Broken(source) => Err(HostError::broken(path, source)),
        }
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        match error {
            Errno::ACCESS | Errno::PERM => Self::NotVisible(error.into()),
            // What sysfs attributes of absent hardware answer, and what a path through a file is.
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::NODEV
            | Errno::NXIO
            | Errno::OPNOTSUPP
            | Errno::NODATA
            | Errno::INVAL => Self::Absent,
            _ => Self::Broken(error.into()),
        }
    }
}
