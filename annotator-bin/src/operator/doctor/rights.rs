//! What RBAC grants our accounts: patching nodes, and nothing else.

use std::collections::BTreeMap;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use super::account::Account;
use super::check::{Conclusion, Outcome};
use super::evidence::{Evidence, OurNamespace};
use crate::trouble::Trouble;

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
pub(super) async fn suffice(all: &Evidence, one: &OurNamespace) -> Outcome {
    if is_allowed(&all.administrator, &one.account, "nodes", "", "patch").await? {
        return Ok(Conclusion::pass("may patch nodes"));
    }
    Ok(Conclusion::fail(
        format!("`{}` may not patch nodes: no run can write anything", one.account.user),
        all.settings.apply_command(),
    ))
}

/// Whether it may do nothing else that matters.
pub(super) async fn are_narrow(all: &Evidence, one: &OurNamespace) -> Outcome {
    let mut granted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (resource, subresource, verbs) in TOO_WIDE {
        for verb in verbs {
            if is_allowed(&all.administrator, &one.account, resource, subresource, verb).await? {
                let name = [resource, subresource].map(str::to_owned).join("/");
                granted.entry(name.trim_end_matches('/').to_owned()).or_default().push(verb);
            }
        }
    }
    if granted.is_empty() {
        // What is answered before admission quotes the object: no policy holds that.
        return Ok(Conclusion::pass(
            "may do nothing else with nodes, pods, secrets, configmaps and tokens; a thief of its token can still read \
             every Node whose name it knows, whole, from the errors of its patches",
        ));
    }
    let list = granted.iter().map(|(resource, verbs)| format!("{} {resource}", verbs.join(", ")));
    Ok(Conclusion::fail(
        format!("`{}` may also {}", one.account.user, list.collect::<Vec<_>>().join("; ")),
        format!(
            "delete the binding that grants it: kubectl get clusterrolebindings,rolebindings --all-namespaces --output wide | grep -e \
             {namespace}/ -e system:serviceaccounts -e system:authenticated",
            namespace = one.account.namespace
        ),
    ))
}

/// Asks for all namespaces and all names at once. A review is an answer, not an object: nothing is stored.
async fn is_allowed(
    client: &Client,
    account: &Account,
    resource: &str,
    subresource: &str,
    verb: &str,
) -> Result<bool, Trouble> {
    let text = |text: &str| Some(text.to_owned());
    let group = if resource == "*" { "*" } else { "" };
    // A right in our own namespace counts as much.
    let namespace = if resource == "nodes" { None } else { text(&account.namespace) };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: text(&account.user),
            groups: Some(account.groups()),
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
