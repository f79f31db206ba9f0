//! Clusters with admission policies of their own.

use std::fs;

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use node_annotator_tests::guardian::Guardian;
use node_annotator_tests::{Cluster, Options, wait};
use serde_json::json;

use super::combined;
use super::kubectl::Kubectl;
use super::overlay::Overlay;
use crate::support::{COLLECTORS, NAMESPACE, install, key, node_of, wait_for_label, wait_until_gone};

/// Stands in for `restricted-v2` of `OpenShift`: a pod may not name a user outside of its namespace's range.
const USERS_IN_RANGE: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: like-restricted-v2}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}
  validations:
  - expression: "!has(object.spec.securityContext.runAsUser) || (object.spec.securityContext.runAsUser >= 1000680000 && object.spec.securityContext.runAsUser <= 1000689999)"
    message: "provider restricted-v2: .spec.securityContext.runAsUser: Invalid value: must be in the ranges: [1000680000, 1000689999]"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: like-restricted-v2}
spec: {policyName: like-restricted-v2, validationActions: [Deny]}
"#;

/// Stands in for a rule that wants a probe on every container of a DaemonSet.
pub(super) const PROBES: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: like-require-probes}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [daemonsets]}]}
  validations:
  - expression: "object.spec.template.spec.containers.all(c, has(c.livenessProbe) || has(c.readinessProbe) || has(c.startupProbe))"
    message: "Liveness, readiness, or startup probes are required for all containers."
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: like-require-probes}
spec: {policyName: like-require-probes, validationActions: [Deny]}
"#;

#[tokio::test]
async fn a_cluster_that_hands_out_users_and_one_that_wants_probes_run_it() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    cluster.apply_yaml(USERS_IN_RANGE).await?;
    cluster.apply_yaml(PROBES).await?;
    cluster.add_node(node_of("n1", "intel-xeon")).await?;
    wait_until_in_force(&cluster).await?;
    let settings = combined(&COLLECTORS.join(","));
    let refused = install(&cluster, &settings).await.expect_err("without probes it is refused");
    assert!(format!("{refused:#}").contains("probes are required"), "{refused:#}");

    let with_probes = Overlay::write(&cluster, "probes", &settings)?.with(&["probes"])?;
    Kubectl::of(&cluster).await?.run(&format!("kubectl apply -k {with_probes}")).await?;
    for collector in COLLECTORS {
        wait_for_label(&cluster, "n1", &key(collector)).await?;
    }
    wait_until_gone(&cluster, &["node-annotator".to_owned()]).await
}

/// What the plugin `PodNodeSelector` gives every pod of a namespace that does not say otherwise.
const DEFAULT_NODE_SELECTOR: &str = "podNodeSelectorPluginConfig: {clusterDefaultNodeSelector: pool=general}";

#[tokio::test]
async fn a_default_node_selector_of_the_cluster_keeps_no_node_out() -> Result<()> {
    let guardian = Guardian::start()?;
    let configuration = guardian.folder().join("admission.json");
    fs::write(guardian.folder().join("selector.yaml"), DEFAULT_NODE_SELECTOR)?;
    let plugins = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": "PodNodeSelector", "path": "selector.yaml"}],
    });
    fs::write(&configuration, plugins.to_string())?;
    let mut options = Options::default();
    options.control_plane.api_server_args = vec![
        "--enable-admission-plugins=PodNodeSelector".to_owned(),
        format!("--admission-control-config-file={}", configuration.display()),
    ];
    let cluster = Cluster::start_in(guardian, options).await?;
    for (name, pool) in [("n1", "general"), ("n2", "other")] {
        cluster.add_node(node_of(name, "intel-xeon").label("pool", pool)).await?;
    }
    let elsewhere: Pod = serde_json::from_value(json!({
        "metadata": {"name": "elsewhere"},
        "spec": {"containers": [{"name": "any", "image": "none"}]},
    }))?;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let pods: Api<Pod> = Api::namespaced(cluster.client(), "default");
    let selector = pods.create(&dry_run, &elsewhere).await?.spec.and_then(|spec| spec.node_selector);
    assert_eq!(selector.unwrap_or_default().get("pool").map(String::as_str), Some("general"));

    let sets = install(&cluster, &combined("kernel")).await?;
    for node in ["n1", "n2"] {
        wait_for_label(&cluster, node, &key("kernel")).await?;
    }
    wait_until_gone(&cluster, &sets).await
}

/// Until then everything is admitted, and nothing is shown.
async fn wait_until_in_force(cluster: &Cluster) -> Result<()> {
    let pod = json!({
        "metadata": {"name": "probe"},
        "spec": {
            "securityContext": {"runAsUser": 65532},
            "containers": [{"name": "probe", "image": "none"}],
        },
    });
    let pods: Api<Pod> = Api::namespaced(cluster.client(), "default");
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let set = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "probe", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"nodeSelector": {"no": "node"}, "containers": [{"name": "probe", "image": "none"}]},
            },
        },
    });
    wait::until("both policies to be in force", async || {
        let refused = |said: String, words| {
            if said.contains(words) { Ok(()) } else { Err(anyhow::anyhow!("{said}")) }
        };
        let created = pods.create(&dry_run, &serde_json::from_value(pod.clone())?).await;
        refused(format!("{:?}", created.err()), "restricted-v2")?;
        refused(format!("{:?}", cluster.apply(&set).await.err()), "probes are required")
    })
    .await?;
    assert_eq!(cluster.pods(NAMESPACE).await?.len(), 0);
    Ok(())
}
