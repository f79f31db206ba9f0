//! Recording and alert rules. They count, and never name a node.

use node_annotator_core::{Prefix, PrivilegeClass, Registry};
use serde_json::{Value, json};

use super::metric_label;
use crate::Installation;

/// The pods of a run end within minutes, or are tried again for an hour.
const OLD_POD_SECONDS: u32 = 1800;

/// The groups of rules, as a file of Prometheus has them.
pub(super) fn groups(registry: &Registry, prefix: &Prefix, installation: &Installation) -> Value {
    json!({ "groups": [
        { "name": "node-annotator-collectors", "rules": of_collectors(registry, prefix) },
        { "name": "node-annotator-fleet", "rules": of_fleet(installation) },
        { "name": "node-annotator-alerts", "rules": alerts() },
    ] })
}

/// How many nodes have a collector done, and on how many it was given up. A collector that is on none has no
/// series.
fn of_collectors(registry: &Registry, prefix: &Prefix) -> Vec<Value> {
    let count = |record: &str, expr: String, collector: &str| json!({ "record": record, "expr": expr, "labels": { "collector": collector } });
    registry
        .iter()
        .flat_map(|collector| {
            let done = metric_label(&prefix.done(collector.name));
            let failed = metric_label(&prefix.failed(collector.name));
            [
                count(
                    "node_annotator:nodes_done:count",
                    format!("count(kube_node_labels{{{done}!=\"\"}})"),
                    collector.name,
                ),
                count(
                    "node_annotator:nodes_given_up:count",
                    format!("count(kube_node_labels{{{failed}!=\"\", {done}=\"\"}})"),
                    collector.name,
                ),
            ]
        })
        .collect()
}

/// The namespaces of the pods, as a matcher.
fn namespaces(installation: &Installation) -> String {
    let classes = [PrivilegeClass::Restricted, PrivilegeClass::Privileged];
    let names = classes.map(|class| installation.namespace(class));
    format!("namespace=~\"{}\"", names.join("|"))
}

fn of_fleet(installation: &Installation) -> Vec<Value> {
    let ours = namespaces(installation);
    vec![
        json!({ "record": "node_annotator:nodes:count", "expr": "count(kube_node_info)" }),
        // A DaemonSet wants a pod on each node where something is left to do.
        json!({
            "record": "node_annotator:pods_wanted:count",
            "expr": format!("sum(kube_daemonset_status_desired_number_scheduled{{{ours}}})"),
        }),
        json!({
            "record": "node_annotator:pods_old:count",
            "expr": format!(
                "count((time() - kube_pod_created{{{ours}}} > {OLD_POD_SECONDS}) \
                 unless on (namespace, pod) kube_pod_deletion_timestamp{{{ours}}}) or vector(0)"
            ),
        }),
        json!({ "record": "node_annotator:marks:sum", "expr": "sum(node_annotator:nodes_done:count)" }),
    ]
}

fn alerts() -> Vec<Value> {
    let alert = |name: &str, expr: &str, time: &str, severity: &str, summary: &str, description: &str| {
        json!({
            "alert": name, "expr": expr, "for": time, "labels": { "severity": severity },
            "annotations": { "summary": summary, "description": description },
        })
    };
    vec![
        alert(
            "NodeAnnotatorGivenUp",
            "node_annotator:nodes_given_up:count > 0",
            "5m",
            "warning",
            "{{ $labels.collector }} was given up on {{ $value }} nodes",
            "Nothing tries it again. `node-annotator status` names the nodes with the reasons; mend it, then `node-annotator rerun --failed`.",
        ),
        alert(
            "NodeAnnotatorFailing",
            "node_annotator:pods_old:count > 0",
            "5m",
            "warning",
            "{{ $value }} pods of node-annotator do not get done",
            "Their collectors fail and are tried again, or the pods find no room, no image or no start. `node-annotator status` says why.",
        ),
        // Where nodes come and go and get done, the sum of marks changes.
        alert(
            "NodeAnnotatorStuck",
            "min_over_time(node_annotator:pods_wanted:count[1h]) > 0 and node_annotator:pods_wanted:count offset 1h > 0 \
             and (changes(node_annotator:marks:sum[1h]) == 0 or absent(node_annotator:marks:sum))",
            "5m",
            "warning",
            "{{ $value }} nodes are not done, and none has got done for an hour",
            "Taints, quotas, admission or the scheduler may be in the way. `node-annotator status` says why.",
        ),
    ]
}
