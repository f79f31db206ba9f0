//! `kernel-config`: options that the kernel was built with, where it carries its configuration itself.
//!
//! Debian, Ubuntu, RHEL, SUSE and Amazon Linux keep it in a file of `/boot` or `/lib/modules` instead, which
//! a pod does not see and whose place differs; on those, `kernel.features` tells what can be told.

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Kind, Stability, Topic, register,
};

use crate::source::list::sorted;

const BUILT_IN: Fact = Fact::primary(
    "options of an allow-list that are `=y`, without `CONFIG_`, joined by commas; `none` if none of the list is",
    "BPF_JIT,BPF_SYSCALL,CFS_BANDWIDTH,CGROUP_BPF,CGROUP_PIDS,CHECKPOINT_RESTORE,DEBUG_INFO_BTF,EROFS_FS,FUSE_FS,HIGH_RES_TIMERS,IO_URING,IP_SET,KVM,MEMCG,OVERLAY_FS,PSI,PSI_DEFAULT_DISABLED,SECCOMP_FILTER,TIME_NS,USERFAULTFD,USER_NS,VXLAN",
    Stability::PerBoot,
)
.kind(Kind::List)
.max_bytes(2048);
const MODULES: Fact = Fact::named(
    "modules",
    "options of the same list that are `=m`, joined by commas; `none` if none is",
    "BLK_DEV_RBD,DM_CRYPT,EROFS_FS,GENEVE,INET_DIAG,IP_SET,IP_VS,ISCSI_TCP,NET_CLS_BPF,NVME_TCP,TCP_CONG_BBR,VFIO_PCI,VXLAN,WIREGUARD",
    Stability::PerBoot,
)
.kind(Kind::List)
.max_bytes(2048);
const HZ: Fact = Fact::named("hz", "`CONFIG_HZ`: ticks of the timer in a second", "250", Stability::PerBoot)
    .kind(Kind::Number);
const LSM: Fact = Fact::named(
    "lsm",
    "`CONFIG_LSM`: security modules that are active unless the command line says otherwise, in order, joined by commas",
    "lockdown,yama,safesetid,selinux,bpf,landlock,loadpin",
    Stability::PerBoot,
)
.kind(Kind::List);

/// The collector.
pub static KERNEL_CONFIG: Collector = Collector::new(
    "kernel-config",
    Topic::Kernel,
    "Options that the kernel was built with, on kernels that carry their configuration",
    &[BUILT_IN, MODULES, HZ, LSM],
    Collect::Blocking(collect),
)
.reads(&[PATH])
.not_applicable("where the kernel does not carry its configuration")
.on_request();

register!(KERNEL_CONFIG);

const PATH: &str = "/proc/config.gz";

