//! What each collector adds to the objects of a release.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;
use node_annotator_core::fact::MAX_RUN_BYTES;
use node_annotator_core::{
    Cardinality, Collector, DoneMark, LabelFacts, Need, Registry, Selected, Selection,
};
use serde_json::{Map, Value, json};

use super::{generation, prefix};
use crate::daemon_set::daemon_set;
use crate::policy::{Keys, older_values};
use crate::{Settings, Workload, affinity, token};

/// By name.
pub(super) fn all(registry: &Registry) -> Value {
    registry.iter().map(|collector| (collector.name.to_owned(), one(collector))).collect::<Map<_, _>>().into()
}

fn one(collector: &'static Collector) -> Value {
    let pod = pod(collector);
    let by_mark = |of: &dyn Fn(&DoneMark) -> Value| json!({ "saved": of(&DoneMark::Saved), "generation": of(&generation()) });
    let mut told = json!({
        "default": collector.selected == Selected::ByDefault,
        "class": collector.privilege_class().as_str(),
        "hostNetwork": host_network(collector),
        "done": prefix().done(collector.name),
        "labels": by_mark(&|mark| json!(keys(collector, mark, false).labels)),
        "olderValues": older_values(collector),
        "terms": by_mark(&|mark| terms(collector, mark)),
        "factLabels": fact_labels(collector),
        "nfd": label_keys(collector, "nfd"),
        "env": env(&pod),
        "variables": variables(collector),
        "host": host(&pod),
    });
    let told_map = told.as_object_mut().expect("it is one");
    told_map.extend(annotations(collector));
    // What most collectors have nothing of is left out.
    told_map.retain(|_, value| !matches!(value, Value::Null) && *value != json!([]) && *value != json!({}));
    told
}

fn keys(collector: &'static Collector, mark: &DoneMark, stamp_day: bool) -> Keys {
    Keys::new(&[collector], &prefix(), mark, stamp_day, &LabelFacts::default())
}

/// The annotations with their bounds, those that are other ones with the day, and what they add to the bound
/// of a write.
fn annotations(collector: &'static Collector) -> [(String, Value); 3] {
    let [keys, with_day] = [false, true].map(|stamp_day| keys(collector, &DoneMark::Saved, stamp_day));
    let bounds = |keys: BTreeMap<String, Option<usize>>| {
        let bounds =
            keys.into_iter().map(|(key, bytes)| (key, bytes.map_or(json!(-1), |bytes| json!(bytes))));
        Value::Object(bounds.collect())
    };
    let mut day = with_day.annotations;
    day.retain(|key, bytes| keys.annotations.get(key) != Some(bytes));
    let facts: usize = collector.facts.iter().map(|fact| fact.max_bytes).sum();
    let bytes = json!({
        "facts": facts,
        "other": keys.max_bytes - facts.min(MAX_RUN_BYTES),
        "day": with_day.max_bytes - keys.max_bytes,
    });
    [("annotations", bounds(keys.annotations)), ("day", bounds(day)), ("bytes", bytes)]
        .map(|(name, value)| (name.to_owned(), value))
}

/// Whether its pods share the node's network: `always`, or `on-request`.
fn host_network(collector: &Collector) -> Option<&'static str> {
    if collector.needs.contains(&Need::HostNetwork) {
        Some("always")
    } else if collector.needs.contains(&Need::MetadataService) {
        Some("on-request")
    } else {
        None
    }
}

/// What its terms of the affinity say that those of others do not.
fn terms(collector: &Collector, mark: &DoneMark) -> Value {
    let not_given_up = affinity::not_given_up(collector, &prefix(), mark);
    let missing = affinity::missing(collector, &prefix(), mark).into_iter();
    json!(missing.map(|missing| [missing, not_given_up.clone()]).collect::<Vec<_>>())
}

/// The facts that can be labels, by their names, with the keys of these labels.
fn fact_labels(collector: &'static Collector) -> BTreeMap<String, String> {
    let shared = collector.facts.iter().filter(|fact| fact.cardinality == Cardinality::Shared);
    let names = shared.map(|fact| node_annotator_core::key::fact_name(collector.name, fact.name));
    names.filter_map(|name| Some((name.clone(), label_keys(collector, &name).pop()?))).collect()
}

/// The keys of the labels that a word of `--labels` stands for.
fn label_keys(collector: &'static Collector, word: &str) -> Vec<String> {
    let labels = LabelFacts::parse([word], &[collector]).unwrap_or_default();
    labels.keys(collector, &prefix()).collect()
}

/// The pod of a DaemonSet for it alone.
fn pod(collector: &'static Collector) -> PodSpec {
    let settings = Settings::new(Selection::of(collector));
    let workloads = Workload::all(&settings);
    let set = workloads.first().map(|workload| daemon_set(workload, &settings));
    set.and_then(|set| set.spec?.template.spec)
        .expect("each collector has a DaemonSet, and each of those a pod")
}

/// What its pods are told of themselves, beside the name of the node.
fn env(pod: &PodSpec) -> Vec<Value> {
    let env = pod.containers.iter().flat_map(|container| container.env.iter().flatten());
    env.filter(|variable| variable.name != "NODE_NAME").map(|variable| json!(variable)).collect()
}

/// The variables that an operator may set.
fn variables(collector: &Collector) -> Vec<&'static str> {
    let variables = collector.variables.iter().filter(|variable| variable.field_path.is_none());
    variables.map(|variable| variable.name).collect()
}

/// What is mounted of the host, by its path. The names are given by the templates, since a pod that runs
/// several collectors mounts a path once.
fn host(pod: &PodSpec) -> Value {
    let mounts = pod.containers.iter().flat_map(|container| container.volume_mounts.iter().flatten());
    let volumes = pod.volumes.iter().flatten().filter(|volume| **volume != token::volume());
    let of_host = volumes.filter_map(|volume| {
        let mount = mounts.clone().find(|mount| mount.name == volume.name)?;
        let path = volume.host_path.as_ref()?.path.clone();
        Some((path, json!({ "volume": without_name(json!(volume)), "mount": without_name(json!(mount)) })))
    });
    Value::Object(of_host.collect())
}

fn without_name(mut value: Value) -> Value {
    value.as_object_mut().expect("it is one").remove("name");
    value
}
