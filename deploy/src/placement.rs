//! Which nodes are meant: what all of them have in common, and which are left out whatever is still to do on
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use k8s_openapi::api::core::v1::NodeSelectorRequirement;

use crate::syntax::{is_label_key, is_label_value};
use crate::{Error, Settings};

const OS: &str = "kubernetes.io/os";
const LINUX: &str = "linux";
const ARCHITECTURE: &str = "kubernetes.io/arch";
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// What a kubelet labels every Linux node with; `None` where the value differs between nodes.
const ON_EVERY_NODE: [(&str, Option<&str>); 5] = [
    (OS, Some(LINUX)),
    ("beta.kubernetes.io/os", Some(LINUX)),
    (ARCHITECTURE, None),
    ("beta.kubernetes.io/arch", None),
    ("kubernetes.io/hostname", None),
];

/// Nodes without a kubelet or without a host, by the label that their makers document: a pod there stays
/// pending, or tells about something else than the node.
const VIRTUAL_NODES: [(&str, &str); 8] = [
    // AWS Fargate: a machine for each pod.
    ("eks.amazonaws.com/compute-type", "fargate"),
    // Elastic Container Instance of Alibaba Cloud, in clusters that it does not manage.
    ("k8s.aliyun.com/vnode", "true"),
    // Liqo: another cluster.
    ("liqo.io/type", "virtual-node"),
    // Super nodes of Tencent Kubernetes Engine.
    ("node.kubernetes.io/instance-type", "eklet"),
    // KWOK: nodes that are objects alone.
    ("type", "kwok"),
    // Virtual Kubelet and what follows it: virtual nodes of Azure, and of Alibaba Cloud where it manages the
    // cluster.
    ("type", "virtual-kubelet"),
    // interLink: a batch system.
    ("virtual-node.interlink/type", "virtual-kubelet"),
    // Virtual nodes on Azure Container Instances, second edition.
    ("virtualization", "virtualnode2"),
];

/// Nodes that are left out: those with a label, whatever its value, or those with one value of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exclusion {
    key: String,
    value: Option<String>,
}

impl Exclusion {
    fn new(key: &str, value: Option<&str>) -> Self {
        Self { key: key.to_owned(), value: value.map(str::to_owned) }
    }

    fn matches(&self, key: &str, value: &str) -> bool {
        self.key == key && self.value.as_ref().is_none_or(|excluded| excluded == value)
    }

    fn refused(&self, reason: impl Into<String>) -> Error {
        Error::Refused { what: "exclusion", value: self.to_string(), reason: reason.into() }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            None => f.write_str(&self.key),
            Some(value) => write!(f, "{}={value}", self.key),
        }
    }
}

impl FromStr for Exclusion {
    type Err = Error;

    /// `KEY` or `KEY=VALUE`; the value may be empty, as that of a role is.
    fn from_str(text: &str) -> Result<Self, Error> {
        let exclusion = match text.split_once('=') {
            None => Self::new(text, None),
            Some((key, value)) => Self::new(key, Some(value)),
        };
        if !is_label_key(&exclusion.key) {
            return Err(exclusion.refused("the key is not that of a label"));
        }
        if exclusion.value.as_deref().is_some_and(|value| !is_label_value(value)) {
            return Err(exclusion.refused("the value is not that of a label"));
        }
        Ok(exclusion)
    }
}

/// The labels that a node must have.
pub(crate) fn node_selector(settings: &Settings) -> BTreeMap<String, String> {
    settings.node_selector.clone().into_iter().chain(node_selector_of_image(settings)).collect()
}

/// The labels that a node must have for the image to run there.
pub(crate) fn node_selector_of_image(settings: &Settings) -> BTreeMap<String, String> {
    let mut selector = BTreeMap::new();
    selector.insert(OS.to_owned(), LINUX.to_owned());
    if let [only] = architectures(settings)[..] {
        selector.insert(ARCHITECTURE.to_owned(), only.to_owned());
    }
    selector
}

