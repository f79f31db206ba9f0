//! What a collector declares that it needs of its pod. It is handed what it declared, and nothing else.

use std::fmt;

use serde::Serialize;

/// Something that a collector needs and an unprivileged pod does not have or may be denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The node's network namespace.
    HostNetwork,
    /// A file or directory of the host, mounted read-only. /proc and /sys are there without it.
    HostPath(HostPath),
    /// A cloud metadata service on a link-local address.
    MetadataService,
    /// The node's resolver.
    Dns,
}

impl Need {
    /// What the namespace must allow for it.
    pub const fn privilege_class(&self) -> PrivilegeClass {
        match self {
            Self::HostNetwork | Self::HostPath(_) => PrivilegeClass::Privileged,
            Self::MetadataService | Self::Dns => PrivilegeClass::Restricted,
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostNetwork => f.write_str("host network"),
            Self::HostPath(path) => write!(f, "host path {path}"),
            Self::MetadataService => f.write_str("cloud metadata service"),
            Self::Dns => f.write_str("DNS"),
        }
    }
}

/// A file or directory of the host, and the directory that is mounted to reach it.
///
/// Kubernetes starts no pod whose hostPath is missing, or has it made on the host. So an optional path is
/// reached through a directory above it that every node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPath {
    path: &'static str,
    kind: PathKind,
    /// The directory that is mounted; `None` mounts the path itself.
    through: Option<&'static str>,
}

/// What a required path must be, as the kubelet checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

impl PathKind {
    /// The type of the hostPath volume.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "File",
            Self::Directory => "Directory",
        }
    }
}

impl HostPath {
    /// A file that is on every node. The pod does not start where it is missing.
    pub const fn file(path: &'static str) -> Self {
        Self { path, kind: PathKind::File, through: None }
    }

    /// A directory that is on every node. The pod does not start where it is missing.
    pub const fn directory(path: &'static str) -> Self {
        Self { path, kind: PathKind::Directory, through: None }
    }

    /// A file or directory that a node may not have, in `directory`, which every node has: `("/usr/lib",
    /// "/usr/lib/os-release")`.
    pub const fn optional(directory: &'static str, path: &'static str) -> Self {
        Self { path, kind: PathKind::Directory, through: Some(directory) }
    }

    /// The path on the host.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// Whether a node may do without it.
    pub const fn is_optional(&self) -> bool {
        self.through.is_some()
    }

    /// What is mounted: a path of the host, and what it must be.
    pub const fn mount(&self) -> (&'static str, PathKind) {
        match self.through {
            Some(directory) => (directory, PathKind::Directory),
            None => (self.path, self.kind),
        }
    }

    /// Whether a collector that declares this path may look at `path`.
    pub fn covers(&self, path: &str) -> bool {
        path.strip_prefix(self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What is wrong with the declaration.
    pub(crate) fn defect(&self) -> Option<String> {
        let (mounted, _) = self.mount();
        for path in [self.path, mounted] {
            let problem = if !path.starts_with('/') || path.split('/').any(|part| part == ".." || part == ".")
            {
                "is not an absolute path without `.` and `..`"
            } else if path == "/" {
                "is the whole host; name what is read in it"
            } else if path.ends_with('/') || path.contains("//") {
                "has a slash too many"
            } else if ["/proc", "/sys"].iter().any(|root| Self::directory(root).covers(path)) {
                "is there without being declared"
            } else {
                continue;
            };
            return Some(format!("host path `{path}` {problem}"));
        }
        let inside = self
            .through
            .is_none_or(|directory| directory != self.path && Self::directory(directory).covers(self.path));
        (!inside).then(|| format!("host path `{}` is not inside `{mounted}`", self.path))
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.through {
            Some(directory) => write!(f, "{} (optional; {directory} is mounted read-only)", self.path),
            None => write!(f, "{} (read-only)", self.path),
        }
    }
}

/// An environment variable that a collector reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does, and what holds without it.
    pub summary: &'static str,
    /// Where the value comes from in a pod: a field of the pod (`fieldPath` of the Downward API), or the
    /// operator.
    #[serde(rename = "fieldPath")]
    pub field_path: Option<&'static str>,
}

impl Variable {
    /// A variable that the operator may set.
    pub const fn operator(name: &'static str, summary: &'static str) -> Self {
        Self { name, summary, field_path: None }
    }

    /// A variable that the DaemonSet takes from a field of the pod, such as `status.hostIPs`.
    pub const fn field(name: &'static str, summary: &'static str, path: &'static str) -> Self {
        Self { name, summary, field_path: Some(path) }
    }
}

/// What the namespace of a collector's pods must allow: the Pod Security level they are admitted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrivilegeClass {
    /// Pod Security `restricted` admits it.
    Restricted,
    /// Pod Security `baseline` admits it: a task of an operator, whose container is an ordinary one.
    Baseline,
    /// It needs the host network or a host path.
    Privileged,
}

impl PrivilegeClass {
    /// The name of the Pod Security level.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Baseline => "baseline",
            Self::Privileged => "privileged",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_covers_itself_and_what_is_below_it() {
        let path = HostPath::directory("/opt/site");
        for (other, is_covered) in
            [("/opt/site", true), ("/opt/site/rack", true), ("/opt/sites", false), ("/opt", false)]
        {
            assert_eq!(path.covers(other), is_covered, "{other}");
        }
    }

    #[test]
    fn what_is_mounted_of_an_optional_path_is_the_directory_that_every_node_has() {
        let path = HostPath::optional("/etc", "/etc/site/rack");
        assert_eq!(path.mount(), ("/etc", PathKind::Directory));
        assert!(path.covers("/etc/site/rack") && !path.covers("/etc/shadow"));
        assert_eq!(HostPath::file("/etc/rack").mount(), ("/etc/rack", PathKind::File));
    }

    #[test]
    fn a_path_that_would_be_mounted_wrongly_is_a_defect() {
        for (path, defect) in [
            (HostPath::file("/etc/rack"), None),
            (HostPath::optional("/etc", "/etc/site/rack"), None),
            (HostPath::directory("/"), Some("host path `/` is the whole host; name what is read in it")),
            (HostPath::directory("/opt/"), Some("host path `/opt/` has a slash too many")),
            (
                HostPath::file("etc/rack"),
                Some("host path `etc/rack` is not an absolute path without `.` and `..`"),
            ),
            (
                HostPath::file("/etc/../rack"),
                Some("host path `/etc/../rack` is not an absolute path without `.` and `..`"),
            ),
            (
                HostPath::file("/proc/cpuinfo"),
                Some("host path `/proc/cpuinfo` is there without being declared"),
            ),
            (HostPath::optional("/usr", "/etc/rack"), Some("host path `/etc/rack` is not inside `/usr`")),
            (HostPath::optional("/etc", "/etc"), Some("host path `/etc` is not inside `/etc`")),
        ] {
            assert_eq!(path.defect().as_deref(), defect, "{path:?}");
        }
    }
}
