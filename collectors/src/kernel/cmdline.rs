//! The kernel's command line, of which only an allow-list is ever published: it may carry tokens, keys and
//! addresses.

use crate::source::cmdline::{assignment, parameters};

/// Parameters that say how the kernel runs, and whose values hold no secret. Words for init never pass, nor
/// does anything else.
///
/// They are those of `Documentation/admin-guide/kernel-parameters.txt` that switch a mitigation or a feature
/// off or on, that take CPUs or memory away, or that set CPUs, memory, power, IOMMU and security modules up;
/// and a few of common modules and of the platforms that nodes run on. To bring the list up to date, compare
/// `mitigations=` in that file, which names all its brothers.
const ALLOWED: [&str; 214] = [
    "acpi",
    "amd_iommu",
    "amd_prefcore",
    "amd_pstate",
    "apparmor",
    "arm64.nobti",
    "arm64.nogcs",
    "arm64.nomops",
    "arm64.nomte",
    "arm64.nopauth",
    "arm64.nosme",
    "arm64.nosve",
    "audit",
    "audit_backlog_limit",
    "biosdevname",
    "cgroup.memory",
    "cgroup_disable",
    "cgroup_enable",
    "cgroup_favordynmods",
    "cgroup_no_v1",
    "cgroup_v1_proc",
    "clearcpuid",
    "clocksource",
    "cma",
    "cpufreq.default_governor",
    "cpufreq.off",
    "cpuidle.governor",
    "cpuidle.off",
    "crashkernel",
    "debugfs",
    "default_hugepagesz",
    "disable_radix",
    "efi",
    "enforcing",
    "fips",
    "fred",
    "gather_data_sampling",
    "hardened_usercopy",
    "highmem",
    "hpet",
    "hugepage_alloc_threads",
    "hugepages",
    "hugepagesz",
    "hugetlb_cma",
    "hugetlb_cma_only",
    "hugetlb_free_vmemmap",
    "ibt",
    "idle",
    "ignition.platform.id",
    "ima_appraise",
    "ima_hash",
    "ima_policy",
    "indirect_target_selection",
    "init_on_alloc",
    "init_on_free",
    "intel_idle.max_cstate",
    "intel_iommu",
    "intel_pstate",
    "intremap",
    "iommu",
    "iommu.forcedac",
    "iommu.passthrough",
    "iommu.strict",
    "ipv6.disable",
    "ipv6.disable_ipv6",
    "irqaffinity",
    "isolcpus",
    "kernelcore",
    "kpti",
    "kthread_cpus",
    "kvm.nx_huge_pages",
    "kvm_amd.nested",
    "kvm_amd.sev",
    "kvm_amd.sev_es",
    "kvm_amd.sev_snp",
    "kvm_intel.nested",
    "kvm_intel.tdx",
    "kvm_intel.vmentry_l1d_flush",
    "l1d_flush",
    "l1tf",
    "lapic",
    "lockdown",
    "lsm",
    "maxcpus",
    "mce",
    "mds",
    "mem",
    "mem_encrypt",
    "memhp_default_state",
    "memmap",
    "mitigations",
    "mmio_stale_data",
    "module.sig_enforce",
    "movable_node",
    "movablecore",
    "net.ifnames",
    "nmi_watchdog",
    "no5lvl",
    "no_entry_flush",
    "no_kvmapf",
    "no_kvmclock",
    "no_rfi_flush",
    "no_steal_acc",
    "no_stf_barrier",
    "no_timer_check",
    "no_uaccess_flush",
    "noapic",
    "nobp",
    "noefi",
    "noexec",
    "nofsgsbase",
    "nohibernate",
    "nohlt",
    "nohz",
    "nohz_full",
    "noibpb",
    "noibrs",
    "noinvpcid",
    "nokaslr",
    "nokprobes",
    "nolapic",
    "nolapic_timer",
    "nomce",
    "nopat",
    "nopcid",
    "nopku",
    "nopti",
    "nopvspin",
    "norandmaps",
    "noretpoline",
    "nosgx",
    "nosmap",
    "nosmep",
    "nosmp",
    "nosmt",
    "nosoftlockup",
    "nospec_store_bypass_disable",
    "nospectre_bhb",
    "nospectre_v1",
    "nospectre_v2",
    "notsc",
    "nousershstk",
    "nowatchdog",
    "nox2apic",
    "noxsave",
    "noxsaveopt",
    "noxsaves",
    "nr_cpus",
    "numa",
    "numa_balancing",
    "numa_cma",
    "nvme_core.io_timeout",
    "nvme_core.multipath",
    "page_alloc.shuffle",
    "page_poison",
    "panic",
    "panic_on_warn",
    "pci",
    "pcie_aspm",
    "pcie_port_pm",
    "possible_cpus",
    "ppc_tm",
    "preempt",
    "processor.ignore_ppc",
    "processor.max_cstate",
    "psi",
    "pti",
    "randomize_kstack_offset",
    "rcu_nocb_poll",
    "rcu_nocbs",
    "rcutree.kthread_prio",
    "reg_file_data_sampling",
    "retbleed",
    "rodata",
    "security",
    "selinux",
    "skew_tick",
    "slab_debug",
    "slab_nomerge",
    "slub_debug",
    "smt",
    "softlockup_panic",
    "spec_rstack_overflow",
    "spec_store_bypass_disable",
    "spectre_bhi",
    "spectre_v2",
    "spectre_v2_user",
    "split_lock_detect",
    "srbds",
    "ssbd",
    "swapaccount",
    "swiotlb",
    "systemd.cpu_affinity",
    "systemd.legacy_systemd_cgroup_controller",
    "systemd.unified_cgroup_hierarchy",
    "talos.platform",
    "tdx",
    "thp_anon",
    "thp_shmem",
    "threadirqs",
    "transparent_hugepage",
    "transparent_hugepage_shmem",
    "tsa",
    "tsc",
    "tsx",
    "tsx_async_abort",
    "tuned.non_isolcpus",
    "vfio_pci.ids",
    "vmalloc",
    "vmscape",
    "vsyscall",
    "watchdog_thresh",
    "x2apic_phys",
    "zswap.enabled",
];

