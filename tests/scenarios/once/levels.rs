//! The Pod Security level that is computed, beside what the API server admits.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::{cluster, printed};

const LEVELS: [&str; 3] = ["restricted", "baseline", "privileged"];

/// The pods that the unit test of the levels has.
const TABLE: &str = include_str!("../../../deploy/tests/deploy/once/levels.json");

#[tokio::test]
async fn the_api_server_admits_each_pod_under_its_level_and_none_below() -> Result<()> {
    let cluster = cluster().await?;
    let namespaces = Api::<Namespace>::all(cluster.client());
    for level in LEVELS {
        let labels = json!({"pod-security.kubernetes.io/enforce": level, "pod-security.kubernetes.io/enforce-version": "v1.35"});
        let namespace = json!({"metadata": {"name": format!("at-{level}"), "labels": labels}});
        namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
    }
    let table: Vec<(Value, String)> = serde_json::from_str(TABLE)?;
    for (change, level) in table {
        let mut spec = json!({"containers": [{"name": "main", "image": "busybox", "command": ["true"], "securityContext": {
            "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 1000,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        }}]});
        merge(&mut spec, &change["pod"]);
        merge(&mut spec["containers"][0], &change["container"]);
        let input = json!({"kind": "Pod", "metadata": {"name": "x"}, "spec": spec}).to_string();
        let text = printed(&cluster, &["level", "-o", "json", "-f", "-"], &input).await?;
        let list: Value = serde_json::from_str(&text)?;
        let items = list["items"].as_array().context("no items")?;
        let of_kind = |kind: &str| items.iter().find(|it| it["kind"] == kind).context("it is missing");
        let found = &of_kind("Namespace")?["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
        assert_eq!(found, level.as_str(), "{change}");
        // The whole pod, ours beside theirs, for the account that every namespace has.
        let mut made = of_kind("DaemonSet")?["spec"]["template"]["spec"].clone();
        for field in ["serviceAccountName", "priorityClassName"] {
            made.as_object_mut().context("no pod")?.remove(field);
        }
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": made}))?;
        let narrowest = narrowest(&cluster, &pod).await?;
        assert_eq!(narrowest, Some(level.as_str()), "{change}");
    }
    Ok(())
}

/// The first of the levels under which a pod is admitted.
async fn narrowest(cluster: &node_annotator_tests::Cluster, pod: &Pod) -> Result<Option<&'static str>> {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    for level in LEVELS {
        let pods: Api<Pod> = Api::namespaced(cluster.client(), &format!("at-{level}"));
        match pods.create(&dry_run, pod).await {
            Ok(_) => return Ok(Some(level)),
            Err(kube::Error::Api(status)) if status.message.contains("violates PodSecurity") => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (into, from) => *into = from.clone(),
    }
}
