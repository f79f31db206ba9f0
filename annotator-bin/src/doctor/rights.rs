//! What RBAC grants our accounts: patching nodes, and nothing else.

use std::collections::BTreeMap;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use super::Settings;
use super::check::{Conclusion, Outcome, Unproven};
use super::identity::Identity;

/// Rights that a stolen token must not have: those of the seed, and those that lead to everything else.
const TOO_WIDE: [(&str, &str, &[&str]); 9] = [
    ("nodes", "", &["get", "list", "watch", "create", "update", "delete", "deletecollection"]),
    ("nodes", "status", &["get", "update", "patch"]),
    ("nodes", "proxy", &["get", "create", "update", "patch", "delete"]),
    ("pods", "", &["get", "list", "watch", "create", "update", "patch", "delete"]),
    ("pods", "exec", &["get", "create"]),
    ("secrets", "", &["get", "list", "watch", "create", "update", "patch", "delete"]),
    ("configmaps", "", &["get", "list", "watch", "create", "update", "patch", "delete"]),
    ("serviceaccounts", "token", &["create"]),
    ("*", "", &["*"]),
];

/// Whether a run may do what it has to.
pub(super) async fn suffice(client: &Client, identity: &Identity, settings: &Settings) -> Outcome {
    if is_allowed(client, identity, "nodes", "", "patch").await? {
        return Ok(Conclusion::pass("may patch nodes"));
    }
    Ok(Conclusion::fail(
        format!("`{}` may not patch nodes: no run can write anything", identity.user),
        settings.apply_command(),
    ))
}

/// Whether it may do nothing else that matters.
pub(super) async fn are_narrow(client: &Client, identity: &Identity) -> Outcome {
    let mut granted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (resource, subresource, verbs) in TOO_WIDE {
        for verb in verbs {
            if is_allowed(client, identity, resource, subresource, verb).await? {
                let name = [resource, subresource].map(str::to_owned).join("/");
                granted.entry(name.trim_end_matches('/').to_owned()).or_default().push(verb);
            }
        }
    }
    if granted.is_empty() {
        return Ok(Conclusion::pass("may do nothing else with nodes, pods, secrets, configmaps and tokens"));
    }
    let list = granted.iter().map(|(resource, verbs)| format!("{} {resource}", verbs.join(", ")));
    Ok(Conclusion::fail(
        format!("`{}` may also {}", identity.user, list.collect::<Vec<_>>().join("; ")),
        format!(
            "delete the binding that grants it: kubectl get clusterrolebindings,rolebindings --all-namespaces --output wide | grep -e \
             {namespace}/ -e system:serviceaccounts -e system:authenticated",
            namespace = identity.namespace
        ),
    ))
}

/// Asks for all namespaces and all names at once. A review is an answer, not an object: nothing is stored.
async fn is_allowed(
    client: &Client,
    identity: &Identity,
    resource: &str,
    subresource: &str,
    verb: &str,
) -> Result<bool, Unproven> {
    let text = |text: &str| Some(text.to_owned());
    let group = if resource == "*" { "*" } else { "" };
    // What is bound in our own namespace alone counts, too.
    let namespace = if resource == "nodes" { None } else { text(&identity.namespace) };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: text(&identity.user),
            groups: Some(identity.groups()),
            resource_attributes: Some(ResourceAttributes {
                group: text(group),
                resource: text(resource),
                subresource: text(subresource),
                verb: text(verb),
                namespace,
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let answer = Api::all(client.clone()).create(&parameters, &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
