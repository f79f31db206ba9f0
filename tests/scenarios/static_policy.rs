//! The policy as a file of the API server, out of the API's reach.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use node_annotator_deploy::{Layout, Manifests, PolicyMode, Settings};
use node_annotator_tests::control_plane::ControlPlaneOptions;
use node_annotator_tests::guardian::Guardian;
use node_annotator_tests::{Cluster, Options, annotator_binary};
use serde_json::json;
use tokio::process::Command;

use crate::support::{
    NAMESPACE, doctor_passes, install, key, node_of, settings, wait_for_label, wait_until_gone,
};

const NAME: &str = "node-annotator.static.k8s.io";

#[tokio::test]
async fn a_policy_in_a_file_denies_and_cannot_be_taken_away_through_the_api() -> Result<()> {
    let guardian = Guardian::start()?;
    let arguments = configuration(guardian.folder()).await?;
    let control_plane = ControlPlaneOptions {
        kubernetes: Some("1.37".to_owned()),
        api_server_args: arguments,
        ..ControlPlaneOptions::default()
    };
    let cluster = Cluster::start_in(guardian, Options { control_plane, ..Options::default() }).await?;
    cluster.add_node(node_of("n1", "intel-xeon")).await?;

    // No policy in the API: what denies is the file, and it lets a run through.
    let combined = Settings { layout: Layout::Combined, ..settings("kernel") };
    install(&cluster, &Settings { policy: PolicyMode::Omitted, ..combined.clone() }).await?;
    wait_for_label(&cluster, "n1", &key("kernel")).await?;
    wait_until_gone(&cluster, &["node-annotator".to_owned()]).await?;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(cluster.client());
    ensure!(policies.list(&ListParams::default()).await?.items.is_empty(), "there is a policy in the API");
    ensure_denied(&cluster).await?;

    let deleted = policies.delete(NAME, &DeleteParams::default()).await.err().context("it was deleted")?;
    ensure!(matches!(&deleted, kube::Error::Api(status) if status.code == 404), "{deleted:?}");
    let file = Manifests::static_policies(&combined)?;
    let policy = serde_json::to_value(file.objects().next().context("no policy")?)?;
    let mut policy: ValidatingAdmissionPolicy = serde_json::from_value(policy)?;
    policy.spec.as_mut().context("no spec")?.validations = Some(Vec::new());
    let made = policies.create(&PostParams::default(), &policy).await.err().context("it was made")?;
    ensure!(made.to_string().contains("static.k8s.io"), "{made}");
    ensure_denied(&cluster).await?;

    // With the one in the API beside it everything is as it should be.
    install(&cluster, &combined).await?;
    doctor_passes(&cluster).await
}

/// The arguments by which an API server reads the policy that the command line prints.
async fn configuration(folder: &Path) -> Result<Vec<String>> {
    let manifests = folder.join("static-policies");
    std::fs::create_dir(&manifests)?;
    let printed = Command::new(annotator_binary()?)
        .args(["manifests", "--collectors", "kernel", "--static-policy"])
        .env_clear()
        .output()
        .await?;
    ensure!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    std::fs::write(manifests.join("node-annotator.yaml"), printed.stdout)?;
    let file = folder.join("admission.yaml");
    let api_version = "apiserver.config.k8s.io/v1";
    let configuration = json!({
        "apiVersion": api_version,
        "kind": "AdmissionConfiguration",
        "plugins": [{
            "name": "ValidatingAdmissionPolicy",
            "configuration": {
                "apiVersion": api_version,
                "kind": "ValidatingAdmissionPolicyConfiguration",
                "staticManifestsDir": manifests,
            },
        }],
    });
    std::fs::write(&file, configuration.to_string())?;
    Ok(vec![format!("--admission-control-config-file={}", file.display())])
}

/// A token that is bound to no pod changes nothing, and the answer names the policy of the file.
async fn ensure_denied(cluster: &Cluster) -> Result<()> {
    let user = format!("system:serviceaccount:{NAMESPACE}:node-annotator");
    let groups =
        ["system:authenticated", "system:serviceaccounts", &format!("system:serviceaccounts:{NAMESPACE}")];
    let nodes: Api<Node> = Api::all(cluster.control_plane().client_as(&user, &groups).await?);
    let taken = Patch::Merge(json!({ "metadata": { "labels": { "example.com/taken": "over" } } }));
    let answer =
        nodes.patch("n1", &PatchParams::default(), &taken).await.err().context("it was let through")?;
    ensure!(answer.to_string().contains(&format!("ValidatingAdmissionPolicy '{NAME}'")), "{answer}");
    Ok(())
}
