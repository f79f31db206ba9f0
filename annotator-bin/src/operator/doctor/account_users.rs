//! Who else may use our accounts, by what RBAC grants: whoever may, may do what our pods may.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, Subject};

use super::account::Account;
use super::check::{Conclusion, Outcome};
use super::evidence::{Evidence, OurNamespace};
use super::grants::ClusterGrants;
use crate::operator::lists::list;

/// What the API server labels the roles and bindings with that it makes itself.
const BOOTSTRAPPING: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");

/// So many are named.
const MAX_NAMES: usize = 10;

/// A right by which an account can be used.
struct Way {
    api_group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    /// Whether a grant in a namespace counts for nothing.
    is_cluster_wide: bool,
    /// What it comes to.
    words: &'static str,
}

const IMPERSONATE: &str = "impersonate it";
const MAKE_TOKENS: &str = "make tokens for it";
const START_PODS: &str = "start pods as it";
const ENTER_PODS: &str = "enter its pods";

const WRITE: &[&str] = &["create", "update", "patch"];

const WAYS: [Way; 8] = [
    way("", &["users"], &["impersonate"], IMPERSONATE).cluster_wide(),
    way("", &["serviceaccounts"], &["impersonate"], IMPERSONATE),
    way("", &["serviceaccounts/token"], &["create"], MAKE_TOKENS),
    way("", &["pods"], &["create"], START_PODS),
    way("", &["replicationcontrollers"], WRITE, START_PODS),
    way("apps", &["daemonsets", "deployments", "replicasets", "statefulsets"], WRITE, START_PODS),
    way("batch", &["cronjobs", "jobs"], WRITE, START_PODS),
    way("", &["pods/ephemeralcontainers", "pods/exec"], WRITE, ENTER_PODS),
];

const fn way(
    api_group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    words: &'static str,
) -> Way {
    Way { api_group, resources, verbs, is_cluster_wide: false, words }
}

impl Way {
    const fn cluster_wide(self) -> Self {
        Self { is_cluster_wide: true, ..self }
    }

    fn is_granted(&self, rule: &PolicyRule, account: &Account) -> bool {
        let PolicyRule { api_groups, resources, resource_names, verbs, .. } = rule;
        let [api_groups, resources, resource_names] =
            [api_groups, resources, resource_names].map(|list| list.as_deref().unwrap_or_default());
        let any = |list: &[String], wanted: &str| list.iter().any(|entry| entry == "*" || entry == wanted);
        let resource = |wanted: &&str| {
            let subresource = wanted.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
            any(resources, wanted) || subresource.is_some_and(|wanted| resources.contains(&wanted))
        };
        // All names of ours in our namespaces begin with that of the account.
        let ours = |name: &String| *name == account.user || name.starts_with(account.name());
        any(api_groups, self.api_group)
            && self.resources.iter().any(resource)
            && self.verbs.iter().any(|verb| any(verbs, verb))
            && (resource_names.is_empty() || resource_names.iter().any(ours))
    }
}

/// Looks at the grants of the cluster and of one of our namespaces.
pub(super) async fn check(all: &Evidence, one: &OurNamespace) -> Outcome {
    check_account(all, &one.account).await
}

/// The same for the account of the CronJob, where there is one.
pub(super) async fn check_expire(all: &Evidence) -> Outcome {
    match all.cron_job.as_ref().map_err(Clone::clone)? {
        Some(_) => check_account(all, &Account::of_expire(&all.settings)).await,
        None => Ok(Conclusion::pass("there is no CronJob, and no account for it")),
    }
}

async fn check_account(all: &Evidence, account: &Account) -> Outcome {
    let namespace = Some(account.namespace.as_str());
    let cluster = all.cluster_grants.as_ref().map_err(Clone::clone)?;
    let roles = list::<Role>(&all.administrator, namespace).await?;
    let bindings = list::<RoleBinding>(&all.administrator, namespace).await?;
    Ok(conclude(cluster, &roles, &bindings, account))
}

