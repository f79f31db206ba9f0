//! `sysctl`: settings of the kernel that hold for the whole node.
//!
//! Those of a pod's own namespaces (`net.*`, `kernel.shm*`, `kernel.msg*`, `fs.mqueue.*`) are the pod's, and
//! left out; so is what only root reads, and what may hold a path or a program.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

const SETTINGS: Fact = Fact::primary(
    "settings of an allow-list, in order of the alphabet, as `name=value` with commas between them; what the kernel does not \
     have is missing",
    "kernel.panic=10",
    Stability::Dynamic,
)
.kind(Kind::List)
.max_bytes(2048);

/// The collector.
pub static SYSCTL: Collector = Collector::new(
    "sysctl",
    Topic::Kernel,
    "Settings of the kernel that hold for the whole node",
    &[SETTINGS],
    Collect::Blocking(collect),
)
.reads(&[
    "/proc/sys/fs/*",
    "/proc/sys/fs/inotify/*",
    "/proc/sys/kernel/*",
    "/proc/sys/kernel/keys/*",
    "/proc/sys/kernel/yama/*",
    "/proc/sys/vm/*",
])
.on_request();

register!(SYSCTL);

/// Single numbers that people tune for workloads, or hold against a baseline of security or the kubelet's
/// `protectKernelDefaults`.
const ALLOWED: [&str; 51] = [
    "fs.aio-max-nr",
    "fs.file-max",
    "fs.inotify.max_queued_events",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "fs.mount-max",
    "fs.nr_open",
    "fs.pipe-user-pages-soft",
    "fs.protected_fifos",
    "fs.protected_hardlinks",
    "fs.protected_regular",
    "fs.protected_symlinks",
    "fs.suid_dumpable",
    "kernel.dmesg_restrict",
    "kernel.hung_task_timeout_secs",
    "kernel.io_uring_disabled",
    "kernel.kexec_load_disabled",
    "kernel.keys.maxbytes",
    "kernel.keys.maxkeys",
    "kernel.keys.root_maxbytes",
    "kernel.keys.root_maxkeys",
    "kernel.kptr_restrict",
    "kernel.modules_disabled",
    "kernel.numa_balancing",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.perf_event_paranoid",
    "kernel.randomize_va_space",
    "kernel.sched_autogroup_enabled",
    "kernel.sched_rt_runtime_us",
    "kernel.softlockup_panic",
    "kernel.split_lock_mitigate",
    "kernel.sysrq",
    "kernel.threads-max",
    "kernel.timer_migration",
    "kernel.unprivileged_bpf_disabled",
    "kernel.watchdog",
    "kernel.yama.ptrace_scope",
    "vm.compaction_proactiveness",
    "vm.dirty_background_ratio",
    "vm.dirty_ratio",
    "vm.max_map_count",
    "vm.min_free_kbytes",
    "vm.nr_hugepages",
    "vm.overcommit_memory",
    "vm.overcommit_ratio",
    "vm.panic_on_oom",
    "vm.swappiness",
    "vm.unprivileged_userfaultfd",
    "vm.vfs_cache_pressure",
    "vm.zone_reclaim_mode",
];

/// Each kernel has it.
const ALWAYS: &str = "/proc/sys/kernel/panic";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    cx.host.read(ALWAYS)?;
    let settings = ALLOWED.iter().map(|name| setting(&cx.host, name)).collect::<Result<Vec<_>, _>>()?;
    let settings: Vec<_> = settings.into_iter().flatten().collect();
    Ok(Facts::new(if settings.is_empty() { "none".to_owned() } else { settings.join(",") }).into())
}

/// One that cannot be looked at fails them all: a list without it would say that the kernel does not have it.
fn setting(host: &HostRoot, name: &str) -> Result<Option<String>, HostError> {
    let line = host.line(&format!("/proc/sys/{}", name.replace('.', "/")))?;
    Ok(line.filter(|line| is_number(line)).map(|line| format!("{name}={line}")))
}

/// Some are negative, and some do not fit into 64 bits with a sign.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (1..=20).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_settings_fit_into_the_fact() {
        assert!(ALLOWED.is_sorted());
        let longest: usize = ALLOWED.iter().map(|name| name.len() + "=,".len() + 12).sum();
        assert!(longest <= SETTINGS.max_bytes, "{longest}");
    }

    #[test]
    fn a_setting_is_one_number() {
        for (text, is) in [
            ("10", true),
            ("-1", true),
            ("18446744073692774399", true),
            ("", false),
            ("-", false),
            ("1 2", false),
            ("|x", false),
        ] {
            assert_eq!(is_number(text), is, "{text}");
        }
    }
}
