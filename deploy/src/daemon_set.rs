//! The DaemonSet of a workload.

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet};
use k8s_openapi::api::core::v1::{
    Container, EnvVar, HostPathVolumeSource, PodSpec, PodTemplateSpec, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use node_annotator_core::need::PathKind;
use node_annotator_core::{DoneMark, GiveUpAfter};

use crate::affinity::affinity;
use crate::installation::PRODUCT;
use crate::pod_metadata::pod_metadata;
use crate::{Settings, Workload, labels, once, placement, pod, token};

/// Where the files of the host are mounted.
const HOST_MOUNT: &str = "/host";

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
                spec: Some(match &settings.task {
                    Some(task) => once::daemon_set_pod(task, workload, settings),
                    None => pod_spec(workload, settings),
                }),
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

fn pod_spec(workload: &Workload, settings: &Settings) -> PodSpec {
    let host_paths: Vec<_> = workload.mounts().into_iter().enumerate().collect();
    let mut volumes: Vec<_> =
        host_paths.iter().map(|(index, (path, kind))| volume(*index, path, *kind)).collect();
    let mut mounts: Vec<_> = host_paths.iter().map(|(index, (path, _))| mount(*index, path)).collect();
    volumes.push(token::volume());
    mounts.push(token::mount());
    PodSpec {
        affinity: Some(affinity(workload, settings)),
        node_selector: Some(placement::node_selector(settings)),
        tolerations: settings.tolerations.list(settings.startup_taint.as_ref()),
        service_account_name: Some(settings.installation.service_account().to_owned()),
        host_network: workload.host_network().then_some(true),
        volumes: Some(volumes),
        containers: vec![Container { volume_mounts: Some(mounts), ..container(workload, settings) }],
        ..pod::pod(settings)
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
    let mut env = vec![pod::field("NODE_NAME", "spec.nodeName")];
    for (name, variable) in workload.variables() {
        match (variable.field_path, settings.environment.get(name)) {
            (Some(path), _) => env.push(pod::field(name, path)),
            (None, Some(value)) => {
                env.push(EnvVar { name: name.to_owned(), value: Some(value.clone()), value_from: None });
            }
            (None, None) => {}
        }
    }
    Container { name: PRODUCT.to_owned(), args: Some(args), env: Some(env), ..pod::container(settings) }
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
