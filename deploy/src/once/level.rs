//! The Pod Security level that a pod needs: the narrowest that admits it.
//!
//! By the standards of the version that namespaces are labelled with. What these do not name is taken for
//! harmless, as the API server does. That newer servers let a pod with users of its own (`hostUsers:
//! false`) do more is not counted on.

use k8s_openapi::api::core::v1::{Container, PodSecurityContext, PodSpec, SecurityContext, Volume};
use node_annotator_core::PrivilegeClass;

/// What a container may add under `baseline`.
const BASELINE_CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "",
];

/// What a pod may set under `baseline`.
const BASELINE_SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];

const BASELINE_SELINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// The level for a pod with these containers; those in the pod itself are not looked at.
pub(super) fn of<'a>(
    pod: &PodSpec,
    containers: impl Iterator<Item = &'a Container> + Clone,
) -> PrivilegeClass {
    if !is_baseline(pod, containers.clone()) {
        PrivilegeClass::Privileged
    } else if !is_restricted(pod, containers) {
        PrivilegeClass::Baseline
    } else {
        PrivilegeClass::Restricted
    }
}

fn is_baseline<'a>(pod: &PodSpec, mut containers: impl Iterator<Item = &'a Container>) -> bool {
    let no = |flag: Option<bool>| flag != Some(true);
    let context = pod.security_context.clone().unwrap_or_default();
    let PodSecurityContext {
        sysctls,
        se_linux_options,
        seccomp_profile,
        app_armor_profile,
        windows_options,
        ..
    } = &context;
    let is_selinux = |options: &Option<k8s_openapi::api::core::v1::SELinuxOptions>| {
        options.as_ref().is_none_or(|options| {
            let none = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
            BASELINE_SELINUX_TYPES.contains(&options.type_.as_deref().unwrap_or_default())
                && none(&options.user)
                && none(&options.role)
        })
    };
    let is_confined = |kind: Option<&String>| kind.is_none_or(|kind| kind != "Unconfined");
    no(pod.host_network)
        && no(pod.host_pid)
        && no(pod.host_ipc)
        && pod.volumes.iter().flatten().all(|volume| volume.host_path.is_none())
        && sysctls.iter().flatten().all(|sysctl| BASELINE_SYSCTLS.contains(&sysctl.name.as_str()))
        && is_selinux(se_linux_options)
        && is_confined(seccomp_profile.as_ref().map(|profile| &profile.type_))
        && is_confined(app_armor_profile.as_ref().map(|profile| &profile.type_))
        && windows_options.as_ref().is_none_or(|options| no(options.host_process))
        && containers.all(|container| {
            let context = container.security_context.clone().unwrap_or_default();
            let added = context.capabilities.iter().flat_map(|it| it.add.iter().flatten());
            no(context.privileged)
                && added.into_iter().all(|it| BASELINE_CAPABILITIES.contains(&it.as_str()))
                && container.ports.iter().flatten().all(|port| port.host_port.unwrap_or_default() == 0)
                && is_selinux(&context.se_linux_options)
                && context.proc_mount.as_deref().is_none_or(|kind| kind == "Default")
                && is_confined(context.seccomp_profile.as_ref().map(|profile| &profile.type_))
                && is_confined(context.app_armor_profile.as_ref().map(|profile| &profile.type_))
                && context.windows_options.as_ref().is_none_or(|options| no(options.host_process))
        })
}

fn is_restricted<'a>(pod: &PodSpec, mut containers: impl Iterator<Item = &'a Container>) -> bool {
    let of_pod = pod.security_context.clone().unwrap_or_default();
    pod.volumes.iter().flatten().all(is_restricted_volume)
        && of_pod.run_as_user != Some(0)
        && containers.all(|container| {
            let context = container.security_context.clone().unwrap_or_default();
            let SecurityContext { capabilities, run_as_non_root, run_as_user, seccomp_profile, .. } = context;
            let capabilities = capabilities.unwrap_or_default();
            let seccomp = seccomp_profile.as_ref().or(of_pod.seccomp_profile.as_ref());
            context.allow_privilege_escalation == Some(false)
                && run_as_non_root.or(of_pod.run_as_non_root) == Some(true)
                && run_as_user != Some(0)
                && seccomp
                    .is_some_and(|profile| ["RuntimeDefault", "Localhost"].contains(&profile.type_.as_str()))
                && capabilities.drop.iter().flatten().any(|it| it == "ALL")
                && capabilities.add.iter().flatten().all(|it| it == "NET_BIND_SERVICE")
        })
}

/// The sources that `restricted` names: all that need no rights on the node.
fn is_restricted_volume(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.csi.is_some()
        || volume.downward_api.is_some()
        || volume.empty_dir.is_some()
        || volume.ephemeral.is_some()
        || volume.persistent_volume_claim.is_some()
        || volume.projected.is_some()
        || volume.secret.is_some()
}
