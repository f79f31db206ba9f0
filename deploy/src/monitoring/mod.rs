//! What a monitoring system needs to watch a fleet on which nothing of ours runs: which labels of Nodes
//! kube-state-metrics shows, the rules of Prometheus that count them, and a dashboard of Grafana.

mod dashboard;
mod rules;

use node_annotator_core::{Cardinality, Collector, Prefix, Registry};
use serde_json::{Value, json};

use crate::installation::PRODUCT;
use crate::render::generated;
use crate::{Error, Installation};

/// Name and text of each file, for the collectors of a registry, the default prefix and the default
/// namespaces.
pub fn files(registry: &Registry, command: &str) -> Result<Vec<(&'static str, String)>, Error> {
    let prefix = Prefix::default();
    let marks =
        || registry.iter().flat_map(|collector| [prefix.done(collector.name), prefix.failed(collector.name)]);
    let facts = registry.iter().flat_map(|collector| shared_facts(collector, &prefix));
    let marks_alone: Vec<_> = marks().collect();
    let with_facts: Vec<_> = marks().chain(facts).collect();
    let installation = Installation::default();
    let groups = rules::groups(registry, &prefix, &installation);
    let rule = prometheus_rule(registry, &prefix, &installation);
    let dashboard = serde_json::to_string_pretty(&dashboard::dashboard()).map_err(Error::Json)? + "\n";
    Ok(vec![
        ("dashboard.json", dashboard),
        ("kube-state-metrics.yaml", generated(command, ALLOW_LIST, &allow_list(&marks_alone))?),
        ("kube-state-metrics-with-facts.yaml", generated(command, WITH_FACTS, &allow_list(&with_facts))?),
        (
            "prometheus-rule.yaml",
            generated(command, "The rules as an object of the Prometheus Operator.", &rule)?,
        ),
        ("rules.yaml", generated(command, "The rules as a file of Prometheus.", &groups)?),
    ])
}

/// The rules as an object of the Prometheus Operator.
pub(crate) fn prometheus_rule(registry: &Registry, prefix: &Prefix, installation: &Installation) -> Value {
    json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": { "name": PRODUCT, "namespace": installation.as_str() },
        "spec": rules::groups(registry, prefix, installation),
    })
}

const ALLOW_LIST: &str = "Values for the Helm chart of kube-state-metrics: the labels of Nodes that say what is done and given up.";
const WITH_FACTS: &str = "The same with the labels of facts, as `manifests --labels` sets them.";

fn allow_list(keys: &[String]) -> Value {
    json!({ "metricLabelsAllowlist": [format!("nodes=[{}]", keys.join(","))] })
}

/// The labels of the facts that groups of nodes have in common. The others are never labels.
fn shared_facts(collector: &'static Collector, prefix: &Prefix) -> impl Iterator<Item = String> {
    let shared = collector.facts.iter().filter(|fact| fact.cardinality == Cardinality::Shared);
    shared.map(|fact| prefix.label(collector.name, fact.name))
}

/// A label of a Node as kube-state-metrics calls it.
pub fn metric_label(key: &str) -> String {
    let is_kept = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("label_{}", key.chars().map(is_kept).collect::<String>())
}
