//! What of a pod has no meaning in a task, or would hand our token to it.

use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::FOLDER;
use crate::Error;
use crate::installation::PRODUCT;

/// The variable that holds the folder for files of facts.
pub(super) const FACTS_VARIABLE: &str = "NODE_ANNOTATOR_FACTS";

/// Finds what keeps a pod from being a task.
pub(super) fn check(pod: &PodSpec) -> Result<(), Error> {
    check_pod(pod)?;
    let volumes = pod.volumes.iter().flatten();
    for volume in volumes {
        if volume.name.starts_with(PRODUCT) {
            return Err(Error::refused(
                "volume",
                &volume.name,
                format!("names that begin with `{PRODUCT}` are ours"),
            ));
        }
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        if sources.into_iter().any(|source| source.service_account_token.is_some()) {
            let reason =
                "it mounts a token, which would be that of our account; leave the volume out, and its mounts";
            return Err(Error::refused("volume", &volume.name, reason));
        }
    }
    pod.init_containers.iter().flatten().try_for_each(|it| check_container(it, is_sidecar(it)))?;
    pod.containers.iter().try_for_each(|it| check_container(it, false))
}

/// Whether an init container runs as long as the pod.
pub(super) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn check_pod(pod: &PodSpec) -> Result<(), Error> {
    let refused = |field: &str, reason: &str| Err(Error::refused("the pod's field", field, reason));
    let account = pod.service_account_name.as_deref().or(pod.service_account.as_deref());
    if let Some(account) = account.filter(|account| !["", "default"].contains(account)) {
        return refused(
            "serviceAccountName",
            &format!(
                "the containers of a task never get a token, so that `{account}` would be of no use; give its rights with a \
                 kubeconfig in a Secret (--with-config), or leave it out"
            ),
        );
    }
    if pod.automount_service_account_token == Some(true) {
        return refused(
            "automountServiceAccountToken",
            "the token would be that of our account; leave it out",
        );
    }
    if pod.share_process_namespace == Some(true) {
        return refused(
            "shareProcessNamespace",
            "the containers could look into ours, which holds a token; leave it out",
        );
    }
    if let Some(node) = &pod.node_name {
        return refused(
            "nodeName",
            &format!(
                "a task is for every node; select one with --node-selector kubernetes.io/hostname={node}"
            ),
        );
    }
    if pod.ephemeral_containers.iter().flatten().next().is_some() {
        return refused("ephemeralContainers", "they are added to a pod that runs; leave them out");
    }
    if pod.scheduling_gates.iter().flatten().next().is_some() {
        return refused("schedulingGates", "nobody would open them; --hold prints a set that waits");
    }
    if pod.resource_claims.iter().flatten().next().is_some() {
        return refused("resourceClaims", "they are claims of another namespace; leave them out");
    }
    if pod.os.as_ref().is_some_and(|os| os.name != "linux") {
        return refused("os", "a task runs on linux only");
    }
    let affinity = pod.affinity.as_ref();
    let to_pods = affinity.is_some_and(|affinity| {
        let required = affinity
            .pod_affinity
            .iter()
            .flat_map(|it| &it.required_during_scheduling_ignored_during_execution);
        let against = affinity
            .pod_anti_affinity
            .iter()
            .flat_map(|it| &it.required_during_scheduling_ignored_during_execution);
        required.flatten().chain(against.flatten()).next().is_some()
    });
    if to_pods {
        return refused(
            "affinity",
            "a required affinity to pods is about those of another namespace, and a task is for every node; leave it out",
        );
    }
    Ok(())
}

fn check_container(container: &Container, is_sidecar: bool) -> Result<(), Error> {
    let name = &container.name;
    let refused = |reason: &str| Err(Error::refused("container", name, reason));
    if name.starts_with(PRODUCT) {
        return refused(&format!("names that begin with `{PRODUCT}` are ours"));
    }
    if container.image.as_deref().unwrap_or_default().is_empty() {
        return refused("it has no image");
    }
    for mount in container.volume_mounts.iter().flatten() {
        let path = mount.mount_path.trim_end_matches('/');
        if path == FOLDER || path.starts_with(&format!("{FOLDER}/")) {
            return refused(&format!(
                "it mounts `{path}`, and what is below `{FOLDER}` is ours; mount it elsewhere"
            ));
        }
    }
    if is_sidecar {
        return Ok(());
    }
    if container.stdin == Some(true) || container.stdin_once == Some(true) || container.tty == Some(true) {
        return refused("`stdin` and `tty` are for a person who is there; leave them out");
    }
    if container.lifecycle.is_some() {
        return refused("`lifecycle` is about a container that goes on; put what it does into the command");
    }
    if container.env.iter().flatten().any(|variable| variable.name == FACTS_VARIABLE) {
        return refused(&format!("the variable `{FACTS_VARIABLE}` is ours: it says where files of facts go"));
    }
    Ok(())
}