/// Administrators are left out: they can take the policy away. So are the controllers of Kubernetes.
fn conclude(
    cluster: &ClusterGrants,
    roles: &[Role],
    bindings: &[RoleBinding],
    account: &Account,
) -> Conclusion {
    let mut users: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let everywhere = cluster.bindings.iter().map(|binding| (binding, true));
    for (binding, is_cluster_wide) in everywhere.chain(bindings.iter().map(|binding| (binding, false))) {
        let of = if binding.role_ref.kind == "Role" { roles } else { &cluster.roles };
        let role = of.iter().find(|role| role.metadata.name.as_ref() == Some(&binding.role_ref.name));
        let granting = || role.into_iter().flat_map(|role| role.rules.iter().flatten());
        if is_cluster_wide && granting().any(is_everything) {
            continue;
        }
        let ways = WAYS.iter().filter(|way| is_cluster_wide || !way.is_cluster_wide);
        let granted = ways.filter(|way| granting().any(|rule| way.is_granted(rule, account)));
        let words: BTreeSet<_> = granted.map(|way| way.words).collect();
        for subject in binding.subjects.iter().flatten() {
            if !words.is_empty() && !is_expected(subject, binding, account) {
                users.entry(named(subject, binding, is_cluster_wide)).or_default().extend(&words);
            }
        }
    }
    if users.is_empty() {
        return Conclusion::pass("nobody but administrators may use the account");
    }
    let names = users
        .iter()
        .take(MAX_NAMES)
        .map(|(name, words)| format!("{name}: {}", words.iter().copied().collect::<Vec<_>>().join(", ")));
    let more = match users.len().saturating_sub(MAX_NAMES) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Conclusion::warn(
        format!("others may use the account: {}{more}", names.collect::<Vec<_>>().join("; ")),
        format!(
            "they may do on Nodes what our pods may: take the bindings away that need not be, in `{}` or in the cluster",
            account.namespace
        ),
    )
}

fn is_everything(rule: &PolicyRule) -> bool {
    let lists = [rule.api_groups.as_ref(), rule.resources.as_ref(), Some(&rule.verbs)];
    lists.into_iter().all(|list| list.into_iter().flatten().any(|entry| entry == "*"))
}

/// Our own account, whose rights are another check, and whom Kubernetes itself grants it.
fn is_expected(subject: &Subject, binding: &RoleBinding, account: &Account) -> bool {
    let Subject { kind, name, namespace, .. } = subject;
    let namespace = namespace.as_deref();
    if kind == "ServiceAccount" && namespace == Some(account.namespace.as_str()) && name == account.name() {
        return true;
    }
    let labels = binding.metadata.labels.as_ref();
    let is_default =
        labels.and_then(|labels| labels.get(BOOTSTRAPPING.0)).is_some_and(|value| value == BOOTSTRAPPING.1);
    let is_anybody = ["system:authenticated", "system:unauthenticated", "system:anonymous"]
        .contains(&name.as_str())
        || name.starts_with("system:serviceaccount");
    let is_of_kubernetes = match kind.as_str() {
        "ServiceAccount" => namespace == Some("kube-system"),
        _ => name.starts_with("system:") && !is_anybody,
    };
    is_default && is_of_kubernetes
}

