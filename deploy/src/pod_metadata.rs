//! The labels and annotations of our pods: those that the DaemonSet needs, and those of the operator.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::syntax::{is_label_key, is_label_value};
use crate::{Error, Settings, labels};

/// A proxy beside the container would outlive the run, and needs the capabilities that ours gives up.
const NO_ISTIO: (&str, &str) = ("sidecar.istio.io/inject", "false");
const NO_LINKERD: (&str, &str) = ("linkerd.io/inject", "disabled");

/// What the DaemonSet controller writes on each pod.
const OF_CONTROLLER: [&str; 2] = ["controller-revision-hash", "pod-template-generation"];

/// The pods' metadata, but for the version, which all objects get last.
pub(crate) fn pod_metadata(settings: &Settings, recommended: BTreeMap<String, String>) -> ObjectMeta {
    let with = |of_operator: &BTreeMap<String, String>, (key, value): (&str, &str)| {
        let mut all = of_operator.clone();
        all.insert(key.to_owned(), value.to_owned());
        all
    };
    let mut labels = with(&settings.pod_labels, NO_ISTIO);
    labels.extend(recommended);
    let annotations = with(&settings.pod_annotations, NO_LINKERD);
    ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }
}

/// Finds what no cluster would take, and what would be ours.
pub(crate) fn check(settings: &Settings) -> Result<(), Error> {
    let refused = |what, key: &str, value: &str, reason: &str| {
        Err(Error::Refused { what, value: format!("{key}={value}"), reason: reason.to_owned() })
    };
    for (key, value) in &settings.pod_labels {
        let reason = if !is_label_key(key) {
            "the key is not that of a label"
        } else if !is_label_value(value) {
            "the value is not that of a label"
        } else if labels::ALL.contains(&key.as_str()) {
            "this label is ours: by it and its like the DaemonSet finds its pods"
        } else if OF_CONTROLLER.contains(&key.as_str()) {
            "the DaemonSet controller writes this label itself"
        } else if key == NO_ISTIO.0 {
            "a proxy beside the container would outlive the run"
        } else {
            continue;
        };
        return refused("pod label", key, value, reason);
    }
    for (key, value) in &settings.pod_annotations {
        // The domain may have capitals here; the server compares without.
        let reason = if !is_label_key(&key.to_ascii_lowercase()) {
            "the key is not that of an annotation"
        } else if key == NO_LINKERD.0 {
            "a proxy beside the container would outlive the run"
        } else {
            continue;
        };
        return refused("pod annotation", key, value, reason);
    }
    Ok(())
}