/// What networks, tracers, runtimes and audits ask a kernel for before they use it.
const LISTED: [&str; 75] = [
    "AMD_IOMMU",
    "ARM64_16K_PAGES",
    "ARM64_64K_PAGES",
    "BLK_CGROUP_IOCOST",
    "BLK_DEV_NBD",
    "BLK_DEV_RBD",
    "BPF_JIT",
    "BPF_LSM",
    "BPF_SYSCALL",
    "CFS_BANDWIDTH",
    "CGROUP_BPF",
    "CGROUP_PIDS",
    "CHECKPOINT_RESTORE",
    "CPU_ISOLATION",
    "CRYPTO_FIPS",
    "DEBUG_INFO_BTF",
    "DM_CRYPT",
    "DM_VERITY",
    "EROFS_FS",
    "FS_VERITY",
    "FTRACE_SYSCALLS",
    "FUSE_FS",
    "GENEVE",
    "HIGH_RES_TIMERS",
    "HUGETLBFS",
    "IMA",
    "INET_DIAG",
    "INIT_ON_ALLOC_DEFAULT_ON",
    "INTEL_IOMMU",
    "IOMMUFD",
    "IO_URING",
    "IP_SET",
    "IP_VS",
    "ISCSI_TCP",
    "KPROBES",
    "KVM",
    "KVM_AMD_SEV",
    "KVM_INTEL_TDX",
    "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY",
    "LOCK_DOWN_KERNEL_FORCE_INTEGRITY",
    "LRU_GEN",
    "MEMCG",
    "MODULE_SIG_FORCE",
    "MPTCP",
    "NETFILTER_XT_MATCH_BPF",
    "NET_CLS_BPF",
    "NF_TABLES",
    "NO_HZ_FULL",
    "NVME_TCP",
    "OVERLAY_FS",
    "PREEMPT_RT",
    "PSI",
    "PSI_DEFAULT_DISABLED",
    "RANDOMIZE_BASE",
    "RT_GROUP_SCHED",
    "SCHED_CLASS_EXT",
    "SECCOMP_FILTER",
    "SECURITY_APPARMOR",
    "SECURITY_LANDLOCK",
    "SECURITY_LOCKDOWN_LSM",
    "SECURITY_SELINUX",
    "SECURITY_YAMA",
    "STRICT_DEVMEM",
    "TCP_CONG_BBR",
    "TIME_NS",
    "TLS",
    "TRANSPARENT_HUGEPAGE",
    "USERFAULTFD",
    "USER_NS",
    "VFIO_PCI",
    "VIRTIO_FS",
    "VXLAN",
    "WIREGUARD",
    "XDP_SOCKETS",
    "ZSWAP",
];

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let Some(text) = cx.host.text(PATH)? else {
        return Ok(Collected::not_applicable("the kernel does not carry its configuration"));
    };
    if text.is_cut() {
        return Err(CollectError::new(format!("`{PATH}` is too long for a configuration")).malformed());
    }
    let number = value(&text, "HZ").filter(|text| text.parse::<u32>().is_ok());
    Ok(Facts::new(sorted(listed(&text, "y")))
        .with(&MODULES, sorted(listed(&text, "m")))
        .with_some(&HZ, number)
        .with_some(&LSM, value(&text, "LSM").and_then(lsm))
        .into())
}

/// Name and value of each option that is set. One that is not is a comment: `# CONFIG_PREEMPT_RT is not set`.
fn options(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('='))
}

fn listed<'a>(text: &'a str, state: &str) -> impl Iterator<Item = &'a str> {
    options(text).filter(move |(name, value)| *value == state && LISTED.contains(name)).map(|(name, _)| name)
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    options(text).find(|(option, _)| *option == name).map(|(_, value)| value)
}

/// Of `"landlock,lockdown,yama"`, with its quotes.
fn lsm(value: &str) -> Option<&str> {
    let list = value.strip_prefix('"')?.strip_suffix('"')?;
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    list.split(',').all(is_word).then_some(list)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONFIG: &str = "#\n# Linux/x86 6.1.61 Kernel Configuration\n#\nCONFIG_BPF_SYSCALL=y\nCONFIG_HZ=250\nCONFIG_WIREGUARD=m\n\
                          # CONFIG_PREEMPT_RT is not set\nCONFIG_X86_64=y\nCONFIG_LSM=\"lockdown,yama,bpf\"\nCONFIG_BPF_LSM=y\n";

    #[test]
    fn options_are_told_by_how_they_are_built() {
        assert_eq!(sorted(listed(CONFIG, "y")), "BPF_LSM,BPF_SYSCALL");
        assert_eq!(sorted(listed(CONFIG, "m")), "WIREGUARD");
        assert_eq!(sorted(listed("", "y")), "none");
        assert_eq!(value(CONFIG, "HZ"), Some("250"));
        assert_eq!(value(CONFIG, "LSM").and_then(lsm), Some("lockdown,yama,bpf"));
        for no in ["lockdown", "\"\"", "\"a,,b\"", "\"a b\"", "\""] {
            assert_eq!(lsm(no), None, "{no}");
        }
    }

    #[test]
    fn all_options_fit_into_a_fact() {
        assert!(LISTED.is_sorted());
        assert!(LISTED.join(",").len() <= BUILT_IN.max_bytes);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|(CONFIG_(HZ|LSM|BPF_LSM|\\PC{1,4})=(y|m|\"a,\"|\\PC{0,4})\n){0,6}") {
            prop_assert!(Kind::List.admits(&sorted(listed(&text, "y"))));
            prop_assert!(value(&text, "LSM").and_then(lsm).is_none_or(|list| Kind::List.admits(list)));
        }
    }
}
