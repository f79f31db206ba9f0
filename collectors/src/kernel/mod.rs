//! `kernel`: the running kernel's release, and what tells two kernels of one release apart.

mod build;
mod cmdline;
mod release;
mod taints;

use std::time::Duration;

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Enabled, Fact, Facts, Stability, register,
};

use release::Release;

/// The collector.
pub static KERNEL: Collector = Collector {
    name: "kernel",
    summary: "Release, build and state of the running kernel",
    facts: &[
        Fact::primary("release, as `uname -r` prints it", "6.8.0-1015-aws", Stability::PerBoot),
        Fact::named("major", "first number of the release", "6", Stability::PerBoot),
        Fact::named("minor", "second number of the release", "8", Stability::PerBoot),
        Fact::named("patch", "third number of the release", "0", Stability::PerBoot),
        Fact::named(
            "flavor",
            "what follows the numbers of the release: the distribution's name for the build",
            "aws",
            Stability::PerBoot,
        ),
        Fact::named(
            "build",
            "build number, options and date, as `uname -v` prints them",
            "#16-Ubuntu SMP Mon Aug 19 19:38:17 UTC 2024",
            Stability::PerBoot,
        ),
        Fact::named(
            "preemption",
            "preemption model that the build names: `preempt`, `preempt-dynamic` (picked at boot), `preempt-rt`, or `none`, \
             which also stands for voluntary preemption",
            "preempt-dynamic",
            Stability::PerBoot,
        ),
        Fact::named(
            "taints",
            "letters of the taint flags, as the kernel documents them, joined by commas; `bit-N` where it has no letter yet; \
             `none` for an untainted kernel",
            "P,O,E",
            Stability::Dynamic,
        ),
        Fact {
            max_bytes: MAX_CMDLINE_BYTES,
            ..Fact::named(
                "cmdline",
                "boot parameters that are known to hold no secret (an allow-list), in order, separated by spaces",
                "isolcpus=2-15 nohz_full=2-15 mitigations=off",
                Stability::PerBoot,
            )
        },
        Fact::named(
            "clocksource",
            "clock source in use; `acpi_pm` and `hpet` are slow",
            "tsc",
            Stability::Dynamic,
        ),
        Fact::named(
            "btf",
            "whether the kernel carries its type information, which portable eBPF programs need: `true` or `false`",
            "true",
            Stability::PerBoot,
        ),
    ],
    retired: &[],
    needs: &[],
    variables: &[],
    timeout: Duration::from_secs(5),
    enabled: Enabled::ByDefault,
    collect: Collect::Blocking(collect),
};

register!(KERNEL);

/// What the kernel itself takes on x86 and arm64.
const MAX_CMDLINE_BYTES: usize = 2048;

const RELEASE: &str = "/proc/sys/kernel/osrelease";
const BUILD: &str = "/proc/sys/kernel/version";
const TAINTED: &str = "/proc/sys/kernel/tainted";
const CMDLINE: &str = "/proc/cmdline";
const CLOCKSOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// The directory of [`BTF`] is there only with BTF; this one is wherever sysfs is.
const SYSFS: &str = "/sys/kernel";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let text = cx.host.read(RELEASE)?;
    let Some(release) = Release::parse(&text) else {
        return Err(CollectError::new(format!("`{RELEASE}` holds no kernel release")));
    };
    let build = read_line(cx, BUILD)?;
    let btf = cx.host.exists(SYSFS).then(|| cx.host.exists(BTF));
    Ok(Facts::new(release.full)
        .with("major", release.major)
        .with("minor", release.minor)
        .with_some("patch", release.patch)
        .with_some("flavor", release.flavor)
        .with_some("preemption", build.as_deref().map(build::preemption))
        .with_some("build", build)
        .with_some("taints", read_line(cx, TAINTED)?.and_then(|text| taints::parse(&text)))
        .with_some("cmdline", read_line(cx, CMDLINE)?.and_then(|text| cmdline::allowed(&text)))
        .with_some("clocksource", read_line(cx, CLOCKSOURCE)?)
        .with_some("btf", btf)
        .into())
}

/// The text of a file without which the others still make sense; a path that the container runtime masks reads as empty.
fn read_line(cx: &Context, path: &str) -> Result<Option<String>, CollectError> {
    let text = cx.host.read_if_present(path)?;
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}
