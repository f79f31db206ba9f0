//! What a task cannot do: its containers have no token, and its token writes no keys of others.

use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use node_annotator_tests::{Cluster, wait};
use serde_json::{Value, json};

use super::{apply_script, cluster, run};

/// Whoever stole the token of a pod that waits in the namespace of a task.
async fn thief(cluster: &Cluster, task: &str) -> Result<Client> {
    let namespace = format!("once-{task}");
    let pod = wait::until("a pod of the task", async || {
        cluster.pods(&namespace).await?.into_iter().next().context("no pod")
    })
    .await?;
    let bound = BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(pod.name_any()),
        uid: pod.uid(),
    };
    let request = TokenRequest {
        spec: TokenRequestSpec { bound_object_ref: Some(bound), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), &namespace);
    let answer = accounts.create_token_request("node-annotator", &PostParams::default(), &request).await?;
    cluster.client_with_token(&answer.status.context("no token")?.token).await
}

/// What the API server says to a merge patch of a Node: 200, or why not.
async fn attempt(thief: &Client, node: &str, metadata: Value) -> Result<(u16, String)> {
    let nodes: Api<Node> = Api::all(thief.clone());
    let parameters = PatchParams {
        field_manager: Some("node-annotator".to_owned()),
        dry_run: true,
        ..PatchParams::default()
    };
    match nodes.patch(node, &parameters, &Patch::Merge(json!({"metadata": metadata}))).await {
        Ok(_) => Ok((200, String::new())),
        Err(kube::Error::Api(status)) => Ok((status.code, status.message)),
        Err(error) => Err(error.into()),
    }
}

#[tokio::test]
async fn a_stolen_token_of_a_task_writes_its_own_keys_on_its_own_node() -> Result<()> {
    let cluster = cluster().await?;
    cluster.add_node(node_annotator_tests::NodeSpec::new("n2")).await?;
    let selector = ["--node-selector=kubernetes.io/hostname=n1", "--fact=rack"];
    for name in ["one", "two"] {
        apply_script(&cluster, name, &selector, "sleep 1000").await?;
    }
    let one = thief(&cluster, "one").await?;
    let done = generation(&cluster, "one").await?;
    let of_two = generation(&cluster, "two").await?;
    for (node, metadata, code) in [
        ("n1", json!({"annotations": {"k8s.haim.dev/one": "a", "k8s.haim.dev/one.rack": "b"}}), 200),
        ("n1", json!({"labels": {"k8s.haim.dev/one": done}}), 200),
        ("n2", json!({"annotations": {"k8s.haim.dev/one": "a"}}), 422),
        ("n1", json!({"labels": {"k8s.haim.dev/two": of_two}}), 422),
        ("n1", json!({"annotations": {"k8s.haim.dev/two": "a"}}), 422),
        ("n1", json!({"annotations": {"k8s.haim.dev/two.error": "a"}}), 422),
        ("n1", json!({"annotations": {"k8s.haim.dev/one.other": "a"}}), 422),
        ("n1", json!({"annotations": {"k8s.haim.dev/one": "a".repeat(1025)}}), 422),
        ("n1", json!({"labels": {"k8s.haim.dev/one": "saved"}}), 422),
        ("n1", json!({"annotations": {"k8s.haim.dev/kernel": "a"}}), 422),
        ("n1", json!({"labels": {"node-role.kubernetes.io/control-plane": ""}}), 422),
    ] {
        // The policy may be a second late.
        let answer = wait::until("the policy to answer as it should", async || {
            let answer = attempt(&one, node, metadata.clone()).await?;
            anyhow::ensure!(answer.0 == code, "{node} {metadata}: {answer:?}");
            Ok(answer)
        })
        .await?;
        assert!(code == 200 || answer.1.contains("node-annotator-once-one"), "{answer:?}");
    }
    Ok(())
}

/// The value that the done label of a task is to have, by its affinity.
async fn generation(cluster: &Cluster, name: &str) -> Result<String> {
    let sets: Api<k8s_openapi::api::apps::v1::DaemonSet> =
        Api::namespaced(cluster.client(), &format!("once-{name}"));
    let set = json!(sets.get(&format!("node-annotator-{name}")).await?);
    let terms = "/spec/template/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let value = set.pointer(&format!("{terms}/0/matchExpressions/0/values/0"));
    Ok(value.and_then(Value::as_str).context("no generation")?.to_owned())
}

/// Only our container has a token, by the objects that the API server stored.
#[tokio::test]
async fn no_container_of_the_operator_gets_a_token() -> Result<()> {
    let cluster = cluster().await?;
    apply_script(&cluster, "one", &["--check", "false"], "sleep 1000").await?;
    let pod: Pod =
        wait::until("a pod", async || cluster.pods("once-one").await?.into_iter().next().context("no pod"))
            .await?;
    let spec = pod.spec.context("no spec")?;
    let all = spec.init_containers.iter().flatten().chain(&spec.containers);
    let with_token: Vec<_> = all
        .filter(|container| {
            let mut mounts = container.volume_mounts.iter().flatten();
            mounts.any(|mount| mount.mount_path.contains("serviceaccount") || mount.name.contains("token"))
        })
        .map(|container| container.name.as_str())
        .collect();
    assert_eq!(with_token, ["node-annotator"]);
    Ok(())
}

#[tokio::test]
async fn a_task_named_like_a_collector_is_refused() -> Result<()> {
    let cluster = cluster().await?;
    for name in ["kernel", "all", "opt-out"] {
        let ended = run(&cluster, &["once", name, "--image=a", "--", "true"], "").await?;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    }
    Ok(())
}