/// What a node selector cannot say, and every term of the affinity repeats.
pub(crate) fn requirements(settings: &Settings) -> Vec<NodeSelectorRequirement> {
    let requirement = |key: &str, operator: &str, values: Option<Vec<String>>| NodeSelectorRequirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values,
    };
    // One expression for a key: each stands in every term, and there may be thirty terms.
    let mut excluded: BTreeMap<String, Option<BTreeSet<String>>> = BTreeMap::new();
    for Exclusion { key, value } in exclusions(settings) {
        let values = excluded.entry(key).or_insert_with(|| Some(BTreeSet::new()));
        match (value, values.as_mut()) {
            (Some(value), Some(values)) => drop(values.insert(value)),
            (None, _) => *values = None,
            (Some(_), None) => {}
        }
    }
    let excluded = excluded.into_iter().map(|(key, values)| match values {
        None => requirement(&key, "DoesNotExist", None),
        Some(values) => requirement(&key, "NotIn", Some(values.into_iter().collect())),
    });
    let architectures = architectures(settings);
    let among = (architectures.len() > 1).then(|| {
        requirement(ARCHITECTURE, "In", Some(architectures.into_iter().map(str::to_owned).collect()))
    });
    excluded.chain(among).collect()
}

/// Finds what contradicts itself, and what would leave no node.
pub(crate) fn check(settings: &Settings) -> Result<(), Error> {
    settings.exclusions.iter().try_for_each(|exclusion| check_exclusion(exclusion, settings))?;
    for (key, value) in &settings.node_selector {
        if let Some(reason) = reason_against(key, value, settings) {
            let value = format!("{key}={value}");
            return Err(Error::Refused { what: "node selector", value, reason: reason.to_owned() });
        }
    }
    let wanted = settings.node_selector.get(ARCHITECTURE);
    let possible = |name: &str| {
        let excluded = settings.exclusions.iter().any(|exclusion| exclusion.matches(ARCHITECTURE, name));
        !excluded && wanted.is_none_or(|wanted| wanted == name)
    };
    match architectures(settings).into_iter().find(|name| !possible(name)) {
        None => Ok(()),
        Some(name) => Err(Error::Refused {
            what: "architecture",
            value: name.to_owned(),
            reason: "another flag leaves its nodes out".to_owned(),
        }),
    }
}

fn check_exclusion(exclusion: &Exclusion, settings: &Settings) -> Result<(), Error> {
    if exclusion.key.starts_with(&settings.prefix.key_start()) {
        let opt_out = settings.prefix.opt_out();
        return Err(exclusion.refused(format!(
            "labels under our prefix say what is done\nhint: `{opt_out}` keeps a node out, without a flag"
        )));
    }
    let covers = |(key, value): &(&str, Option<&str>)| {
        *key == exclusion.key && (exclusion.value.is_none() || exclusion.value.as_deref() == *value)
    };
    if ON_EVERY_NODE.iter().any(covers) {
        return Err(exclusion.refused("every node that could run has this label"));
    }
    if settings.node_selector.iter().any(|(key, value)| exclusion.matches(key, value)) {
        return Err(exclusion.refused("the node selector wants this label: no node would be left"));
    }
    Ok(())
}

fn reason_against(key: &str, value: &str, settings: &Settings) -> Option<&'static str> {
    let ended = |key: &str| {
        let labels = |name| [settings.prefix.done(name), settings.prefix.failed(name)];
        settings.selection.iter().any(|collector| labels(collector.name).iter().any(|label| label == key))
    };
    if !is_label_key(key) {
        Some("the key is not that of a label")
    } else if !is_label_value(value) {
        Some("the value is not that of a label")
    } else if key == OS && value != LINUX {
        Some("collectors run on linux only")
    } else if ended(key) || key == settings.prefix.opt_out() {
        Some("nodes with this label are done, given up or opted out, and never run")
    } else if settings
        .selection
        .iter()
        .any(|it| settings.labels.keys(it, &settings.prefix).any(|label| label == key))
    {
        Some("a run sets this label: no new node has it, and none would get a run")
    } else if exclusions(settings).iter().any(|exclusion| exclusion.matches(key, value)) {
        Some("nodes with this label are left out, and never run")
    } else {
        None
    }
}

/// All of them: what is always left out, and what the operator says.
fn exclusions(settings: &Settings) -> Vec<Exclusion> {
    let always = VIRTUAL_NODES.map(|(key, value)| Exclusion::new(key, Some(value)));
    let control_plane = settings.exclude_control_plane.then(|| Exclusion::new(CONTROL_PLANE, None));
    always.into_iter().chain(control_plane).chain(settings.exclusions.iter().cloned()).collect()
}

/// In order of name, each once.
fn architectures(settings: &Settings) -> Vec<&'static str> {
    let names: BTreeSet<_> = settings.architectures.iter().map(|it| it.as_str()).collect();
    names.into_iter().collect()
}
