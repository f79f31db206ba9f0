//! The names of all objects: the one place that knows what is called what.

use std::fmt;
use std::str::FromStr;

use node_annotator_core::PrivilegeClass;

use crate::Error;
use crate::syntax::is_dns_label;

/// The product: the name of the service accounts and containers, and what the names of all DaemonSets begin
/// with.
pub const PRODUCT: &str = "node-annotator";

const PRIVILEGED_SUFFIX: &str = "-privileged";

const EXPIRE_SUFFIX: &str = "-expire";

/// What the names of further namespaces of an installation end with.
pub(crate) const SUFFIXES: [&str; 2] = [PRIVILEGED_SUFFIX, EXPIRE_SUFFIX];

/// The ConfigMap in which `expire` remembers for which boots it has run nodes again.
pub const EXPIRED: &str = "expired";

/// One installation in a cluster, known by its namespace.
///
/// The namespace is used for nothing else. A second one, `<namespace>-privileged`, exists only while a
/// collector needs the host network or a host path. Objects without a namespace are named after the product
/// and the namespace: a second installation with another prefix does not replace the policy of the first, and
/// none replaces what others have named, as one named after the namespace alone does with the roles `admin`
/// and `view`.
///
/// Names hold neither generation nor image nor selection: what is applied later replaces what was applied
/// before.
///
/// A task has one namespace whatever it needs, so that what is applied later replaces what was applied before
/// there, too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Installation {
    name: String,
    is_of_task: bool,
}

impl Installation {
    /// The longest name, which leaves room for that of the second namespace.
    pub const MAX_BYTES: usize = 63 - PRIVILEGED_SUFFIX.len();

    /// The same namespace as that of a task.
    #[must_use]
    pub fn of_task(&self) -> Self {
        Self { is_of_task: true, ..self.clone() }
    }

    /// Whether it is that of a task.
    pub fn is_of_task(&self) -> bool {
        self.is_of_task
    }

    /// The namespace of a privilege class.
    pub fn namespace(&self, class: PrivilegeClass) -> String {
        match class {
            PrivilegeClass::Privileged if !self.is_of_task => format!("{}{PRIVILEGED_SUFFIX}", self.name),
            PrivilegeClass::Restricted | PrivilegeClass::Baseline | PrivilegeClass::Privileged => {
                self.name.clone()
            }
        }
    }

    /// The namespace of what runs again what is stale: its account may do more than those of the pods.
    pub fn expire_namespace(&self) -> String {
        format!("{}{EXPIRE_SUFFIX}", self.name)
    }

    /// All namespaces whose accounts are ours, whichever of them there are.
    pub fn namespaces(&self) -> [String; 3] {
        let [restricted, privileged] = self.namespaces_of_runs();
        [restricted, privileged, self.expire_namespace()]
    }

    /// The namespaces of both privilege classes.
    pub fn namespaces_of_runs(&self) -> [String; 2] {
        [PrivilegeClass::Restricted, PrivilegeClass::Privileged].map(|class| self.namespace(class))
    }

    /// The name of every object that has no namespace: policy, binding, ClusterRole, its binding and
    /// PriorityClass.
    pub fn cluster_object(&self) -> String {
        if *self == Self::default() { PRODUCT.to_owned() } else { format!("{PRODUCT}-{}", self.name) }
    }

    /// The same of what runs again what is stale. No namespace has a dot, so that no other installation has
    /// this name.
    pub fn expire_object(&self) -> String {
        format!("{}.expire", self.cluster_object())
    }

    /// The name of the ServiceAccount in each namespace.
    pub fn service_account(&self) -> &'static str {
        PRODUCT
    }

    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// The group of all service accounts of a namespace, as the API server puts it into requests.
pub fn group(namespace: &str) -> String {
    format!("system:serviceaccounts:{namespace}")
}

/// What the names of all service accounts of a namespace begin with, as the API server puts them into
/// requests.
pub fn user_start(namespace: &str) -> String {
    format!("system:serviceaccount:{namespace}:")
}

impl Default for Installation {
    fn default() -> Self {
        Self { name: PRODUCT.to_owned(), is_of_task: false }
    }
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Installation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        if name.len() > Self::MAX_BYTES || !is_dns_label(name) {
            return Err(Error::NamespaceSyntax { name: name.to_owned(), max: Self::MAX_BYTES });
        }
        if name == "default" || name.starts_with("kube-") {
            return Err(Error::NamespaceShared(name.to_owned()));
        }
        if let Some(suffix) = SUFFIXES.into_iter().find(|suffix| name.ends_with(suffix)) {
            return Err(Error::NamespaceSuffix { name: name.to_owned(), suffix });
        }
        Ok(Self { name: name.to_owned(), is_of_task: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str) -> String {
        name.parse::<Installation>().unwrap_err().to_string()
    }

    #[test]
    fn every_namespace_has_a_name_that_kubernetes_takes() {
        let longest = "a".repeat(Installation::MAX_BYTES).parse::<Installation>().unwrap();
        assert_eq!(longest.namespace(PrivilegeClass::Privileged).len(), 63);
        let installation: Installation = "facts".parse().unwrap();
        assert_eq!(installation.namespace(PrivilegeClass::Restricted), "facts");
        assert_eq!(installation.namespace(PrivilegeClass::Privileged), "facts-privileged");
        assert_eq!(installation.expire_namespace(), "facts-expire");
        assert_eq!(group("facts"), "system:serviceaccounts:facts");
    }

    #[test]
    fn no_cluster_object_has_the_name_of_a_namespace_alone() {
        assert_eq!(Installation::default().cluster_object(), "node-annotator");
        for name in ["admin", "edit", "view", "cluster-admin", "system", "cilium"] {
            let installation: Installation = name.parse().unwrap();
            assert_eq!(installation.cluster_object(), format!("node-annotator-{name}"));
        }
    }

    #[test]
    fn namespaces_of_others_are_refused() {
        for name in ["default", "kube-system", "kube-public", "kube-node-lease", "kube-flannel"] {
            assert!(refusal(name).starts_with(&format!("the namespace `{name}` is shared")), "{name}");
        }
        assert!(refusal("facts-privileged").contains("leave out `-privileged`"));
        assert!(refusal("facts-expire").contains("leave out `-expire`"));
        for name in ["kube", "defaults", "my-default"] {
            assert!(name.parse::<Installation>().is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_are_no_dns_label_are_refused() {
        for name in ["", "A", "a.b", "a_b", "-a", "a-", "a b", &"a".repeat(Installation::MAX_BYTES + 1)] {
            assert!(refusal(name).contains("cannot name the namespace"), "{name}");
        }
    }
}