fn named(subject: &Subject, binding: &RoleBinding, is_cluster_wide: bool) -> String {
    let Subject { kind, name, namespace, .. } = subject;
    let slash = namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let by = if is_cluster_wide { "ClusterRoleBinding" } else { "RoleBinding" };
    format!("{kind} `{slash}{name}` ({by} `{}`)", binding.metadata.name.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use node_annotator_core::PrivilegeClass;
    use serde_json::{Value, json};

    use super::super::Settings;
    use super::super::check::Verdict;
    use super::*;

    fn binding(name: &str, role: &str, subject: &Value) -> Value {
        json!({ "metadata": { "name": name }, "roleRef": { "kind": "ClusterRole", "name": role }, "subjects": [subject] })
    }

    fn concluded(rules: &Value, in_cluster: &[Value], in_namespace: &[Value]) -> Conclusion {
        let read = |bindings: &[Value]| {
            bindings
                .iter()
                .map(|binding| serde_json::from_value(binding.clone()).unwrap())
                .collect::<Vec<_>>()
        };
        let role = json!({ "metadata": { "name": "role" }, "rules": rules });
        let cluster =
            ClusterGrants { roles: vec![serde_json::from_value(role).unwrap()], bindings: read(in_cluster) };
        let account = Account::new(PrivilegeClass::Restricted, &Settings::default());
        conclude(&cluster, &[], &read(in_namespace), &account)
    }

    fn rule(group: &str, resource: &str, verb: &str) -> Value {
        json!([{ "apiGroups": [group], "resources": [resource], "verbs": [verb] }])
    }

    fn developers() -> Value {
        json!({ "kind": "Group", "name": "developers" })
    }

    #[test]
    fn each_way_is_found_in_the_namespace_and_in_the_cluster() {
        let bound = [binding("edit", "role", &developers())];
        for (group, resource, verb, words) in [
            ("", "serviceaccounts", "impersonate", IMPERSONATE),
            ("", "serviceaccounts/token", "create", MAKE_TOKENS),
            ("", "*/token", "create", MAKE_TOKENS),
            ("", "pods", "create", START_PODS),
            ("*", "pods", "*", START_PODS),
            ("apps", "daemonsets", "patch", START_PODS),
            ("batch", "cronjobs", "create", START_PODS),
            ("", "pods/ephemeralcontainers", "patch", ENTER_PODS),
        ] {
            let rules = rule(group, resource, verb);
            let inside = concluded(&rules, &[], &bound);
            assert_eq!(
                inside.finding(),
                format!("others may use the account: Group `developers` (RoleBinding `edit`): {words}")
            );
            assert_eq!(inside.verdict(), Verdict::Warn);
            assert!(
                concluded(&rules, &bound, &[]).finding().contains("(ClusterRoleBinding `edit`)"),
                "{rules}"
            );
        }
    }

    #[test]
    fn what_leads_nowhere_is_no_finding() {
        let bound = [binding("edit", "role", &developers())];
        for rules in [
            Value::Null,
            rule("", "pods", "get"),
            rule("apps", "pods", "create"),
            rule("", "serviceaccounts", "create"),
            json!([{ "apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"], "resourceNames": ["cni"] }]),
        ] {
            assert_eq!(concluded(&rules, &bound, &bound).verdict(), Verdict::Pass, "{rules}");
        }
        // Users are in no namespace.
        let users = rule("", "users", "impersonate");
        assert_eq!(concluded(&users, &[], &bound).verdict(), Verdict::Pass);
        assert_eq!(concluded(&users, &bound, &[]).verdict(), Verdict::Warn);
    }

    #[test]
    fn names_of_resources_count_when_they_are_ours() {
        let bound = [binding("edit", "role", &developers())];
        for (resource, verb, name) in [
            ("serviceaccounts/token", "create", "node-annotator"),
            ("users", "impersonate", "system:serviceaccount:node-annotator:node-annotator"),
        ] {
            let rules = json!([{ "apiGroups": [""], "resources": [resource], "verbs": [verb], "resourceNames": [name] }]);
            assert_eq!(concluded(&rules, &bound, &[]).verdict(), Verdict::Warn, "{rules}");
        }
    }

    #[test]
    fn administrators_and_what_kubernetes_binds_itself_are_left_out_and_strangers_there_are_not() {
        let everything = rule("*", "*", "*");
        let bound = [binding("admins", "role", &developers())];
        assert_eq!(concluded(&everything, &bound, &[]).verdict(), Verdict::Pass);
        assert_eq!(concluded(&everything, &[], &bound).verdict(), Verdict::Warn);
        let of = |subject: Value| {
            let mut binding = binding("system:controller:x", "role", &subject);
            binding["metadata"]["labels"] = json!({ BOOTSTRAPPING.0: BOOTSTRAPPING.1 });
            concluded(&rule("", "pods", "create"), &[binding], &[]).verdict()
        };
        let account =
            |namespace: &str| json!({ "kind": "ServiceAccount", "name": "x", "namespace": namespace });
        assert_eq!(of(account("kube-system")), Verdict::Pass);
        assert_eq!(of(account("default")), Verdict::Warn);
        assert_eq!(of(json!({ "kind": "User", "name": "system:kube-controller-manager" })), Verdict::Pass);
        assert_eq!(of(json!({ "kind": "Group", "name": "system:authenticated" })), Verdict::Warn);
        assert_eq!(of(json!({ "kind": "Group", "name": "system:serviceaccounts" })), Verdict::Warn);
        assert_eq!(of(developers()), Verdict::Warn);
    }

    #[test]
    fn many_are_counted() {
        let bound: Vec<_> = (0..12)
            .map(|index| binding("b", "role", &json!({ "kind": "User", "name": format!("u{index:02}") })))
            .collect();
        let finding = concluded(&rule("", "pods", "create"), &bound, &[]).finding().to_owned();
        assert!(
            finding.ends_with("`u09` (ClusterRoleBinding `b`): start pods as it; and 2 more"),
            "{finding}"
        );
    }
}
