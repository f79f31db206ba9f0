//! Rights of our accounts that are too wide or too narrow, and rights that an administrator lacks.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use node_annotator_tests::{Cluster, wait};
use serde_json::{Value, json};

use super::{all_denials, developers_are_named, doctor_as, restore, start, wait_for, wait_for_finding};
use crate::support::NAMESPACE;

/// Grants rules to a service account, in the whole cluster.
async fn grant(cluster: &Cluster, name: &str, rules: &Value, account: &str, namespace: &str) -> Result<()> {
    let (api_version, metadata) = ("rbac.authorization.k8s.io/v1", json!({"name": name}));
    let role =
        json!({"apiVersion": api_version, "kind": "ClusterRole", "metadata": metadata, "rules": rules});
    cluster.apply(&role).await?;
    let binding = json!({
        "apiVersion": api_version,
        "kind": "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    });
    cluster.apply(&binding).await?;
    Ok(())
}

#[tokio::test]
async fn rights_that_are_too_wide_or_missing_are_seen() -> Result<()> {
    let (cluster, settings) = start().await?;
    // What the seed of this project asks for.
    let verbs = ["get", "list", "watch", "patch", "update"];
    let rules = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": verbs}]);
    grant(&cluster, "do-floating-ip", &rules, NAMESPACE, NAMESPACE).await?;
    let seen = wait_for(&cluster, &[("rights-narrow", "FAIL")]).await?;
    let finding = &seen.check("rights-narrow").finding;
    assert!(finding.ends_with("may also get, list, watch, update nodes"), "{finding}");

    for (resource, verb) in
        [("nodes/status", "patch"), ("secrets", "list"), ("pods", "create"), ("nodes/proxy", "get")]
    {
        let rules = json!([{"apiGroups": [""], "resources": [resource], "verbs": [verb]}]);
        grant(&cluster, "do-floating-ip", &rules, NAMESPACE, NAMESPACE).await?;
        wait_for_finding(&cluster, &[("rights-narrow", "FAIL")], &format!("may also {verb} {resource}"))
            .await?;
    }
    let cluster_roles: Api<ClusterRole> = Api::all(cluster.client());
    let bindings: Api<ClusterRoleBinding> = Api::all(cluster.client());
    bindings.delete("do-floating-ip", &DeleteParams::default()).await?;
    cluster_roles.delete("do-floating-ip", &DeleteParams::default()).await?;
    wait_for(&cluster, &[]).await?;

    bindings.delete(NAMESPACE, &DeleteParams::default()).await?;
    let expected =
        [vec![("rights-suffice", "FAIL"), ("allows-own-keys", "FAIL")], all_denials("SKIP")].concat();
    let seen = wait_for(&cluster, &expected).await?;
    assert_eq!(seen.check("denies-spec").finding, "RBAC refuses it before the policy is asked");
    restore(&cluster, &settings, "ClusterRoleBinding").await?;
    wait_for(&cluster, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn whoever_may_use_the_accounts_is_named() -> Result<()> {
    let (cluster, _) = start().await?;
    developers_are_named(&cluster, NAMESPACE, "account-users").await?;
    wait_for(&cluster, &[]).await?;

    let rules = json!([{"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}]);
    grant(&cluster, "tokens", &rules, "issuer", "default").await?;
    let end = "ServiceAccount `default/issuer` (ClusterRoleBinding `tokens`): make tokens for it";
    wait_for_finding(&cluster, &[("account-users", "WARN")], end).await?;
    Ok(())
}

#[tokio::test]
async fn what_an_administrator_may_not_look_at_is_skipped() -> Result<()> {
    let (cluster, _) = start().await?;
    // An administrator who acts as one: the accounts are impersonated all the same.
    let mut acting = read(&cluster)?;
    acting["users"][0]["user"]["as"] = json!("root");
    acting["users"][0]["user"]["as-groups"] = json!(["system:masters"]);
    let seen = doctor_as(&cluster, &write(&cluster, "acting", &acting)?).await?;
    assert_eq!(seen.code, 0, "{seen}");

    let kubeconfig = account(&cluster, "auditor").await?;
    let seen = doctor_as(&cluster, &kubeconfig).await?;
    assert_eq!(seen.code, 4, "{seen}");
    assert_eq!(seen.check("server-version").verdict, "PASS");
    assert!(
        seen.checks.iter().all(|check| check.verdict == "SKIP" || check.name == "server-version"),
        "{seen}"
    );
    assert!(seen.check("policy").finding.starts_with("not allowed: "), "{seen}");

    let rules = json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]);
    grant(&cluster, "auditor", &rules, "auditor", "default").await?;
    let expected = [all_denials("SKIP"), vec![("allows-own-keys", "SKIP")]].concat().into_iter().collect();
    let seen = wait::until("the auditor's rights", async || {
        let seen = doctor_as(&cluster, &kubeconfig).await?;
        if seen.verdicts() == expected { Ok(seen) } else { Err(anyhow::anyhow!("{seen}")) }
    });
    let seen = seen.await?;
    assert_eq!(seen.code, 4);
    let finding = &seen.check("denies-spec").finding;
    assert!(finding.starts_with("not allowed to impersonate: "), "{finding}");
    Ok(())
}

/// A service account without rights, and the kubeconfig of whoever has its token.
async fn account(cluster: &Cluster, name: &str) -> Result<PathBuf> {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), "default");
    let mut account = ServiceAccount::default();
    account.metadata.name = Some(name.to_owned());
    accounts.create(&PostParams::default(), &account).await?;
    let answer: TokenRequest =
        accounts.create_subresource("token", name, &PostParams::default(), &TokenRequest::default()).await?;
    let token = answer.status.context("no token")?.token;
    let mut kubeconfig = read(cluster)?;
    kubeconfig["users"][0]["user"] = json!({"token": token});
    write(cluster, name, &kubeconfig)
}

/// The administrator's kubeconfig, which is written as JSON.
fn read(cluster: &Cluster) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(cluster.kubeconfig())?)?)
}

fn write(cluster: &Cluster, name: &str, kubeconfig: &Value) -> Result<PathBuf> {
    let path = cluster.folder().join(format!("{name}.kubeconfig"));
    fs::write(&path, kubeconfig.to_string())?;
    Ok(path)
}
