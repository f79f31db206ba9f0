//! A Node, decoded to what the commands for a fleet look at.

use std::collections::{BTreeMap, BTreeSet};

use node_annotator_core::Prefix;
use node_annotator_core::key::is_nfd_annotation;
use node_annotator_core::write::FIELD_MANAGER;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// What to do where Node Feature Discovery runs beside labels of it that are ours.
pub(crate) const BESIDE_NFD: &str = "uninstall it, and take its annotations under nfd.node.kubernetes.io/ off the nodes; or leave \
     `nfd` out of --labels";

/// A Node. Of a list of metadata, spec and status are empty.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Node {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    pub(crate) spec: Spec,
    #[serde(default)]
    pub(crate) status: Status,
}

/// Who it is, and what stands on it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    /// The labels that runs have set, by the record.
    #[serde(rename = "managedFields", deserialize_with = "of_runs")]
    pub(crate) labels_of_runs: BTreeSet<String>,
}

/// One entry of the record of who wrote which field.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Managed {
    #[serde(default)]
    manager: String,
    #[serde(default)]
    fields_v1: Fields,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(rename = "f:metadata")]
    metadata: FieldsOfMetadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
#[expect(clippy::zero_sized_map_values, reason = "no set can be read from an object")]
struct FieldsOfMetadata {
    #[serde(rename = "f:labels")]
    labels: BTreeMap<String, IgnoredAny>,
}

/// The labels that the record says are a run's.
fn of_runs<'de, D: Deserializer<'de>>(record: D) -> Result<BTreeSet<String>, D::Error> {
    let record = Option::<Vec<Managed>>::deserialize(record)?.unwrap_or_default();
    let ours = record.into_iter().filter(|entry| entry.manager == FIELD_MANAGER);
    let keys = ours.flat_map(|entry| entry.fields_v1.metadata.labels.into_keys());
    Ok(keys.filter_map(|key| key.strip_prefix("f:").map(str::to_owned)).collect())
}

/// What it is to be.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    #[serde(rename = "providerID")]
    pub(crate) provider_id: Option<String>,
    pub(crate) taints: Option<Vec<Taint>>,
}

/// What keeps pods away from it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Taint {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    pub(crate) effect: String,
}

/// What its kubelet tells.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    pub(crate) node_info: NodeInfo,
    conditions: Option<Vec<Condition>>,
}

/// What its kubelet tells of the machine.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NodeInfo {
    #[serde(rename = "bootID")]
    pub(crate) boot_id: String,
    pub(crate) kernel_version: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl Node {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Its labels.
    pub(crate) fn labels(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.metadata.labels.as_ref().unwrap_or(&NONE)
    }

    /// The value of a label.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels().get(key).map(String::as_str)
    }

    /// Its annotations.
    pub(crate) fn annotations(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.metadata.annotations.as_ref().unwrap_or(&NONE)
    }

    /// The value of an annotation.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations().get(key).map(String::as_str)
    }

    /// Whether Node Feature Discovery runs there: it keeps a list of its labels in annotations.
    pub(crate) fn has_nfd(&self) -> bool {
        self.annotations().keys().any(|key| is_nfd_annotation(key))
    }

    /// Whether its kubelet says that it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        let mut conditions = self.status.conditions.iter().flatten();
        conditions.any(|condition| condition.kind == "Ready" && condition.status == "True")
    }

    /// The same without the annotations of others, which may be long, but for those of Node Feature
    /// Discovery.
    pub(crate) fn without_foreign_annotations(mut self, prefix: &Prefix) -> Self {
        if let Some(annotations) = &mut self.metadata.annotations {
            annotations.retain(|key, _| prefix.parts(key).is_some() || is_nfd_annotation(key));
        }
        self
    }
}
