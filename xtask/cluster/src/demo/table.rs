//! The facts of all nodes as a table.

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use node_annotator_core::{Prefix, Selection};
use node_annotator_tests::Cluster;

/// A row for each node, a column for each primary fact.
pub(super) async fn of_nodes(cluster: &Cluster, selection: &Selection, prefix: &Prefix) -> Result<Table> {
    let collectors: Vec<_> = selection.iter().collect();
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(std::iter::once("node").chain(collectors.iter().map(|collector| collector.name)));
    for node in Api::<Node>::all(cluster.client()).list(&ListParams::default()).await? {
        let cell = |name: &str| {
            let done = node.labels().contains_key(&prefix.done(name));
            let fact = node.annotations().get(&prefix.fact(name, None)).map(String::as_str);
            fact.unwrap_or(if done { "not applicable" } else { "" }).to_owned()
        };
        table.add_row(
            std::iter::once(node.name_any()).chain(collectors.iter().map(|collector| cell(collector.name))),
        );
    }
    Ok(table)
}
