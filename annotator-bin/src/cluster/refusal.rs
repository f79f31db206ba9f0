//! Who refused a request: the API server's message names it, and the HTTP status does not.

use node_annotator_core::write::{FIELD_MANAGER, TOO_SOON};

use super::Reason;

/// Managed platforms that keep their nodes to themselves, by what stands in their refusals.
const PLATFORMS: [(&str, &str); 3] =
    [("GKE Warden", "GKE Autopilot"), (".managed.openshift.io", "OpenShift"), (".azmk8s.io", "AKS")];

/// Who it was, with the name if it has one. `None`: the message names nobody.
pub(super) fn refuser(message: &str) -> Option<(Reason, Option<String>)> {
    // A mutating policy that cannot be evaluated says `policy` alone.
    let policy = message.contains("denied request").then(|| {
        between(message, "AdmissionPolicy '", "'").or_else(|| between(message, "policy '", "' with binding"))
    });
    if let Some(Some(name)) = policy
        && is_ours(name)
    {
        let reason = if message.contains(TOO_SOON) { Reason::TooSoon } else { Reason::OurPolicy };
        return Some((reason, Some(name.to_owned())));
    }
    if let Some(webhook) = between(message, "failed calling webhook \"", "\"") {
        return Some((Reason::WebhookFailed, Some(webhook.to_owned())));
    }
    let webhook = between(message, "admission webhook \"", "\" denied the request");
    let denied = policy.is_some() || webhook.is_some() || message.contains("cannot patch resource");
    if let Some((_, platform)) = PLATFORMS.iter().find(|(words, _)| denied && message.contains(words)) {
        return Some((Reason::Platform, Some((*platform).to_owned())));
    }
    if let Some(webhook) = webhook {
        return Some((Reason::Webhook, Some(webhook.to_owned())));
    }
    if let Some(name) = policy {
        return Some((Reason::OtherPolicy, name.map(str::to_owned)));
    }
    if message.contains("is not allowed to modify") {
        return Some((Reason::NodeRestriction, None));
    }
    message.contains("metadata.annotations: Too long").then_some((Reason::AnnotationQuota, None))
}

/// Our cluster-wide objects are named after the product, with what tells installations apart behind it.
fn is_ours(policy: &str) -> bool {
    policy.strip_prefix(FIELD_MANAGER).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    Some(text.split_once(before)?.1.split_once(after)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> Option<(Reason, String)> {
        refuser(message).map(|(reason, name)| (reason, name.unwrap_or_default()))
    }

    #[test]
    fn each_refuser_is_told_by_its_name() {
        let policy = |name: &str, why: &str| {
            format!(
                "nodes \"n\" is forbidden: ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: {why}"
            )
        };
        let rbac = "nodes \"n\" is forbidden: User \"u\" cannot patch resource \"nodes\" in API group \"\" at the cluster scope";
        let cases = [
            (policy("node-annotator", "not your node"), Reason::OurPolicy, "node-annotator"),
            (policy("node-annotator-facts", "not your node"), Reason::OurPolicy, "node-annotator-facts"),
            (policy("node-annotator", TOO_SOON), Reason::TooSoon, "node-annotator"),
            (policy("node-annotators", TOO_SOON), Reason::OtherPolicy, "node-annotators"),
            (
                "policy 'node-annotator' with binding 'node-annotator' denied request: no such key".to_owned(),
                Reason::OurPolicy,
                "node-annotator",
            ),
            (policy("locked", "no"), Reason::OtherPolicy, "locked"),
            ("admission webhook \"w.example.com\" denied the request: no".to_owned(), Reason::Webhook, "w.example.com"),
            (
                "Internal error occurred: failed calling webhook \"w.example.com\": failed to call webhook: Post \
                 \"https://w.example.svc:443/?timeout=10s\": no endpoints available for service \"w\""
                    .to_owned(),
                Reason::WebhookFailed,
                "w.example.com",
            ),
            (
                "nodes \"n\" is forbidden: node \"m\" is not allowed to modify node \"n\"".to_owned(),
                Reason::NodeRestriction,
                "",
            ),
            (
                "Node \"n\" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes".to_owned(),
                Reason::AnnotationQuota,
                "",
            ),
            (
                "admission webhook \"warden-validating.common-webhooks.networking.gke.io\" denied the request: GKE Warden \
                 rejected the request because it violates one or more constraints."
                    .to_owned(),
                Reason::Platform,
                "GKE Autopilot",
            ),
            (
                format!("{rbac}: GKE Warden authz [denied by managed-nodes-limitation]: nodes are managed"),
                Reason::Platform,
                "GKE Autopilot",
            ),
            (
                "admission webhook \"node-validation-osd.managed.openshift.io\" denied the request: Prevented from \
                 accessing Red Hat managed resources."
                    .to_owned(),
                Reason::Platform,
                "OpenShift",
            ),
        ];
        for (message, reason, name) in cases {
            assert_eq!(told(&message), Some((reason, name.to_owned())), "{message}");
        }
        for message in [rbac, "Unauthorized", "nodes \"worker.azmk8s.io\" not found", ""] {
            assert_eq!(told(message), None, "{message}");
        }
    }
}
