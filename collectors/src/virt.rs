//! `virt`: the hypervisor that the node runs on, in the words of `systemd-detect-virt`.

use node_annotator_core::context::HostError;
use node_annotator_core::label::NfdLabels;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Stability, Topic, register,
};

use crate::source::{cpuinfo, dmi};

const HYPERVISOR: Fact = Fact::primary(
    "hypervisor that the node is a guest of: `kvm`, `qemu`, `amazon`, `google`, `microsoft`, `vmware`, `oracle`, `xen`, \
     `parallels`, `bhyve`, `bochs`, `apple`, `uml`, `powervm`, `zvm`, `vm-other` for one that does not say its name; \
     `none` on bare metal",
    "kvm",
    Stability::PerBoot,
);

/// The collector.
pub static VIRT: Collector = Collector::new(
    "virt",
    Topic::System,
    "Hypervisor that the node runs on, or `none`",
    &[HYPERVISOR],
    Collect::Blocking(collect),
)
.reads(&[
    cpuinfo::PATH,
    SYSINFO_PATH,
    XEN_TYPE_PATH,
    XEN_FEATURES_PATH,
    "/sys/class/dmi/id/*",
    CLOCKSOURCES_PATH,
    QEMU_DEVICE_PATH,
])
.not_applicable("where nothing tells of a hypervisor, and bare metal does not tell of itself: arm64, riscv64")
.nfd(NfdLabels { names: &["cpu-model.hypervisor"], value: nfd_value });

register!(VIRT);

/// On s390x alone.
const SYSINFO_PATH: &str = "/proc/sysinfo";
const XEN_TYPE_PATH: &str = "/sys/hypervisor/type";
const XEN_FEATURES_PATH: &str = "/sys/hypervisor/properties/features";
const CLOCKSOURCES_PATH: &str = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
/// The device by which QEMU gives its guest the configuration, on machines with ACPI.
const QEMU_DEVICE_PATH: &str = "/sys/bus/acpi/devices/QEMU0002:00";

/// Of `XEN_FEATURES_PATH`, the bit of the domain that controls the machine (`XENFEAT_dom0`).
const XEN_DOM0: u64 = 1 << 11;

/// The hypervisor as Node Feature Discovery has it in a label: by the word that CPUID has, which is the same
/// in several clouds. Where that is not known it is not told.
fn nfd_value(_: &str, facts: &Facts) -> Option<String> {
    let word = match facts.get(None)? {
        same @ ("none" | "kvm" | "vmware" | "bhyve") => same,
        "microsoft" => "msvm",
        _ => return None,
    };
    Some(word.to_owned())
}

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    Ok(match hypervisor(&cx.host)? {
        Some(word) => Facts::new(word).into(),
        None => Collected::not_applicable(
            "neither CPU, DMI, clock sources nor devices tell of a hypervisor, and bare metal of this architecture does not tell \
             of itself",
        ),
    })
}

/// What is certain comes first, and `none` only of what would say otherwise on a guest.
fn hypervisor(host: &HostRoot) -> Result<Option<&'static str>, HostError> {
    if let Some(text) = host.text(SYSINFO_PATH)? {
        return Ok(Some(of_sysinfo(&text)));
    }
    if host.line(XEN_TYPE_PATH)?.as_deref() == Some("xen") {
        let features = host.line(XEN_FEATURES_PATH)?;
        return Ok(Some(if features.is_some_and(|text| is_dom0(&text)) { "none" } else { "xen" }));
    }
    let cpuinfo = host.read(cpuinfo::PATH)?;
    let cpu = of_cpuinfo(cpuinfo::whole(&cpuinfo));
    if let Some(Cpu::Says(word)) = cpu {
        return Ok(Some(word));
    }
    if let Some(word) = of_dmi(host, &FIRST)? {
        return Ok(Some(word));
    }
    if let Some(word) = host.line(CLOCKSOURCES_PATH)?.and_then(|text| of_clocksources(&text)) {
        return Ok(Some(word));
    }
    if let Some(word) = of_dmi(host, &LATER)? {
        return Ok(Some(word));
    }
    if host.exists(QEMU_DEVICE_PATH)? {
        return Ok(Some("qemu"));
    }
    Ok(cpu.map(|_| "vm-other"))
}

/// What a CPU says of what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cpu {
    /// That it is a guest's.
    Guest,
    /// All that there is to say.
    Says(&'static str),
}

/// x86 has a flag for guests, and POWER a line behind the CPUs. Arm has nothing.
fn of_cpuinfo(text: &str) -> Option<Cpu> {
    let field = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim()).next()
    };
    if let Some(platform) = field("platform") {
        return match (platform, field("model")) {
            ("PowerNV", _) => Some(Cpu::Says("none")),
            ("pSeries", Some(model)) if model.contains("qemu") => Some(Cpu::Says("kvm")),
            ("pSeries", _) => Some(Cpu::Says("powervm")),
            _ => None,
        };
    }
    if field("vendor_id") == Some("User Mode Linux") {
        return Some(Cpu::Says("uml"));
    }
    let flags = field("flags").filter(|flags| !flags.is_empty())?;
    let is_guest = flags.split_ascii_whitespace().any(|flag| flag == "hypervisor");
    Some(if is_guest { Cpu::Guest } else { Cpu::Says("none") })
}

