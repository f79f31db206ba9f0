//! The startup taint: what takes it away is missing, is left over, or has nothing to do any more.

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use node_annotator_deploy::mutating_policy::{MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding};
use node_annotator_deploy::{Manifests, Object, Settings};
use node_annotator_tests::{Cluster, Options};
use serde_json::json;

use super::{restore, wait_for, wait_for_finding};
use crate::startup_taint::{TAINT, tainting, wait_for_taint_to_go};
use crate::support::{
    NAMESPACE, install, key, node_of, serves_mutating_policies, settings, wait_for_label, wait_until_gone,
};

#[tokio::test]
async fn what_keeps_the_startup_taint_on_a_node_is_told_with_the_way_out() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let settings = Settings { startup_taint: tainting().startup_taint, ..settings("cpu-model,kernel") };
    cluster.add_node(node_of("n1", "intel-xeon").taint(TAINT, "NoSchedule")).await?;
    if !serves_mutating_policies(&cluster).await {
        for object in Manifests::new(&settings)?.objects() {
            if !Object::kind(object).starts_with("Mutating") {
                cluster.apply(object).await?;
            }
        }
        // Its runs are refused, and no more than that is wrong.
        let seen = super::doctor_as(&cluster, &cluster.kubeconfig()).await?;
        assert!(
            seen.check("startup-taint").finding.contains("before 1.36 nothing takes the taint"),
            "{seen}"
        );
        return Ok(());
    }
    let sets = install(&cluster, &settings).await?;
    wait_for_taint_to_go(&cluster, "n1").await?;
    wait_until_gone(&cluster, &sets).await?;
    let seen = wait_for(&cluster, &[]).await?;
    let finding = format!("`{TAINT}` goes with the last done label of a node");
    assert_eq!(seen.check("startup-taint").finding, finding);

    let deleted = DeleteParams::default();
    let bindings: Api<MutatingAdmissionPolicyBinding> = Api::all(cluster.client());
    bindings.delete(NAMESPACE, &deleted).await?;
    let seen = wait_for(&cluster, &[("startup-taint", "FAIL")]).await?;
    let finding = &seen.check("startup-taint").finding;
    assert!(finding.starts_with("there is no MutatingAdmissionPolicyBinding"), "{finding}");
    restore(&cluster, &settings, "MutatingAdmissionPolicyBinding").await?;
    let policies: Api<MutatingAdmissionPolicy> = Api::all(cluster.client());
    let change = json!({"spec": {"failurePolicy": "Ignore"}});
    policies.patch(NAMESPACE, &PatchParams::default(), &Patch::Merge(change)).await?;
    wait_for(&cluster, &[("startup-taint", "FAIL")]).await?;
    restore(&cluster, &settings, "MutatingAdmissionPolicy").await?;
    wait_for(&cluster, &[]).await?;

    // As a cloud does that changes the taints of a pool in place.
    let nodes: Api<Node> = Api::all(cluster.client());
    let taint = json!({"spec": {"taints": [{"key": TAINT, "effect": "NoSchedule"}]}});
    nodes.patch("n1", &PatchParams::default(), &Patch::Merge(taint)).await?;
    let end = "tainted after they were done: 1, such as `n1`";
    let seen = wait_for_finding(&cluster, &[("tainted-nodes", "WARN")], end).await?;
    assert!(seen.hint("tainted-nodes").contains(&format!("kubectl taint nodes n1 {TAINT}-")), "{seen}");
    // Whoever runs a collector again frees it too.
    cluster.label_node("n1", &key("kernel"), None).await?;
    wait_for_taint_to_go(&cluster, "n1").await?;
    wait_until_gone(&cluster, &sets).await?;
    wait_for(&cluster, &[]).await?;

    // Without the taint in the manifests, what takes it away is left over.
    install(&cluster, &Settings { startup_taint: None, ..settings }).await?;
    let seen = wait_for(&cluster, &[("startup-taint", "FAIL")]).await?;
    assert!(seen.check("startup-taint").finding.contains("is left over"), "{seen}");
    bindings.delete(NAMESPACE, &deleted).await?;
    policies.delete(NAMESPACE, &deleted).await?;
    wait_for(&cluster, &[]).await?;
    cluster.label_node("n1", &key("kernel"), None).await?;
    wait_for_label(&cluster, "n1", &key("kernel")).await?;
    Ok(())
}
