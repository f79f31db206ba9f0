//! A node that was done before it got the taint: no run comes by itself that would take it away.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use node_annotator_deploy::Settings;
use node_annotator_tests::{Cluster, Options};
use serde_json::json;

use super::{TAINT, tainting, wait_for_taint_to_go};
use crate::fleet::run;
use crate::support::{
    COLLECTORS, install, key, node_of, serves_mutating_policies, wait_for_label, wait_until_gone,
};

#[tokio::test]
async fn status_names_it_and_rerun_frees_it() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    if !serves_mutating_policies(&cluster).await {
        return Ok(());
    }
    let settings = Settings { host_network: false, ..tainting() };
    for name in ["late", "other"] {
        cluster.add_node(node_of(name, "intel-xeon")).await?;
    }
    let sets = install(&cluster, &settings).await?;
    for (name, collector) in ["late", "other"].iter().flat_map(|name| COLLECTORS.map(|it| (name, it))) {
        wait_for_label(&cluster, name, &key(collector)).await?;
    }
    wait_until_gone(&cluster, &sets).await?;
    let fine = run(&cluster, &["status", "--exit-code"]).await?;
    ensure!(fine.code == 0 && !fine.stdout.contains("tainted"), "{fine:?}");

    let taint = json!({"spec": {"taints": [{"key": TAINT, "effect": "NoSchedule"}]}});
    let nodes = Api::<Node>::all(cluster.client());
    nodes.patch("late", &PatchParams::default(), &Patch::Merge(taint)).await?;
    let told = run(&cluster, &["status", "--exit-code"]).await?;
    let line = format!(
        "done, and still tainted with `{TAINT}`: late\nhint: node-annotator rerun --nodes late frees them\n"
    );
    ensure!(told.code == 3 && told.stdout.ends_with(&line), "{told:?}");
    let json = run(&cluster, &["status", "-o", "json"]).await?.json()?;
    ensure!(json["tainted"] == json!({"taint": TAINT, "nodes": ["late"]}), "{json}");
    let names = run(&cluster, &["status", "-o", "name"]).await?;
    ensure!(names.stdout == "node/late\n", "{names:?}");

    let again = run(&cluster, &["rerun", "--nodes", "late", "--wait"]).await?;
    ensure!(again.code == 0, "{again:?}");
    wait_for_taint_to_go(&cluster, "late").await?;
    let freed = run(&cluster, &["status", "--exit-code"]).await?;
    ensure!(freed.code == 0 && !freed.stdout.contains("tainted"), "{freed:?}");
    Ok(())
}
