//! What is to be run, where, and how: everything that manifests depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use node_annotator_core::{DoneMark, GiveUpAfter, LabelFacts, Prefix, Selection};

use crate::architecture::Architecture;
use crate::once::Task;
use crate::placement::Exclusion;
use crate::policy::Scope;
use crate::syntax::{is_dns_subdomain, is_image_reference};
use crate::tolerations::Tolerations;
use crate::{
    Error, Installation, Schedule, StartupTaint, foreign_prefix, placement, pod_metadata, policy,
    startup_taint, workload,
};

/// The image of this version, from whatever registry the nodes ask by default.
pub const DEFAULT_IMAGE: &str = concat!("node-annotator:", env!("CARGO_PKG_VERSION"));

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
    /// The facts that are labels too.
    pub labels: LabelFacts,
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
    pub node_selector: BTreeMap<String, String>,
    /// The architectures of the image; nodes of any when it is empty.
    pub architectures: Vec<Architecture>,
    /// Nodes that are left out, beside virtual ones.
    pub exclusions: Vec<Exclusion>,
    /// Whether nodes of the control plane are left out.
    pub exclude_control_plane: bool,
    /// Whether collectors that ask a metadata service do so from the host network, where pods cannot reach
    /// it.
    pub host_network: bool,
    /// Which taints do not keep pods away.
    pub tolerations: Tolerations,
    /// The taint that nodes are born with, and that goes with the last done label.
    pub startup_taint: Option<StartupTaint>,
    /// Which priority the pods have.
    pub priority_class: PriorityClassName,
    /// Labels of the pods, beside ours.
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of the pods, beside ours.
    pub pod_annotations: BTreeMap<String, String>,
    /// Values of variables that collectors take from the operator.
    pub environment: BTreeMap<String, String>,
    /// Whether what a sandbox shows is published as the node's.
    pub trust_sandbox: bool,
    /// When a collector that keeps failing is given up.
    pub give_up_after: GiveUpAfter,
    /// Whether the pods are held to their own node and keys.
    pub policy: PolicyMode,
    /// Where our requests wait at the API server.
    pub queue: Queue,
    /// When what is stale runs again by itself; never without one.
    pub expire: Option<Schedule>,
    /// After how many days facts run again with it, whatever boot they are of; never without one.
    pub expire_max_age: Option<u16>,
    /// The version of the binary that makes these manifests, and that the image holds.
    pub version: String,
    /// The command that makes these manifests, for the first line of each file.
    pub command: String,
    /// What runs in place of collectors: the selection is what stands for it.
    pub task: Option<Box<Task>>,
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
            labels: LabelFacts::default(),
            installation: Installation::default(),
            image: DEFAULT_IMAGE.to_owned(),
            image_pull_policy: ImagePullPolicy::default(),
            image_pull_secrets: Vec::new(),
            layout: Layout::default(),
            node_selector: BTreeMap::new(),
            architectures: Vec::new(),
            exclusions: Vec::new(),
            exclude_control_plane: false,
            host_network: false,
            tolerations: Tolerations::default(),
            startup_taint: None,
            priority_class: PriorityClassName::default(),
            pod_labels: BTreeMap::new(),
            pod_annotations: BTreeMap::new(),
            environment: BTreeMap::new(),
            trust_sandbox: false,
            give_up_after: GiveUpAfter::default(),
            policy: PolicyMode::default(),
            queue: Queue::default(),
            expire: None,
            expire_max_age: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: "cargo xtask gen-manifests".to_owned(),
            task: None,
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
        placement::check(self)?;
        startup_taint::check(self)?;
        pod_metadata::check(self)?;
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

    /// The PriorityClass of the pods.
    pub(crate) fn priority_class_name(&self) -> Option<String> {
        match &self.priority_class {
            PriorityClassName::Own => Some(self.installation.cluster_object()),
            PriorityClassName::Existing(name) => Some(name.clone()),
            PriorityClassName::None => None,
        }
    }
}

/// How collectors share DaemonSets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// All collectors of a privilege class share one: a pod and a write on every new node, however many
    /// collectors there are.
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

/// Which PriorityClass the pods name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PriorityClassName {
    /// Our own, which is part of the manifests: pods wait until there is room, and push nobody out.
    #[default]
    Own,
    /// One that is there already.
    Existing(String),
    /// None: the pods have the cluster's default.
    None,
}

impl FromStr for PriorityClassName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "own" => Ok(Self::Own),
            "none" => Ok(Self::None),
            name if is_dns_subdomain(name) => Ok(Self::Existing(name.to_owned())),
            other => Err(Error::Refused {
                what: "priority class",
                value: other.to_owned(),
                reason: "write `own`, `none`, or the name of a PriorityClass, a DNS subdomain".to_owned(),
            }),
        }
    }
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
