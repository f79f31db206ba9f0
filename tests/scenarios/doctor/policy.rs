//! Namespaces, policy and binding, broken one after the other.

use anyhow::Result;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicySpec,
};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use node_annotator_deploy::Settings;
use node_annotator_deploy::policy::{self, Scope};
use node_annotator_tests::Cluster;
use serde_json::json;

use super::{all_denials, restore, start, wait_for};
use crate::support::NAMESPACE;

const POLICY: &str = "ValidatingAdmissionPolicy";
const BINDING: &str = "ValidatingAdmissionPolicyBinding";

/// Changes the policy, and waits for exactly these verdicts.
async fn with_policy(
    cluster: &Cluster,
    settings: &Settings,
    expected: &[(&str, &str)],
    change: impl FnOnce(&mut ValidatingAdmissionPolicySpec),
) -> Result<String> {
    let scope = Scope::new(settings);
    let mut changed = policy::policy(&scope, policy::rules(&scope));
    change(changed.spec.get_or_insert_default());
    cluster.apply(&changed).await?;
    let seen = wait_for(cluster, expected).await?;
    Ok(seen.check("policy").finding.clone())
}

#[tokio::test]
async fn a_policy_that_is_missing_or_not_in_force_is_seen() -> Result<()> {
    let (cluster, settings) = start().await?;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(cluster.client());
    policies.delete(NAMESPACE, &DeleteParams::default()).await?;
    let open = |what| [vec![(what, "FAIL")], all_denials("FAIL")].concat();
    let seen = wait_for(&cluster, &[open("policy"), vec![("policy-covers", "SKIP")]].concat()).await?;
    assert_eq!(seen.check("policy").finding, "there is no ValidatingAdmissionPolicy `node-annotator`");
    let hint = seen.hint("policy");
    assert!(hint.ends_with("node-annotator manifests | kubectl apply -f -"), "{hint}");
    assert!(hint.contains("kubectl delete clusterrolebinding node-annotator, then "), "{hint}");
    assert_eq!(seen.check("denies-spec").finding, "not refused: a taint");
    restore(&cluster, &settings, POLICY).await?;
    wait_for(&cluster, &[]).await?;

    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(cluster.client());
    let audit = json!({"spec": {"validationActions": ["Audit", "Warn"]}});
    bindings.patch(NAMESPACE, &PatchParams::default(), &Patch::Merge(audit)).await?;
    let seen = wait_for(&cluster, &open("policy-bound")).await?;
    assert_eq!(seen.check("policy-bound").finding, "it does not deny: its actions are Audit, Warn");
    // What the hint says. The list is a set: applying adds to it, and the server takes no Deny beside Warn.
    let deny = json!({"spec": {"validationActions": ["Deny"]}});
    assert!(seen.hint("policy-bound").ends_with(&format!("--patch '{deny}'")), "{seen}");
    bindings.patch(NAMESPACE, &PatchParams::default(), &Patch::Merge(deny)).await?;
    wait_for(&cluster, &[]).await?;

    bindings.delete(NAMESPACE, &DeleteParams::default()).await?;
    wait_for(&cluster, &open("policy-bound")).await?;
    restore(&cluster, &settings, BINDING).await?;
    wait_for(&cluster, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn a_policy_with_a_hole_is_seen_where_the_hole_is() -> Result<()> {
    let (cluster, settings) = start().await?;
    let rules = policy::rules(&Scope::new(&settings));
    let remove = |id: &str| {
        let index = rules.iter().position(|rule| rule.id == id).expect("such a rule");
        move |spec: &mut ValidatingAdmissionPolicySpec| {
            drop(spec.validations.get_or_insert_default().remove(index));
        }
    };
    for (id, checks) in [
        (
            "own-node",
            &[
                ("denies-other-node", "FAIL"),
                ("denies-replaced-node", "FAIL"),
                ("denies-unbound-token", "FAIL"),
            ][..],
        ),
        // Another rule refuses what these would have refused: whoever changes a field claims it.
        ("spec", &[("denies-spec", "WARN")]),
        ("ownership", &[("denies-finalizer", "WARN")]),
        (
            "labels",
            &[("denies-foreign-label", "WARN"), ("denies-opt-out", "WARN"), ("denies-unknown-label", "WARN")],
        ),
        (
            "annotations",
            &[
                ("denies-foreign-annotation", "WARN"),
                ("denies-large-value", "FAIL"),
                ("denies-unknown-annotation", "WARN"),
            ],
        ),
        // No request shows these: the policy itself has to.
        ("update", &[]),
        ("labels-kept", &[]),
        ("annotations-kept", &[]),
        ("managed-fields", &[]),
        ("claims", &[]),
        ("claims-kept", &[]),
    ] {
        let expected = [&[("policy", "FAIL")], checks].concat();
        let finding = with_policy(&cluster, &settings, &expected, remove(id)).await?;
        let message = &rules.iter().find(|rule| rule.id == id).expect("such a rule").message;
        assert_eq!(finding, format!("missing rule: `{message}`"));
    }

    let always = |spec: &mut ValidatingAdmissionPolicySpec| {
        let rules = spec.validations.iter_mut().flatten();
        rules.filter(|rule| rule.expression.contains("object.spec ==")).for_each(|rule| {
            "true || object.spec == oldObject.spec".clone_into(&mut rule.expression);
        });
    };
    let expected = [("policy", "FAIL"), ("denies-spec", "WARN")];
    let finding = with_policy(&cluster, &settings, &expected, always).await?;
    assert!(finding.starts_with("changed rule: `the Node's spec may not be changed"), "{finding}");

    let ignore = |spec: &mut ValidatingAdmissionPolicySpec| spec.failure_policy = Some("Ignore".to_owned());
    let finding = with_policy(&cluster, &settings, &[("policy", "FAIL")], ignore).await?;
    assert!(finding.contains("failurePolicy"), "{finding}");
    with_policy(&cluster, &settings, &[], |_| {}).await?;
    Ok(())
}

#[tokio::test]
async fn a_change_that_no_request_shows_is_a_failure() -> Result<()> {
    let (cluster, settings) = start().await?;
    let rules = policy::rules(&Scope::new(&settings));
    // Each keeps its message, and holds nothing any more.
    for id in ["update", "labels-kept", "annotations-kept", "managed-fields", "claims", "claims-kept", "rate"]
    {
        let index = rules.iter().position(|rule| rule.id == id).expect("such a rule");
        let always = |spec: &mut ValidatingAdmissionPolicySpec| {
            "true".clone_into(&mut spec.validations.get_or_insert_default()[index].expression);
        };
        let finding = with_policy(&cluster, &settings, &[("policy", "FAIL")], always).await?;
        assert_eq!(finding, format!("changed rule: `{}`", rules[index].message));
    }
    for name in ["losing", "removedLabels"] {
        let nothing = |spec: &mut ValidatingAdmissionPolicySpec| {
            let variables = spec.variables.iter_mut().flatten();
            for variable in variables.filter(|variable| variable.name == name) {
                "[]".clone_into(&mut variable.expression);
            }
        };
        let finding = with_policy(&cluster, &settings, &[("policy", "FAIL")], nothing).await?;
        assert_eq!(finding, format!("changed variable: `{name}`"));
    }
    // All that is tried here is refused, and nothing else.
    let dry_runs = |spec: &mut ValidatingAdmissionPolicySpec| {
        for condition in spec.match_conditions.iter_mut().flatten() {
            condition.expression =
                format!("({}) && request.?dryRun.orValue(false) == true", condition.expression);
        }
    };
    let finding = with_policy(&cluster, &settings, &[("policy", "FAIL")], dry_runs).await?;
    assert!(finding.starts_with("changed match condition: "), "{finding}");
    with_policy(&cluster, &settings, &[], |_| {}).await?;
    Ok(())
}

#[tokio::test]
async fn policies_of_other_versions_and_older_names_are_seen() -> Result<()> {
    let (cluster, settings) = start().await?;
    let scope = Scope::new(&settings);
    let mut other = policy::policy(&scope, policy::rules(&scope));
    let version = policy::version(&other)?;
    let told = other.metadata.annotations.get_or_insert_default();
    let told = told.get_mut(policy::SETTINGS_ANNOTATION).expect("what it was generated from");
    *told = told.replace(&version, "9.9.9");
    cluster.apply(&other).await?;
    let seen = wait_for(&cluster, &[("policy", "WARN")]).await?;
    let finding = &seen.check("policy").finding;
    assert!(finding.contains("version 9.9.9") && finding.contains(&version), "{finding}");
    restore(&cluster, &settings, POLICY).await?;
    wait_for(&cluster, &[]).await?;

    let mut older = policy::policy(&scope, policy::rules(&scope));
    older.metadata.name = Some("older".to_owned());
    cluster.apply(&older).await?;
    let seen = wait_for(&cluster, &[("policy-alone", "FAIL")]).await?;
    assert!(seen.check("policy-alone").finding.ends_with(": `older`"), "{seen}");
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(cluster.client());
    policies.delete("older", &DeleteParams::default()).await?;
    wait_for(&cluster, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn a_policy_of_another_prefix_or_namespace_is_seen() -> Result<()> {
    let (cluster, settings) = start().await?;
    let other = Settings { prefix: "facts.example.com".parse()?, ..settings.clone() };
    restore(&cluster, &other, POLICY).await?;
    let seen = wait_for(
        &cluster,
        &[
            // What it says of itself is what it holds to.
            ("policy", "FAIL"),
            ("policy-covers", "FAIL"),
        ],
    )
    .await?;
    assert_eq!(seen.check("policy").finding, "it is for the prefix `facts.example.com`");
    assert!(seen.hint("policy").starts_with("node-annotator doctor --prefix facts.example.com, "));

    let other = Settings { installation: "facts".parse()?, ..settings.clone() };
    let name = Some(NAMESPACE.to_owned());
    let scope = Scope::new(&other);
    let mut elsewhere = policy::policy(&scope, policy::rules(&scope));
    elsewhere.metadata.name = name;
    cluster.apply(&elsewhere).await?;
    // The queue is for the namespaces that the policy is for.
    let others = vec![("policy", "FAIL"), ("flow-schema", "WARN")];
    let seen = wait_for(&cluster, &[others, all_denials("FAIL")].concat()).await?;
    assert!(seen.check("policy").finding.starts_with("changed match condition"), "{seen}");
    restore(&cluster, &settings, POLICY).await?;
    wait_for(&cluster, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn a_namespace_without_pod_security_and_one_with_guests_are_seen() -> Result<()> {
    let (cluster, settings) = start().await?;
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    let patch = |labels| Patch::Merge(json!({"metadata": {"labels": labels}}));
    let label = |mode: &str| format!("pod-security.kubernetes.io/{mode}");
    let audit = json!({label("audit"): null});
    namespaces.patch(NAMESPACE, &PatchParams::default(), &patch(audit)).await?;
    wait_for(&cluster, &[("pod-security", "WARN")]).await?;
    let enforce = json!({label("enforce"): null});
    namespaces.patch(NAMESPACE, &PatchParams::default(), &patch(enforce)).await?;
    let seen = wait_for(&cluster, &[("pod-security", "FAIL")]).await?;
    let hint = seen.hint("pod-security");
    assert_eq!(
        hint,
        "kubectl label namespace node-annotator --overwrite pod-security.kubernetes.io/audit=restricted \
         pod-security.kubernetes.io/enforce=restricted"
    );
    restore(&cluster, &settings, "Namespace").await?;
    wait_for(&cluster, &[]).await?;

    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), NAMESPACE);
    let mut guest = ServiceAccount::default();
    guest.metadata.name = Some("cni".to_owned());
    accounts.create(&PostParams::default(), &guest).await?;
    let seen = wait_for(&cluster, &[("service-accounts", "WARN")]).await?;
    assert!(seen.check("service-accounts").finding.ends_with("`cni`"), "{seen}");
    accounts.delete("cni", &DeleteParams::default()).await?;
    wait_for(&cluster, &[]).await?;
    Ok(())
}