/// A logical partition of the machine itself has no control program.
fn of_sysinfo(text: &str) -> &'static str {
    let programs = text.lines().filter_map(|line| line.split_once("Control Program:"));
    match programs.map(|(_, name)| name.trim()).next() {
        None => "none",
        Some(name) if name.starts_with("z/VM") => "zvm",
        Some(name) if name.starts_with("KVM") => "kvm",
        Some(_) => "vm-other",
    }
}

fn is_dom0(features: &str) -> bool {
    u64::from_str_radix(features.trim(), 16).is_ok_and(|bits| bits & XEN_DOM0 != 0)
}

/// Clock sources that a hypervisor offers to its guests alone, as `available_clocksource` lists them.
fn of_clocksources(text: &str) -> Option<&'static str> {
    text.split_ascii_whitespace().find_map(|name| match name {
        "kvm-clock" => Some("kvm"),
        "xen" => Some("xen"),
        _ if name.starts_with("hyperv_") => Some("microsoft"),
        _ => None,
    })
}

/// Firmware that says more than the clock sources below it, most of which are KVM's.
const FIRST: [(&str, &str); 7] = [
    ("Amazon EC2", "amazon"),
    ("Google", "google"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Parallels", "parallels"),
    ("VMware", "vmware"),
];

/// Firmware that may have another hypervisor below it.
const LATER: [(&str, &str); 10] = [
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("VMW", "vmware"),
    ("QEMU", "qemu"),
    ("Bochs", "bochs"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Virtual Machine", "microsoft"),
    ("Apple Virtualization", "apple"),
];

/// The strings in which firmware of hypervisors says its name.
const DMI: [&str; 5] = ["product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version"];

/// Machines of the cloud's that are rented whole have its name too.
fn of_dmi(host: &HostRoot, table: &[(&str, &'static str)]) -> Result<Option<&'static str>, HostError> {
    let mut found = None;
    for name in DMI {
        let Some(text) = dmi::read(host, name)? else { continue };
        if name == "product_name" && is_metal(&text) {
            return Ok(Some("none"));
        }
        let row = table.iter().find(|(start, _)| text.starts_with(start));
        found = found.or(row.map(|(_, word)| *word));
    }
    Ok(found)
}

/// The types of EC2 that are no guests: `a1.metal`, `m7g.metal-16xl`.
fn is_metal(product: &str) -> bool {
    product.split_once('.').is_some_and(|(_, size)| size == "metal" || size.starts_with("metal-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_says_whether_it_is_a_guests() {
        for (text, says) in [
            ("processor\t: 0\nflags\t\t: fpu vme hypervisor lahf_lm\n", Some(Cpu::Guest)),
            ("processor\t: 0\nflags\t\t: fpu vme nohypervisor\n", Some(Cpu::Says("none"))),
            ("processor\t: 0\nflags\t\t:\n", None),
            ("vendor_id\t: User Mode Linux\nmodel name\t: UML\n", Some(Cpu::Says("uml"))),
            ("processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n", None),
            ("timebase\t: 512000000\nplatform\t: PowerNV\nmodel\t\t: 9006-22P\n", Some(Cpu::Says("none"))),
            ("platform\t: pSeries\nmodel\t\t: IBM,9009-42A\n", Some(Cpu::Says("powervm"))),
            ("platform\t: pSeries\nmodel\t\t: IBM pSeries (emulated by qemu)\n", Some(Cpu::Says("kvm"))),
        ] {
            assert_eq!(of_cpuinfo(text), says, "{text}");
        }
    }

    #[test]
    fn a_mainframe_names_its_control_program() {
        for (text, word) in [
            ("Manufacturer:         IBM\nLPAR Number:          12\n", "none"),
            ("LPAR Number: 12\nVM00 Name: LINUX1\nVM00 Control Program: z/VM    7.2.0\n", "zvm"),
            ("VM00 Control Program: KVM/Linux\n", "kvm"),
            ("VM00 Control Program: another\n", "vm-other"),
        ] {
            assert_eq!(of_sysinfo(text), word, "{text}");
        }
    }

    #[test]
    fn clock_sources_of_guests_are_told_from_those_of_all_machines() {
        for (text, word) in [
            ("kvm-clock tsc acpi_pm", Some("kvm")),
            ("hyperv_clocksource_tsc_page acpi_pm", Some("microsoft")),
            ("tsc xen hpet", Some("xen")),
            ("tsc hpet acpi_pm", None),
            ("arch_sys_counter", None),
        ] {
            assert_eq!(of_clocksources(text), word, "{text}");
        }
    }

    #[test]
    fn the_domain_that_controls_a_machine_is_not_a_guest() {
        assert!(is_dom0("00002f05 ".trim()) && is_dom0("800"));
        assert!(!is_dom0("000026d1") && !is_dom0("none"));
    }

    #[test]
    fn machines_that_are_rented_whole_are_told_by_their_type() {
        for (product, metal) in
            [("a1.metal", true), ("m7g.metal-16xl", true), ("t4g.medium", false), ("x.metallic", false)]
        {
            assert_eq!(is_metal(product), metal, "{product}");
        }
    }
}
