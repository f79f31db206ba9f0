//! The components of `deploy/kustomize`, on clusters that want them.

use anyhow::{Context, Result, anyhow, ensure};
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;
use node_annotator_tests::kubelet::runtime::ContainerSpec;
use node_annotator_tests::{Cluster, Options, wait};
use serde_json::Value;
use std::sync::mpsc;

use super::combined;
use super::kubectl::Kubectl;
use super::other_policies::PROBES;
use super::overlay::Overlay;
use crate::support::{NAMESPACE, doctor_passes, key, node_of, wait_for_label, wait_until_gone};

/// Wants each resource named but the limit of CPU.
const QUOTA: &str = r#"
apiVersion: v1
kind: ResourceQuota
metadata: {name: most, namespace: node-annotator}
spec:
  hard:
    pods: "10"
    requests.cpu: "1"
    requests.memory: 1Gi
    requests.ephemeral-storage: 1Gi
    limits.memory: 1Gi
    limits.ephemeral-storage: 1Gi
"#;

/// Wants the rest too, and more than next to nothing of it.
const STRICTER: &str = r#"
apiVersion: v1
kind: ResourceQuota
metadata: {name: rest, namespace: node-annotator}
spec: {hard: {limits.cpu: "4"}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: least, namespace: node-annotator}
spec:
  limits:
  - type: Container
    min: {cpu: 10m, memory: 32Mi, ephemeral-storage: 1Mi}
    max: {cpu: "1", memory: 1Gi, ephemeral-storage: 1Gi}
"#;

/// Stand in for rules that want a label on pods and a user that is not root.
const LABELS_AND_USERS: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: like-require-labels-and-users}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [daemonsets]}]}
  validations:
  - expression: "has(object.spec.template.metadata.labels) && 'example.com/team' in object.spec.template.metadata.labels"
    message: "The label example.com/team is required."
  - expression: "has(object.spec.template.spec.securityContext) && has(object.spec.template.spec.securityContext.runAsUser) && object.spec.template.spec.securityContext.runAsUser > 0"
    message: "Running as root is not allowed: runAsUser must be set."
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: like-require-labels-and-users}
spec: {policyName: like-require-labels-and-users, validationActions: [Deny]}
"#;

const SET: [&str; 1] = ["node-annotator"];

fn set() -> [String; 1] {
    SET.map(str::to_owned)
}

#[tokio::test]
async fn quotas_are_met_by_default_and_all_of_them_by_a_component() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let kubectl = Kubectl::of(&cluster).await?;
    cluster.add_node(node_of("n1", "intel-xeon")).await?;
    let overlay = Overlay::write(&cluster, "quotas", &combined("kernel"))?;
    kubectl.run(&format!("kubectl apply -f {}/01-namespaces.yaml", overlay.manifests())).await?;
    cluster.apply_yaml(QUOTA).await?;
    kubectl.run(&format!("kubectl apply -f {}", overlay.manifests())).await?;
    wait_for_label(&cluster, "n1", &key("kernel")).await?;
    wait_until_gone(&cluster, &set()).await?;

    cluster.apply_yaml(STRICTER).await?;
    cluster.label_node("n1", &key("kernel"), None).await?;
    // Which of them says so first is the server's choice.
    wait_for_refusal(&cluster, &["must specify limits.cpu", "minimum cpu usage per Container is 10m"])
        .await?;
    kubectl.run(&format!("kubectl apply -k {}", overlay.with(&["resources"])?)).await?;
    wait_for_label(&cluster, "n1", &key("kernel")).await?;
    wait_until_gone(&cluster, &set()).await
}

#[tokio::test]
async fn a_cluster_that_wants_probes_labels_and_a_user_runs_it_with_all_components() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let kubectl = Kubectl::of(&cluster).await?;
    let overlay = Overlay::write(&cluster, "components", &combined("kernel"))?;
    cluster.apply_yaml(PROBES).await?;
    cluster.apply_yaml(LABELS_AND_USERS).await?;
    // Everything but what makes a pod admitted: one component at a time is not enough.
    for (components, said) in [
        (&["labels", "user"][..], "probes are required"),
        (&["probes", "user"], "example.com/team is required"),
        (&["probes", "labels"], "runAsUser must be set"),
    ] {
        let command = format!("kubectl apply -k {}", overlay.with(components)?);
        wait::until(&format!("a refusal: {said}"), async || match kubectl.run(&command).await {
            Err(error) if format!("{error:#}").contains(said) => Ok(()),
            other => {
                // A policy that is not in force yet lets it in, and what has not changed is not sent again.
                kubectl.run("kubectl delete daemonsets --all --namespace node-annotator").await?;
                Err(anyhow!("{other:?}"))
            }
        })
        .await?;
    }

    let (sender, started) = mpsc::channel();
    let node = node_of("n1", "intel-xeon").before_start(move |container: &mut ContainerSpec| {
        sender.send(container.env.clone()).expect("the test listens");
    });
    cluster.add_node(node).await?;
    let all = overlay.with_all();
    let rendered = kubectl.run(&format!("kubectl kustomize {all}")).await?.stdout;
    ensure_in_order(&rendered)?;
    kubectl.run(&format!("kubectl apply -k {all}")).await?;
    wait_for_label(&cluster, "n1", &key("kernel")).await?;
    wait_until_gone(&cluster, &set()).await?;
    let environment = started.recv()?;
    ensure!(environment.iter().any(|(name, _)| name == "NODE_ANNOTATOR_LOG_FORMAT"), "{environment:?}");
    ensure!(kubectl.run(&format!("kubectl diff -k {all}")).await?.stdout.is_empty());
    let labelled = "kubectl get daemonsets,networkpolicies,serviceaccounts,clusterroles,validatingadmissionpolicies \
                    --all-namespaces --selector example.com/team=platform --output name";
    ensure!(kubectl.run(labelled).await?.stdout.lines().count() == 5);
    doctor_passes(&cluster).await
}

/// What a policy limits comes after it, and no selector has more than it had.
fn ensure_in_order(rendered: &str) -> Result<()> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(rendered).map_err(|error| anyhow!("{error}"))?;
    let position = |kind: &str| {
        let found = documents.iter().rposition(|document| document["kind"] == kind);
        found.with_context(|| format!("no {kind}"))
    };
    ensure!(position("ValidatingAdmissionPolicyBinding")? < position("ClusterRoleBinding")?, "{rendered}");
    ensure!(position("ClusterRoleBinding")? < position("DaemonSet")?, "{rendered}");
    let set = &documents[position("DaemonSet")?];
    let selector = set["spec"]["selector"]["matchLabels"].as_object().context("no selector")?;
    ensure!(selector.keys().all(|key| key.starts_with("app.kubernetes.io/")), "{selector:?}");
    Ok(())
}

/// Waits for an event of the `DaemonSet` controller that says why there is no pod.
async fn wait_for_refusal(cluster: &Cluster, reasons: &[&str]) -> Result<()> {
    let events: Api<Event> = Api::namespaced(cluster.client(), NAMESPACE);
    wait::until("the controller to say why there is no pod", async || {
        let failed = ListParams::default().fields("reason=FailedCreate");
        let messages: Vec<_> =
            events.list(&failed).await?.items.into_iter().filter_map(|event| event.message).collect();
        let told = messages.iter().any(|message| reasons.iter().any(|reason| message.contains(reason)));
        if told { Ok(()) } else { Err(anyhow!("{messages:?}")) }
    })
    .await
}
