//! `kernel`: the running kernel's release, and what tells two kernels of one release apart.

mod build;
mod cmdline;
mod features;
mod lockdown;
mod nfd;
mod taints;

use node_annotator_core::context::{HostError, Uname};
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, NodeField, Stability,
    Topic, register,
};

use crate::source;
use crate::source::release::{self, Release};

const FULL: Fact = Fact::primary("release, as `uname -r` prints it", "6.8.0-45-generic", Stability::PerBoot)
    .kind(Kind::Version)
    .also_in(NodeField::KernelVersion);
const MAJOR: Fact =
    Fact::named("major", "first number of the release", "6", Stability::PerBoot).kind(Kind::Number);
const MINOR: Fact =
    Fact::named("minor", "second number of the release", "8", Stability::PerBoot).kind(Kind::Number);
const PATCH: Fact =
    Fact::named("patch", "third number of the release", "0", Stability::PerBoot).kind(Kind::Number);
const FLAVOR: Fact = Fact::named(
    "flavor",
    "what follows the numbers of the release: the distribution's name for the build",
    "generic",
    Stability::PerBoot,
);
const BUILD: Fact = Fact::named(
    "build",
    "build number, options and date, as `uname -v` prints them",
    "#45-Ubuntu SMP PREEMPT_DYNAMIC Fri Aug 30 12:02:04 UTC 2024",
    Stability::PerBoot,
)
.free_text();
const PREEMPTION: Fact = Fact::named(
    "preemption",
    "preemption model that the build names: `preempt`, `preempt-dynamic` (picked at boot), `preempt-rt`, or `none`, \
     which also stands for voluntary preemption",
    "preempt-dynamic",
    Stability::PerBoot,
);
const TAINTS: Fact = Fact::named(
    "taints",
    "letters of the taint flags, as the kernel documents them, joined by commas; words such as `tech-preview` for \
     those of Red Hat and SUSE, `bit-N` for those without either; `none` for an untainted kernel",
    "P,O,E",
    Stability::Dynamic,
)
.kind(Kind::List);
const CMDLINE: Fact = Fact::named(
    "cmdline",
    "boot parameters that are known to hold no secret (an allow-list), in order, separated by spaces",
    "amd_iommu=on iommu=pt mitigations=auto,nosmt transparent_hugepage=madvise",
    Stability::PerBoot,
)
.free_text()
// What the kernel itself takes on x86 and arm64.
.max_bytes(2048);
const CLOCKSOURCE: Fact = Fact::named(
    "clocksource",
    "clock source in use; `acpi_pm` and `hpet` are slow",
    "tsc",
    Stability::Dynamic,
);
const BTF: Fact = Fact::named(
    "btf",
    "whether the kernel carries its type information, which portable eBPF programs need: `true` or `false`",
    "true",
    Stability::PerBoot,
)
.kind(Kind::Flag);

const FEATURES: Fact = Fact::named(
    "features",
    "what is there for containers and their runtimes, of a list: `bpf`, `cfs-bandwidth`, `checkpoint-restore`, `io-uring` (seen \
     from 6.6 on), `psi`, `sched-ext`, `time-namespaces`, `unprivileged-bpf`, `user-namespaces`, and of the character devices \
     `fuse`, `kvm`, `nitro_enclaves`, `sgx_enclave`, `tun`, `userfaultfd`, `vfio`, `vhost-net`, `vhost-vsock`, `vsock` those \
     whose driver is loaded",
    "bpf,cfs-bandwidth,checkpoint-restore,fuse,psi,time-namespaces,tun,user-namespaces,userfaultfd,vsock",
    Stability::Dynamic,
)
.kind(Kind::List);
const FIPS: Fact = Fact::named(
    "fips",
    "whether the kernel's cryptography is in FIPS mode: `true` or `false`",
    "true",
    Stability::PerBoot,
)
.kind(Kind::Flag);
const LOCKDOWN: Fact = Fact::named(
    "lockdown",
    "the least lockdown that is in force: `integrity` or `confidentiality` by the command line, `none` where hibernation is \
     allowed, which each lockdown forbids; not there where neither tells",
    "integrity",
    Stability::Dynamic,
);

