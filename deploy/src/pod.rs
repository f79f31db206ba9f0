//! What all our pods have in common: next to no resources, no privileges, and a token of their own.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvVar, EnvVarSource, LocalObjectReference, ObjectFieldSelector,
    PodSecurityContext, PodSpec, ResourceRequirements, SeccompProfile, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::Settings;

/// Longer than a PATCH that is under way when SIGTERM comes; a pod that lingers ends at once.
const GRACE_SECONDS: i64 = 5;

/// Everything but what runs in it, where, and as whom.
pub(crate) fn pod(settings: &Settings) -> PodSpec {
    let secrets = settings.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    let secrets: Vec<_> = secrets.collect();
    PodSpec {
        priority_class_name: settings.priority_class_name(),
        // The one that comes by itself is valid for a year: see `token`.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        // The node's resolver: reverse zones of the machine's network are known there, and the API server is
        // found by address.
        dns_policy: Some("Default".to_owned()),
        image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
        security_context: Some(PodSecurityContext {
            // Which user is the image's to say: OpenShift admits those of a namespace's own range alone, and
            // sets one of them.
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        ..PodSpec::default()
    }
}

/// Everything but its name, what it runs and what is mounted.
pub(crate) fn container(settings: &Settings) -> Container {
    Container {
        image: Some(settings.image.clone()),
        image_pull_policy: Some(settings.image_pull_policy.as_str().to_owned()),
        resources: Some(resources()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        // A crash before the summary is written leaves its last log lines instead.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// Autoscalers count requests when they size a node, so they are next to nothing. A run peaks at a few MiB;
/// the limit only ends one that went wrong. No CPU limit: throttling would make a run of milliseconds last.
///
/// Of local storage a pod uses its log alone. It asks for 0 of it: without a request the limit would be it,
/// and a node that is full, or does not tell what it has, would never get a pod. The limit satisfies quotas
/// that want one.
fn resources() -> ResourceRequirements {
    let quantities = |list: &[(&str, &str)]| {
        list.iter().map(|(name, value)| ((*name).to_owned(), Quantity((*value).to_owned()))).collect()
    };
    ResourceRequirements {
        requests: Some(quantities(&[("cpu", "5m"), ("memory", "16Mi"), ("ephemeral-storage", "0")])),
        limits: Some(quantities(&[("memory", "64Mi"), ("ephemeral-storage", "64Mi")])),
        claims: None,
    }
}

/// A variable with a field of the pod.
pub(crate) fn field(variable: &str, path: &str) -> EnvVar {
    EnvVar {
        name: variable.to_owned(),
        value: None,
        value_from: Some(EnvVarSource { field_ref: Some(field_of_pod(path)), ..EnvVarSource::default() }),
    }
}

/// With what the server would fill in: it is owned as a whole, and would be another's after the next
/// server-side apply.
pub(crate) fn field_of_pod(path: &str) -> ObjectFieldSelector {
    ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: path.to_owned() }
}
