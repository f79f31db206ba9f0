//! The DaemonSet of a workload.

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvVar, EnvVarSource, HostPathVolumeSource, LocalObjectReference,
    ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements, SeccompProfile,
    SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use node_annotator_core::need::PathKind;
use node_annotator_core::{DoneMark, GiveUpAfter};

use crate::affinity::affinity;
use crate::installation::PRODUCT;
use crate::pod_metadata::pod_metadata;
use crate::{Settings, Workload, labels, placement, token};

/// Where the files of the host are mounted.
const HOST_MOUNT: &str = "/host";

/// Longer than a PATCH that is under way when SIGTERM comes; a pod that lingers ends at once.
const GRACE_SECONDS: i64 = 5;

pub(crate) fn daemon_set(workload: &Workload, settings: &Settings) -> DaemonSet {
    let recommended = labels::recommended(&settings.installation, workload.component());
    DaemonSet {
        metadata: ObjectMeta {
            name: Some(workload.name()),
            namespace: Some(workload.namespace(&settings.installation)),
            labels: Some(recommended.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(DaemonSetSpec {
            selector: LabelSelector {
                match_labels: Some(labels::selector(workload.component())),
                match_expressions: None,
            },
            template: PodTemplateSpec {
                metadata: Some(pod_metadata(settings, recommended)),
                spec: Some(pod(workload, settings)),
            },
            update_strategy: Some(update_strategy()),
            // One to go back to.
            revision_history_limit: Some(2),
            min_ready_seconds: None,
        }),
        status: None,
    }
}

/// A pod that lingers is ready and counts as available: a changed template must not wait for pods one by one.
fn update_strategy() -> DaemonSetUpdateStrategy {
    DaemonSetUpdateStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDaemonSet {
            max_unavailable: Some(IntOrString::String("100%".to_owned())),
            max_surge: Some(IntOrString::Int(0)),
        }),
    }
}

fn pod(workload: &Workload, settings: &Settings) -> PodSpec {
    let host_paths: Vec<_> = workload.mounts().into_iter().enumerate().collect();
    let mut volumes: Vec<_> =
        host_paths.iter().map(|(index, (path, kind))| volume(*index, path, *kind)).collect();
    let mut mounts: Vec<_> = host_paths.iter().map(|(index, (path, _))| mount(*index, path)).collect();
    volumes.push(token::volume());
    mounts.push(token::mount());
    let secrets = settings.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    PodSpec {
        affinity: Some(affinity(workload, settings)),
        node_selector: Some(placement::node_selector(settings)),
        tolerations: settings.tolerations.list(settings.startup_taint.as_ref()),
        priority_class_name: settings.priority_class_name(),
        service_account_name: Some(settings.installation.service_account().to_owned()),
        // The one that comes by itself is valid for a year: see `token`.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        // The node's resolver: reverse zones of the machine's network are known there, and the API server is
        // found by address.
        dns_policy: Some("Default".to_owned()),
        host_network: workload.host_network().then_some(true),
        image_pull_secrets: some(secrets.collect()),
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
        volumes: Some(volumes),
        containers: vec![Container { volume_mounts: Some(mounts), ..container(workload, settings) }],
        ..PodSpec::default()
    }
}

fn container(workload: &Workload, settings: &Settings) -> Container {
    let mut args = vec![
        format!("--collectors={}", workload.names()),
        format!("--prefix={}", settings.prefix),
        "--linger".to_owned(),
    ];
    if let DoneMark::Generation(generation) = &settings.mark {
        args.push(format!("--generation={}", generation.as_str()));
    }
    if settings.give_up_after != GiveUpAfter::default() {
        args.push(format!("--give-up-after={}", settings.give_up_after));
    }
    if !workload.mounts().is_empty() {
        args.push(format!("--host-mount={HOST_MOUNT}"));
    }
    if settings.stamp_day {
        args.push("--stamp-day".to_owned());
    }
    let labels = settings.labels.names(workload.collectors());
    if !labels.is_empty() {
        args.push(format!("--labels={}", labels.join(",")));
    }
    if settings.trust_sandbox {
        args.push("--trust-sandbox".to_owned());
    }
    let mut env = vec![field("NODE_NAME", "spec.nodeName")];
    for (name, variable) in workload.variables() {
        match (variable.field_path, settings.environment.get(name)) {
            (Some(path), _) => env.push(field(name, path)),
            (None, Some(value)) => {
                env.push(EnvVar { name: name.to_owned(), value: Some(value.clone()), value_from: None });
            }
            (None, None) => {}
        }
    }
    Container {
        name: PRODUCT.to_owned(),
        image: Some(settings.image.clone()),
        image_pull_policy: Some(settings.image_pull_policy.as_str().to_owned()),
        args: Some(args),
        env: Some(env),
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

fn field(variable: &str, path: &str) -> EnvVar {
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

/// The type is always checked: without it a container runtime creates what is missing, on the host.
fn volume(index: usize, path: &str, kind: PathKind) -> Volume {
    Volume {
        name: volume_name(index),
        host_path: Some(HostPathVolumeSource {
            path: path.to_owned(),
            type_: Some(kind.as_str().to_owned()),
        }),
        ..Volume::default()
    }
}

/// Below a directory of its own: mounted on the pod's /etc, the host's would take the files that the kubelet
/// puts there.
fn mount(index: usize, path: &str) -> VolumeMount {
    VolumeMount {
        name: volume_name(index),
        mount_path: format!("{HOST_MOUNT}{path}"),
        read_only: Some(true),
        recursive_read_only: Some("IfPossible".to_owned()),
        ..VolumeMount::default()
    }
}

fn volume_name(index: usize) -> String {
    format!("host-{index}")
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