/// The allowed parameters in their order, separated by spaces; `None` if there is none.
pub(super) fn allowed(cmdline: &str) -> Option<String> {
    let allowed: Vec<_> = parameters(cmdline).filter(|word| is_allowed(word)).collect();
    (!allowed.is_empty()).then(|| allowed.join(" "))
}

/// A value is one word of harmless characters: what had to be quoted is none of the values that the
/// parameters take.
fn is_allowed(word: &str) -> bool {
    let (name, value) = assignment(word);
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b",.:;_-/+=*^@!#$%".contains(&byte);
    ALLOWED.contains(&name.as_str()) && value.bytes().all(harmless)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_allowed_parameters_pass() {
        let cmdline = "BOOT_IMAGE=/boot/vmlinuz root=UUID=1234 ro isolcpus=2-15 ds=nocloud;s=http://u:hunter2@host/ \
                       nohz-full=2-15 mitigations=off hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=512 nosmt\n";
        let published = "isolcpus=2-15 nohz-full=2-15 mitigations=off hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=512 nosmt";
        assert_eq!(allowed(cmdline).as_deref(), Some(published));
        assert_eq!(allowed("root=/dev/vda1 ro quiet\n"), None);
        assert_eq!(allowed(""), None);
    }

    #[test]
    fn switches_and_limits_pass_in_each_spelling() {
        let cmdline = "spectre_v2=off nopti mds=off retbleed=off maxcpus=8 mem=4G mitigations=auto;no_user_kernel tsx-async-abort=off \
                       kvm-intel.nested=0 crashkernel=512M@64M memmap=16G!4G nospectre_bhb no_stf_barrier nobp=0 vmscape=off numa=off";
        assert_eq!(allowed(cmdline).as_deref(), Some(cmdline));
        assert_eq!(allowed("nospectre_v9=off maxcpus_of=8 memory=4G rd.luks.key=/k luks.key=x"), None);
    }

    #[test]
    fn quotes_hide_what_is_inside() {
        assert_eq!(allowed(r#"dyndbg="file x +p mitigations=off" fips=1"#).as_deref(), Some("fips=1"));
        assert_eq!(allowed(r#""token=x isolcpus=1" isolcpus="2-3""#).as_deref(), Some("isolcpus=2-3"));
        assert_eq!(allowed(r#"fips=1 token="never closed isolcpus=1"#).as_deref(), Some("fips=1"));
        assert_eq!(allowed(r#"isolcpus="1 2 3""#), None);
    }

    #[test]
    fn what_is_for_init_is_not_published() {
        assert_eq!(allowed("fips=1 -- mitigations=off").as_deref(), Some("fips=1"));
    }

    #[test]
    fn the_list_is_sorted_and_in_one_spelling() {
        assert!(ALLOWED.is_sorted());
        assert!(ALLOWED.iter().all(|name| !name.contains('-')));
    }

    proptest! {
        #[test]
        fn any_text_yields_allowed_names_alone(cmdline in "\\PC*|(isolcpus|=|\"| |secret|-- |fips=1|\t){0,12}") {
            let published = allowed(&cmdline).unwrap_or_default();
            for word in published.split_whitespace() {
                let name = word.split('=').next().unwrap().replace('-', "_");
                prop_assert!(ALLOWED.contains(&name.as_str()), "{}", word);
            }
            prop_assert_eq!(allowed(&published).unwrap_or_default(), published);
        }
    }
}
