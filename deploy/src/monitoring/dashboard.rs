//! The dashboard of Grafana, over the series that the rules record.

use serde_json::{Value, json};

/// As Grafana imports it: it asks for the data source.
pub(super) fn dashboard() -> Value {
    let panels = [
        stat("Nodes", "node_annotator:nodes:count", None, 0),
        stat("Not done yet (pods wanted)", "node_annotator:pods_wanted:count", Some(("blue", 1)), 6),
        stat("Pods older than 30 minutes", "node_annotator:pods_old:count", Some(("orange", 1)), 12),
        stat(
            "Given up (collectors on nodes)",
            "sum(node_annotator:nodes_given_up:count) or vector(0)",
            Some(("red", 1)),
            18,
        ),
        series("Nodes with a collector done", "node_annotator:nodes_done:count", "{{collector}}", 0, 4, 24),
        series(
            "Nodes on which a collector was given up",
            "node_annotator:nodes_given_up:count",
            "{{collector}}",
            0,
            13,
            12,
        ),
        series("Nodes and pods", "node_annotator:pods_wanted:count", "pods wanted", 12, 13, 12),
        bars(
            "Kernels (with `--labels kernel`)",
            "count by (label_k8s_haim_dev_kernel_value) (kube_node_labels{label_k8s_haim_dev_kernel_value!=\"\"})",
            22,
        ),
    ];
    let panels: Vec<_> = panels
        .into_iter()
        .zip(1..)
        .map(|(mut panel, id)| {
            panel["id"] = json!(id);
            panel
        })
        .collect();
    json!({
        "title": "node-annotator",
        "uid": "node-annotator",
        "description": "Facts of nodes: what is done, what is left, what was given up",
        "tags": ["node-annotator"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "1m",
        "time": { "from": "now-24h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" },
        ] },
        "annotations": { "list": [] },
        "panels": panels,
    })
}

fn panel(kind: &str, title: &str, expression: &str, legend: &str, place: [u32; 4]) -> Value {
    let [x, y, w, h] = place;
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    json!({
        "type": kind, "title": title, "datasource": source,
        "gridPos": { "x": x, "y": y, "w": w, "h": h },
        "targets": [{ "refId": "A", "expr": expression, "legendFormat": legend, "datasource": source }],
    })
}

/// A number, which has a colour from a threshold on.
fn stat(title: &str, expression: &str, from: Option<(&str, u32)>, x: u32) -> Value {
    let mut panel = panel("stat", title, expression, "", [x, 0, 6, 4]);
    let mut steps = vec![json!({ "color": "green", "value": null })];
    steps.extend(from.map(|(color, value)| json!({ "color": color, "value": value })));
    panel["fieldConfig"] =
        json!({ "defaults": { "thresholds": { "mode": "absolute", "steps": steps } }, "overrides": [] });
    panel["options"] = json!({
        "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
        "wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard",
        "reduceOptions": last(),
    });
    panel
}

fn series(title: &str, expression: &str, legend: &str, x: u32, y: u32, width: u32) -> Value {
    let mut panel = panel("timeseries", title, expression, legend, [x, y, width, 9]);
    panel["fieldConfig"] = json!({ "defaults": { "min": 0, "decimals": 0 }, "overrides": [] });
    panel["options"] = json!({
        "legend": {
            "displayMode": "table", "placement": "right", "showLegend": true, "calcs": ["lastNotNull"],
        },
        "tooltip": { "mode": "multi", "sort": "desc" },
    });
    panel
}

fn bars(title: &str, expression: &str, y: u32) -> Value {
    let mut panel =
        panel("bargauge", title, expression, "{{label_k8s_haim_dev_kernel_value}}", [0, y, 24, 8]);
    panel["targets"][0]["instant"] = json!(true);
    panel["options"] = json!({
        "orientation": "horizontal", "displayMode": "basic", "valueMode": "text", "namePlacement": "auto",
        "showUnfilled": true, "sizing": "auto", "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300,
        "legend": { "displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": [] },
        "reduceOptions": last(),
    });
    panel
}

/// Of each series its last value.
fn last() -> Value {
    json!({ "calcs": ["lastNotNull"], "fields": "", "values": false })
}