/// The collector.
pub static KERNEL: Collector = Collector::new(
    "kernel",
    Topic::Kernel,
    "Release, build and state of the running kernel",
    &[
        FULL,
        MAJOR,
        MINOR,
        PATCH,
        FLAVOR,
        BUILD,
        PREEMPTION,
        TAINTS,
        CMDLINE,
        CLOCKSOURCE,
        BTF,
        FEATURES,
        FIPS,
        LOCKDOWN,
    ],
    Collect::Blocking(collect),
)
.revision(2)
.reads(&[
    release::PATH,
    VERSION_PATH,
    TAINTED_PATH,
    source::cmdline::PATH,
    CLOCKSOURCE_PATH,
    BTF_PATH,
    SYSFS_PATH,
    features::UNPRIVILEGED_BPF_PATH,
    features::IO_URING_PATH,
    features::PRESSURE_PATH,
    features::NAMESPACES_PATH,
    features::CFS_BANDWIDTH_PATH,
    features::CHECKPOINT_RESTORE_PATH,
    features::SCHED_EXT_PATH,
    features::MISC_PATH,
    FIPS_PATH,
    lockdown::HIBERNATION_PATH,
])
.nfd(nfd::LABELS);

register!(KERNEL);

const VERSION_PATH: &str = "/proc/sys/kernel/version";
const TAINTED_PATH: &str = "/proc/sys/kernel/tainted";
const FIPS_PATH: &str = "/proc/sys/crypto/fips_enabled";
const CLOCKSOURCE_PATH: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// The directory of [`BTF_PATH`] is there only with BTF; this one is in every sysfs, and missing in
/// sandboxes.
const SYSFS_PATH: &str = "/sys/kernel";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let text = cx.host.line(release::PATH);
    let told = |read: Result<Option<String>, HostError>, part: fn(Uname) -> String| match read {
        Ok(Some(line)) => Ok(Some(line)),
        // Some sandboxes, and hardened images, have no `/proc/sys/kernel`; the system call is always there.
        read => cx.host.uname().map_or(read, |uname| Ok(Some(part(uname)))),
    };
    let text = told(text, |uname| uname.release)?.ok_or_else(|| HostError::absent(release::PATH))?;
    let Some(release) = Release::parse(&text) else {
        let path = release::PATH;
        return Err(CollectError::new(format!("`{path}` holds no kernel release")).malformed());
    };
    let build = told(cx.host.line(VERSION_PATH), |uname| uname.version);
    let preemption = build.clone().map(|build| build.as_deref().map(build::preemption));
    let taints = cx.host.line(TAINTED_PATH).map(|line| line.and_then(|text| taints::parse(&text)));
    let cmdline =
        cx.host.line(source::cmdline::PATH).map(|line| line.and_then(|text| cmdline::allowed(&text)));
    Ok(Facts::new(release.full)
        .with(&MAJOR, release.major)
        .with(&MINOR, release.minor)
        .with_some(&PATCH, release.patch)
        .with_some(&FLAVOR, release.flavor)
        .with_read(&PREEMPTION, preemption)
        .with_read(&BUILD, build)
        .with_read(&TAINTS, taints)
        .with_read(&CMDLINE, cmdline)
        .with_read(&CLOCKSOURCE, cx.host.line(CLOCKSOURCE_PATH))
        .with_read(&BTF, btf(&cx.host))
        .with_read(&FEATURES, features::features(&cx.host))
        .with_read(&FIPS, fips(&cx.host))
        .with_read(&LOCKDOWN, lockdown::lockdown(&cx.host))
        .into())
}

fn btf(host: &HostRoot) -> Result<Option<bool>, HostError> {
    if host.exists(SYSFS_PATH)? { host.exists(BTF_PATH).map(Some) } else { Ok(None) }
}

/// A kernel that was built without FIPS mode has no such file; neither has a host without `/proc/sys`.
fn fips(host: &HostRoot) -> Result<Option<bool>, HostError> {
    match host.number(FIPS_PATH)? {
        Some(enabled) => Ok(Some(enabled == 1)),
        None => Ok(host.exists(release::PATH)?.then_some(false)),
    }
}
