//! What is to be run, where, and how: everything that manifests depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use node_annotator_core::{DoneMark, Prefix, Selection};

use crate::policy::Scope;
use crate::syntax::{is_dns_subdomain, is_image_reference, is_label_key, is_label_value};
use crate::{Error, Installation, foreign_prefix, policy, workload};

/// The image of this version, from whatever registry the nodes ask by default.
pub const DEFAULT_IMAGE: &str = concat!("node-annotator:", env!("CARGO_PKG_VERSION"));

/// The label that says which operating system a node runs.
pub(crate) const OS_LABEL: (&str, &str) = ("kubernetes.io/os", "linux");

/// Everything that manifests depend on.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting by itself, and a flag of the command line"
)]
pub struct Settings {
    /// The collectors that run.
    pub selection: Selection,
    /// The namespace of all keys.
    pub prefix: Prefix,
    /// Whether a prefix is taken that belongs to a product which trusts its keys on Nodes.
    pub allow_foreign_prefix: bool,
    /// What the done label says, and so which nodes are done.
    pub mark: DoneMark,
    /// Whether each collector writes beside its facts on which day it read them.
    pub stamp_day: bool,
    /// The namespace, and with it the names of all objects.
    pub installation: Installation,
    /// The image reference.
    pub image: String,
    /// When the kubelet pulls the image.
    pub image_pull_policy: ImagePullPolicy,
    /// Names of Secrets in our namespaces that hold credentials for the image.
    pub image_pull_secrets: Vec<String>,
    /// How collectors share DaemonSets.
    pub layout: Layout,
    /// Labels that a node must have, beside `kubernetes.io/os: linux`.
    ///
    /// An image of one architecture needs `kubernetes.io/arch` here in a cluster of several.
    pub node_selector: BTreeMap<String, String>,
    /// Whether nodes of the control plane are left out.
    pub exclude_control_plane: bool,
    /// Whether collectors that ask a metadata service do so from the host network, where pods cannot reach it.
    pub host_network: bool,
    /// Values of variables that collectors take from the operator.
    pub environment: BTreeMap<String, String>,
    /// Whether what a sandbox shows is published as the node's.
    pub trust_sandbox: bool,
    /// Whether the pods are held to their own node and keys.
    pub policy: PolicyMode,
    /// Where our requests wait at the API server.
    pub queue: Queue,
    /// The version of the binary that makes these manifests, and that the image holds.
    pub version: String,
    /// The command that makes these manifests, for the first line of each file.
    pub command: String,
}

impl Settings {
    /// The selected collectors with everything else as it is by default.
    pub fn new(selection: Selection) -> Self {
        Self {
            selection,
            prefix: Prefix::default(),
            allow_foreign_prefix: false,
            mark: DoneMark::default(),
            stamp_day: false,
            installation: Installation::default(),
            image: DEFAULT_IMAGE.to_owned(),
            image_pull_policy: ImagePullPolicy::default(),
            image_pull_secrets: Vec::new(),
            layout: Layout::default(),
            node_selector: BTreeMap::new(),
            exclude_control_plane: false,
            host_network: false,
            environment: BTreeMap::new(),
            trust_sandbox: false,
            policy: PolicyMode::default(),
            queue: Queue::default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: "cargo xtask gen-manifests".to_owned(),
        }
    }

    /// Finds what no cluster would take, and what could never run.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !is_image_reference(&self.image) {
            return Err(Error::Image(self.image.clone()));
        }
        if let Some(name) = self.image_pull_secrets.iter().find(|name| !is_dns_subdomain(name)) {
            return Err(Error::ImagePullSecret(name.clone()));
        }
        let owner = foreign_prefix::owner(&self.prefix).filter(|_| !self.allow_foreign_prefix);
        if let Some(owner) = owner {
            return Err(Error::ForeignPrefix { prefix: self.prefix.clone(), owner });
        }
        self.check_node_selector()?;
        self.check_environment()?;
        self.selection.iter().try_for_each(workload::check)?;
        match self.policy {
            PolicyMode::Enforced => policy::check_number_of_keys(&Scope::new(self)),
            PolicyMode::Omitted => Ok(()),
        }
    }

    fn check_environment(&self) -> Result<(), Error> {
        let variables = self.selection.iter().flat_map(|collector| collector.variables);
        let of_operator = variables.filter(|variable| variable.field_path.is_none());
        let valid: BTreeSet<_> = of_operator.map(|variable| variable.name).collect();
        match self.environment.keys().find(|name| !valid.contains(name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let names = valid.into_iter().collect::<Vec<_>>().join(", ");
                let valid = if names.is_empty() { "none".to_owned() } else { names };
                Err(Error::Variable { name: name.clone(), valid })
            }
        }
    }

    fn check_node_selector(&self) -> Result<(), Error> {
        let done = |key: &str| self.selection.iter().any(|collector| self.prefix.done(collector.name) == key);
        for (key, value) in &self.node_selector {
            let reason = if !is_label_key(key) {
                "the key is not that of a label"
            } else if !is_label_value(value) {
                "the value is not that of a label"
            } else if key == OS_LABEL.0 && value != OS_LABEL.1 {
                "collectors run on linux only"
            } else if done(key) || *key == self.prefix.opt_out() {
                "nodes with this label are done or opted out, and never run"
            } else {
                continue;
            };
            return Err(Error::NodeSelector { key: key.clone(), value: value.clone(), reason });
        }
        Ok(())
    }
}

/// How collectors share DaemonSets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// All collectors of a privilege class share one: a pod and a write on every new node, however many collectors there are.
    ///
    /// A pod runs all of its collectors when one is due. The others write what is there already.
    #[default]
    Combined,
    /// Each collector has a DaemonSet of its own: it is added, removed and watched by itself.
    PerCollector,
}

impl Layout {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::PerCollector => "per-collector",
        }
    }
}

/// Whether the pods are held to their own node and keys by an admission policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyMode {
    /// The policy is part of the manifests.
    #[default]
    Enforced,
    /// There is no policy: the token of any pod may change the metadata and spec of every node.
    Omitted,
}

/// Where our requests wait at the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Queue {
    /// In one of their own, which is part of the manifests.
    #[default]
    Own,
    /// In that of all service accounts.
    Shared,
}

/// When the kubelet pulls the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImagePullPolicy {
    /// At each start.
    Always,
    /// Where it is missing: a released image never changes under its name.
    #[default]
    IfNotPresent,
    /// Never: it is there already.
    Never,
}

impl ImagePullPolicy {
    /// The word that Kubernetes has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

impl FromStr for ImagePullPolicy {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        [Self::Always, Self::IfNotPresent, Self::Never]
            .into_iter()
            .find(|policy| policy.as_str() == word)
            .ok_or_else(|| Error::ImagePullPolicy(word.to_owned()))
    }
}
