//! The namespaces that are ours alone: what they admit, and who else is in them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use node_annotator_core::PrivilegeClass;
use node_annotator_deploy::base;

use super::Settings;
use super::check::Conclusion;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// Made by Kubernetes itself in every namespace.
const DEFAULT_ACCOUNT: &str = "default";

/// Whether pods that could do more than ours are kept out, and ours are not.
pub(super) fn pod_security(found: &Namespace, class: PrivilegeClass, settings: &Settings) -> Conclusion {
    let expected = base::namespace(&settings.installation, class);
    let (name, expected) = (expected.metadata.name.unwrap_or_default(), expected.metadata.labels);
    let empty = BTreeMap::new();
    let (expected, found) = (expected.unwrap_or_default(), found.metadata.labels.as_ref().unwrap_or(&empty));
    let wrong: Vec<_> = expected
        .iter()
        .filter(|(key, value)| key.starts_with("pod-security.") && found.get(*key) != Some(value))
        .collect();
    if wrong.is_empty() {
        return Conclusion::pass(format!("Pod Security admits what is `{}`", class.as_str()));
    }
    let finding = wrong.iter().map(|(key, value)| match found.get(*key) {
        Some(other) => format!("`{key}` is `{other}` instead of `{value}`"),
        None => format!("`{key}` is missing"),
    });
    let finding = finding.collect::<Vec<_>>().join(", ");
    let pairs: Vec<_> = wrong.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let command = format!("kubectl label namespace {name} --overwrite {}", pairs.join(" "));
    if wrong.iter().any(|(key, _)| *key == ENFORCE) {
        Conclusion::fail(finding, command)
    } else {
        Conclusion::warn(finding, command)
    }
}

/// The conclusion for a namespace that is not there.
pub(super) fn missing(settings: &Settings) -> Conclusion {
    Conclusion::fail(
        "there is no such namespace",
        format!("{}; is it installed under another --namespace?", settings.apply_command()),
    )
}

/// Whether our account is there, and the only one: the policy binds every account of the namespace.
pub(super) fn accounts(accounts: &[ServiceAccount], namespace: &str, settings: &Settings) -> Conclusion {
    let ours = settings.installation.service_account();
    let names = || accounts.iter().filter_map(|account| account.metadata.name.as_deref());
    if !names().any(|name| name == ours) {
        return Conclusion::fail(format!("there is no service account `{ours}`"), settings.apply_command());
    }
    let others: Vec<_> = names().filter(|name| *name != ours && *name != DEFAULT_ACCOUNT).collect();
    if others.is_empty() {
        return Conclusion::pass(format!("`{ours}` alone"));
    }
    Conclusion::warn(
        format!("the policy holds these to their own node, too: `{}`", others.join("`, `")),
        format!(
            "move them to another namespace, or: kubectl delete serviceaccounts --namespace {namespace} {}",
            others.join(" ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    fn with_labels(change: impl FnOnce(&mut BTreeMap<String, String>)) -> Conclusion {
        let settings = Settings::default();
        let mut namespace = base::namespace(&settings.installation, PrivilegeClass::Restricted);
        change(namespace.metadata.labels.get_or_insert_default());
        pod_security(&namespace, PrivilegeClass::Restricted, &settings)
    }

    #[test]
    fn what_is_enforced_decides() {
        assert_eq!(with_labels(|_| {}).verdict(), Verdict::Pass);
        let missing = with_labels(BTreeMap::clear);
        assert_eq!(missing.verdict(), Verdict::Fail);
        assert!(missing.hint().unwrap().contains(" pod-security.kubernetes.io/enforce=restricted "));
        let wider = with_labels(|labels| drop(labels.insert(ENFORCE.to_owned(), "privileged".to_owned())));
        assert_eq!(wider.verdict(), Verdict::Fail);
        let quiet = with_labels(|labels| drop(labels.remove("pod-security.kubernetes.io/audit")));
        assert_eq!(quiet.verdict(), Verdict::Warn);
    }

    #[test]
    fn a_second_account_is_told() {
        let settings = Settings::default();
        let verdict = |names: &[&str]| {
            let account = |name: &&str| {
                let mut account = ServiceAccount::default();
                account.metadata.name = Some((*name).to_owned());
                account
            };
            let list: Vec<_> = names.iter().map(account).collect();
            accounts(&list, "node-annotator", &settings).verdict()
        };
        assert_eq!(verdict(&["default", "node-annotator"]), Verdict::Pass);
        assert_eq!(verdict(&["default", "node-annotator", "cni"]), Verdict::Warn);
        assert_eq!(verdict(&["default"]), Verdict::Fail);
    }
}
