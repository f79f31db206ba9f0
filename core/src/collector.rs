//! What a collector is: a constant description, and the function that reads the facts.

use std::time::Duration;

use serde::Serialize;

use crate::{BoxFuture, CollectError, Collected, Context, Fact};

/// One unit of fact gathering, registered with [`register!`](crate::register).
///
/// The description is all there is: help, catalogue, DaemonSet and contract test come from it.
#[derive(Debug)]
pub struct Collector {
    /// Kebab-case name: the done label and the primary fact have it as their key.
    pub name: &'static str,
    /// One line that says what is collected.
    pub summary: &'static str,
    /// The facts it may yield, the primary one first.
    pub facts: &'static [Fact],
    /// Names of facts that an earlier version yielded; they are deleted from the Node.
    pub retired: &'static [&'static str],
    /// What it needs beyond an unprivileged pod.
    pub needs: &'static [Need],
    /// The environment variables it reads.
    pub variables: &'static [Variable],
    /// How long it may take, retries included.
    pub timeout: Duration,
    /// Whether `default` selects it.
    pub enabled: Enabled,
    /// The code.
    pub collect: Collect,
}

impl Collector {
    /// What the namespace must allow for it.
    pub fn privilege_class(&self) -> PrivilegeClass {
        let privileged = |need: &Need| matches!(need, Need::HostNetwork | Need::HostPath(_));
        if self.needs.iter().any(privileged) {
            PrivilegeClass::Privileged
        } else {
            PrivilegeClass::Restricted
        }
    }

    /// Names of all facts but the primary one, whether it still yields them or not.
    pub fn named_facts(&self) -> impl Iterator<Item = &'static str> {
        self.facts.iter().filter_map(|fact| fact.name).chain(self.retired.iter().copied())
    }
}

/// The code of a collector.
///
/// Both get the context alone, and reach the host through nothing else.
#[derive(Debug, Clone, Copy)]
pub enum Collect {
    /// Reads files. Runs on a thread of its own, since a read may stall for ever (dead NFS, stuck sysfs).
    Blocking(fn(&Context) -> Result<Collected, CollectError>),
    /// Waits for HTTP or DNS. Runs on the one runtime thread: it must not read files directly.
    Async(for<'a> fn(&'a Context) -> BoxFuture<'a, Result<Collected, CollectError>>),
}

/// Whether a collector is part of the `default` selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enabled {
    /// Selected by `default`.
    ByDefault,
    /// Runs only when named, or with `all`.
    OnRequest,
}

/// Something that a collector needs and an unprivileged pod does not have or may be denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The node's network namespace.
    HostNetwork,
    /// A directory or file of the host, mounted read-only.
    HostPath(&'static str),
    /// A cloud metadata service on a link-local address.
    MetadataService,
    /// The node's resolver.
    Dns,
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::HostNetwork => f.write_str("host network"),
            Self::HostPath(path) => write!(f, "host path {path}, read-only"),
            Self::MetadataService => f.write_str("cloud metadata service"),
            Self::Dns => f.write_str("DNS"),
        }
    }
}

/// An environment variable that a collector reads.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does, and what holds without it.
    pub summary: &'static str,
}

/// What the namespace of a collector's pods must allow: the Pod Security level it is admitted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrivilegeClass {
    /// Pod Security `restricted` admits it.
    Restricted,
    /// It needs the host network or a host path.
    Privileged,
}

impl PrivilegeClass {
    /// The name of the Pod Security level.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Privileged => "privileged",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Facts, Stability};

    const FACTS: &[Fact] = &[
        Fact::primary("A number", "42", Stability::Immutable),
        Fact::named("extra", "Another", "23", Stability::Immutable),
    ];

    fn needing(needs: &'static [Need]) -> Collector {
        Collector {
            name: "fake",
            summary: "A fake",
            facts: FACTS,
            retired: &["gone"],
            needs,
            variables: &[],
            timeout: Duration::from_secs(1),
            enabled: Enabled::ByDefault,
            collect: Collect::Blocking(|_| Ok(Facts::new("42").into())),
        }
    }

    #[test]
    fn only_what_pod_security_would_refuse_is_privileged() {
        for needs in [&[][..], &[Need::MetadataService, Need::Dns]] {
            assert_eq!(needing(needs).privilege_class(), PrivilegeClass::Restricted);
        }
        for needs in [&[Need::Dns, Need::HostNetwork][..], &[Need::HostPath("/boot")]] {
            assert_eq!(needing(needs).privilege_class(), PrivilegeClass::Privileged);
        }
    }

    #[test]
    fn retired_facts_are_still_named() {
        assert_eq!(needing(&[]).named_facts().collect::<Vec<_>>(), ["extra", "gone"]);
    }
}
