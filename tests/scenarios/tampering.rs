//! Others that change what we write: it is noticed, named and repaired.

use anyhow::Result;
use node_annotator_tests::kubelet::events::Event;
use node_annotator_tests::{Cluster, Options, wait};

use crate::support::{annotations, exit_codes, key, node_of, run, serves_mutating_policies, wait_for_label};

/// A policy that takes our label out of every change of a Node.
const STRIP_LABEL: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: strip-label}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [UPDATE], resources: [nodes]}
  matchConditions:
  - {name: labelled, expression: "has(object.metadata.labels) && 'k8s.haim.dev/kernel' in object.metadata.labels"}
  failurePolicy: Fail
  reinvocationPolicy: Never
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: >-
        [JSONPatch{op: "remove", path: "/metadata/labels/" + jsonpatch.escapeKey("k8s.haim.dev/kernel")}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: strip-label}
spec: {policyName: strip-label}
"#;

/// A pod that nobody takes away, on a node that the scheduler need not pick.
const LINGERING_POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: lingering, namespace: default}
spec:
  nodeName: n1
  containers:
  - name: node-annotator
    image: none
    args: [--collectors, kernel, --linger, --linger-limit, 1s]
    env:
    - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
";

const ALLOW: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: lingering}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:node'}
subjects: [{kind: ServiceAccount, name: default, namespace: default}]
";

#[tokio::test]
async fn a_label_that_the_server_strips_is_a_failure_that_names_it() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let node = node_of("n1", "intel-xeon");
    cluster.add_node(node.clone()).await?;
    if !serves_mutating_policies(&cluster).await {
        return Ok(());
    }
    cluster.apply_yaml(STRIP_LABEL).await?;

    // The policy is in force a moment after it was stored.
    let ended = wait::until("the policy to be in force", async || {
        let ended = run(&cluster, &node, &["--collectors", "kernel"]).await?;
        if ended.code == Some(0) {
            cluster.label_node("n1", &key("kernel"), None).await?;
            anyhow::bail!("the label was stored");
        }
        anyhow::Ok(ended)
    })
    .await?;
    assert_eq!(ended.code, Some(4), "{}", ended.log);
    let error = &ended.report["error"];
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("label `k8s.haim.dev/kernel` was not stored as sent"), "{message}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("mutating")), "{error}");
    Ok(())
}

#[tokio::test]
async fn lingering_ends_at_its_bound_and_the_next_start_repairs_the_label() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    cluster.add_node(node_of("n1", "intel-xeon")).await?;
    cluster.apply_yaml(ALLOW).await?;
    cluster.apply_yaml(LINGERING_POD).await?;

    wait_for_label(&cluster, "n1", &key("kernel")).await?;
    cluster.label_node("n1", &key("kernel"), None).await?;
    let ended = |events: &[Event]| exit_codes(events).first().copied();
    assert_eq!(cluster.events().wait_for("the lingering to end", ended).await?, 0);
    let node = wait_for_label(&cluster, "n1", &key("kernel")).await?;
    assert!(annotations(&node).contains_key(&key("kernel")));
    Ok(())
}
