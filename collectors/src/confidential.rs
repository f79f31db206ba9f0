//! `confidential`: whether the node's memory is encrypted against its host, and whether it can run such
//! guests itself.
//!
//! Reads `/proc/cpuinfo`, devices, and parameters of the KVM modules. A guest on AMD does not tell a pod of
//! SEV and SEV-ES, nor one of Hyper-V what the layer below it does: there only evidence that it is encrypted
//! counts, and the collector is not applicable without.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::cpulist::CpuList;
use crate::source::list::list;
use crate::source::numa::{NODES, nodes};
use crate::source::{cpuinfo, dmi};

const GUEST: Fact = Fact::primary(
    "how the memory of the node is encrypted against its host: `tdx`, `sev-snp`, `cca`, or `none`",
    "sev-snp",
    Stability::PerBoot,
);
const HOST: Fact = Fact::named(
    "host",
    "kinds of confidential guests that KVM can run here, joined by commas: `tdx`, `sev`, `sev-es`, `sev-snp`; `none` for \
     none; not there while KVM is not loaded",
    "sev,sev-es,sev-snp",
    Stability::Dynamic,
)
.kind(Kind::List);
const SGX_EPC: Fact = Fact::named(
    "sgx-epc-bytes",
    "bytes of memory that SGX keeps for enclaves; not there without SGX",
    "8522825728",
    Stability::PerBoot,
)
.kind(Kind::Bytes);

/// The collector.
pub static CONFIDENTIAL: Collector = Collector::new(
    "confidential",
    Topic::Machine,
    "Confidential computing, as guest and as host",
    &[GUEST, HOST, SGX_EPC],
    Collect::Blocking(collect),
)
.reads(&[
    cpuinfo::PATH,
    DEVICES[0].0,
    DEVICES[1].0,
    DEVICES[2].0,
    DEVICES[3].0,
    "/sys/class/dmi/id/sys_vendor",
    PARAMETERS[0].0,
    "/sys/module/kvm_amd/parameters/sev*",
    "/sys/devices/system/node/online",
    "/sys/devices/system/node/node*/x86/sgx_total_bytes",
])
.not_applicable("in guests of AMD and Hyper-V without evidence of encryption, on s390x, ppc64le and riscv64");

register!(CONFIDENTIAL);

/// Devices that only a confidential guest has, by what they are evidence of.
const DEVICES: [(&str, &str); 4] = [
    // From Linux 6.11 on, and where it was moved to.
    ("/sys/devices/system/cpu/sev/vmpl", "sev-snp"),
    ("/sys/hypervisor/sev/vmpl", "sev-snp"),
    // From Linux 5.19 on.
    ("/sys/devices/platform/sev-guest", "sev-snp"),
    ("/sys/devices/platform/arm-cca-dev", "cca"),
];

/// Parameters that say which guests KVM can run.
const PARAMETERS: [(&str, &str); 4] = [
    ("/sys/module/kvm_intel/parameters/tdx", "tdx"),
    ("/sys/module/kvm_amd/parameters/sev", "sev"),
    ("/sys/module/kvm_amd/parameters/sev_es", "sev-es"),
    ("/sys/module/kvm_amd/parameters/sev_snp", "sev-snp"),
];

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let Some(guest) = guest(host)? else {
        return Ok(Collected::not_applicable(
            "nothing says that memory is encrypted, and this kind of guest would not tell a pod of all ways",
        ));
    };
    Ok(Facts::new(guest).with_read(&HOST, can_host(host)).with_read(&SGX_EPC, sgx_epc(host)).into())
}

/// `None` where nothing tells.
fn guest(host: &HostRoot) -> Result<Option<&'static str>, HostError> {
    let cpuinfo = host.read(cpuinfo::PATH)?;
    let cpu = Cpu::parse(cpuinfo::whole(&cpuinfo));
    if cpu == Cpu::Tdx {
        return Ok(Some("tdx"));
    }
    for (path, kind) in DEVICES {
        if host.exists(path)? {
            return Ok(Some(kind));
        }
    }
    let is_none = match cpu {
        Cpu::TellsAll => true,
        Cpu::IntelGuest => {
            !dmi::read(host, "sys_vendor")?.is_some_and(|vendor| vendor.starts_with("Microsoft"))
        }
        Cpu::Tdx | Cpu::Silent => false,
    };
    Ok(is_none.then_some("none"))
}

/// What the first CPU says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cpu {
    /// That it is a TDX guest's.
    Tdx,
    /// That it is no guest's, or one of Arm: a kernel in a realm knows it.
    TellsAll,
    /// That it is a guest's, and no TDX guest's as far as the kernel knows.
    IntelGuest,
    /// Nothing that says whether the memory of a guest is encrypted.
    Silent,
}

impl Cpu {
    fn parse(text: &str) -> Self {
        let Some(cpu) = cpuinfo::cpus(text).next() else { return Self::Silent };
        if cpu.get("CPU implementer").is_some() {
            return Self::TellsAll;
        }
        let Some(flags) = cpu.get("flags") else { return Self::Silent };
        let has = |flag| flags.split_ascii_whitespace().any(|word| word == flag);
        match cpu.get("vendor_id") {
            _ if has("tdx_guest") => Self::Tdx,
            _ if !has("hypervisor") => Self::TellsAll,
            Some("GenuineIntel") => Self::IntelGuest,
            _ => Self::Silent,
        }
    }
}

fn can_host(host: &HostRoot) -> Result<Option<String>, HostError> {
    let mut kinds = Vec::new();
    let mut is_told = false;
    for (path, kind) in PARAMETERS {
        if let Some(value) = host.line(path)? {
            is_told = true;
            if matches!(value.as_str(), "Y" | "1") {
                kinds.push(kind);
            }
        }
    }
    Ok(is_told.then(|| list(kinds)))
}

/// Each NUMA node has a part of it.
fn sgx_epc(host: &HostRoot) -> Result<Option<u64>, HostError> {
    let mut sum: Option<u64> = None;
    for node in nodes(host, "online")?.iter().flat_map(CpuList::iter) {
        let bytes = host.number(&format!("{NODES}/node{node}/x86/sgx_total_bytes"))?;
        sum = bytes.map_or(sum, |bytes| Some(sum.unwrap_or(0).saturating_add(bytes)));
    }
    Ok(sum.filter(|bytes| *bytes > 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_tdx_guest_has_the_flag() {
        for (text, cpu) in [
            ("processor: 0\nvendor_id: GenuineIntel\nflags: fpu hypervisor tdx_guest\n", Cpu::Tdx),
            ("processor: 0\nvendor_id: GenuineIntel\nflags: fpu hypervisor\n", Cpu::IntelGuest),
            ("processor: 0\nvendor_id: GenuineIntel\nflags: fpu tdx_host_platform\n", Cpu::TellsAll),
            // What the CPU offers to a host says nothing of a guest.
            ("processor: 0\nvendor_id: AuthenticAMD\nflags: fpu sev sev_es sev_snp\n", Cpu::TellsAll),
            ("processor: 0\nvendor_id: AuthenticAMD\nflags: fpu hypervisor sev sev_es\n", Cpu::Silent),
            ("processor: 0\nCPU implementer: 0x41\n", Cpu::TellsAll),
            ("processor 0: version = FF,  identification = 0133E8,  machine = 3931\n", Cpu::Silent),
            ("", Cpu::Silent),
        ] {
            assert_eq!(Cpu::parse(text), cpu, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|((processor|flags|vendor_id|tdx_guest)[ :\n]{0,3}){0,9}") {
            let _ = Cpu::parse(&text);
        }
    }
}
