//! `cpu-model`: what the CPUs are, and how many there are of them.
//!
//! Reads `/proc/cpuinfo`, whose shape differs by architecture, and the topology in sysfs. x86 and arm64 yield
//! all they have; s390x, ppc64le, riscv and whatever else prints a name yield the model and a few facts.
//! Where the kernel names processors but no model, the collector is not applicable.

mod arm;
mod isa_level;
mod nfd;
mod rare;
mod topology;
mod x86;

use std::collections::BTreeSet;

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Kind, Stability, Topic, register,
};

use self::isa_level::IsaLevel;
use self::topology::{Packages, Topology};
use crate::source::cpuinfo::{self, Cpu};

const MODEL: Fact = Fact::primary(
    "model name; several models, as on boards with big and little cores, sorted and joined by ` + `; \
     `arm-0x41-0xfff` (implementer and part) for an arm64 core without a known name; generic in some VMs",
    "AMD EPYC 7763 64-Core Processor",
    Stability::PerBoot,
);
const VENDOR: Fact = Fact::named(
    "vendor",
    "vendor: as the CPU spells it on x86, the implementer's name on arm64",
    "AuthenticAMD",
    Stability::PerBoot,
);
const FAMILY: Fact =
    Fact::named("family", "CPU family on x86, decimal", "25", Stability::PerBoot).kind(Kind::Number);
const MODEL_ID: Fact = Fact::named(
    "model-id",
    "model number: decimal on x86, the part on arm64 (`0xd0c`), the machine type on s390x",
    "1",
    Stability::PerBoot,
)
.kind(Kind::Number);
const STEPPING: Fact = Fact::named(
    "stepping",
    "stepping: decimal on x86, variant and revision on arm64 (`r3p1`), the revision on ppc64le",
    "1",
    Stability::PerBoot,
);
const MICROCODE: Fact = Fact::named(
    "microcode",
    "microcode revision on x86, hexadecimal; in a VM what the hypervisor tells",
    "0xa0011d5",
    Stability::Dynamic,
)
.kind(Kind::Number);
const ISA_LEVEL: Fact = Fact::named(
    "isa-level",
    "highest x86-64 psABI level that all CPUs reach: `x86-64-v1` to `x86-64-v4`",
    "x86-64-v3",
    Stability::PerBoot,
);
const SOCKETS: Fact = Fact::named(
    "sockets",
    "packages with an online CPU, decimal; not there where what the kernel counts may be clusters of one chip",
    "2",
    Stability::Dynamic,
)
.kind(Kind::Number);
const CORES: Fact =
    Fact::named("cores", "physical cores with an online CPU, decimal", "4", Stability::Dynamic)
        .kind(Kind::Number);
const THREADS_PER_CORE: Fact = Fact::named(
    "threads-per-core",
    "online CPUs of the core that has the most, decimal",
    "2",
    Stability::Dynamic,
)
.kind(Kind::Number);

/// The collector.
pub static CPU_MODEL: Collector = Collector::new(
    "cpu-model",
    Topic::Cpu,
    "Model, instruction set level and topology of the CPUs",
    &[MODEL, VENDOR, FAMILY, MODEL_ID, STEPPING, MICROCODE, ISA_LEVEL, SOCKETS, CORES, THREADS_PER_CORE],
    Collect::Blocking(collect),
)
.reads(&[cpuinfo::PATH, "/sys/devices/system/cpu/online", "/sys/devices/system/cpu/cpu*/topology/*"])
.nfd(nfd::LABELS);

register!(CPU_MODEL);

/// More kinds of CPU than any machine has; a longer list is junk.
const MAX_KINDS: usize = 256;

/// What one CPU says of itself, in the shapes of the facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Description {
    model: String,
    vendor: Option<String>,
    family: Option<String>,
    model_id: Option<String>,
    stepping: Option<String>,
    microcode: Option<String>,
    isa_level: Option<IsaLevel>,
    /// Whether the kernel may number the clusters of a chip as packages.
    may_number_clusters: bool,
}

/// What `/proc/cpuinfo` says of all CPUs.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    /// At least one CPU is described.
    Described { facts: Facts, packages: Packages },
    /// There are processors, and none says which it is: why.
    Unknown(String),
}

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let text = cx.host.read(cpuinfo::PATH)?;
    let (facts, packages) = match parse(cpuinfo::whole(&text))? {
        Parsed::Described { facts, packages } => (facts, packages),
        Parsed::Unknown(reason) => return Ok(Collected::unknown(reason)),
    };
    let Topology { sockets, cores, threads_per_core } = Topology::read(&cx.host);
    let facts = match sockets {
        Ok(Some(count)) if packages.may_be_clusters(count, &cx.host) => {
            facts.without(&SOCKETS, format!("the {count} packages may be clusters of one chip"))
        }
        sockets => facts.with_read(&SOCKETS, sockets),
    };
    Ok(facts.with_read(&CORES, cores).with_read(&THREADS_PER_CORE, threads_per_core).into())
}

/// Reads the facts of `/proc/cpuinfo`.
///
/// A fact on which the CPUs do not agree is left out, but for the model, which is then a set, and the
/// instruction set level, which is then the lowest.
fn parse(text: &str) -> Result<Parsed, CollectError> {
    let mut unknown = None;
    let mut described = BTreeSet::new();
    for cpu in cpuinfo::cpus(text) {
        match describe(&cpu) {
            Some(description) => drop(described.insert(description)),
            None => drop(unknown.get_or_insert_with(|| told(&cpu))),
        }
        if described.len() > MAX_KINDS {
            return Err(CollectError::new(format!(
                "`/proc/cpuinfo` describes more than {MAX_KINDS} kinds of CPU"
            ))
            .malformed());
        }
    }
    if described.is_empty() {
        let reason =
            unknown.ok_or_else(|| CollectError::new("`/proc/cpuinfo` describes no processor").malformed())?;
        return Ok(Parsed::Unknown(reason));
    }
    let models: BTreeSet<_> = described.iter().map(|cpu| cpu.model.as_str()).collect();
    let packages = if described.iter().any(|cpu| cpu.may_number_clusters) {
        Packages::OfDeviceTree { models: models.len() }
    } else {
        Packages::Sockets
    };
    let models: Vec<_> = models.into_iter().collect();
    let agreed = |fact: fn(&Description) -> &Option<String>| agreed(described.iter().map(fact));
    let facts = Facts::new(models.join(" + "))
        .with_some(&VENDOR, agreed(|cpu| &cpu.vendor))
        .with_some(&FAMILY, agreed(|cpu| &cpu.family))
        .with_some(&MODEL_ID, agreed(|cpu| &cpu.model_id))
        .with_some(&STEPPING, agreed(|cpu| &cpu.stepping))
        .with_some(&MICROCODE, agreed(|cpu| &cpu.microcode))
        .with_some(&ISA_LEVEL, described.iter().filter_map(|cpu| cpu.isa_level).min());
    Ok(Parsed::Described { facts, packages })
}

fn describe(cpu: &Cpu<'_>) -> Option<Description> {
    if arm::is_arm(cpu) {
        return arm::describe(cpu);
    }
    x86::describe(cpu).or_else(|| rare::describe(cpu))
}

/// What a processor that is not described says of itself.
fn told(cpu: &Cpu<'_>) -> String {
    if arm::is_arm(cpu) { arm::told(cpu) } else { "`/proc/cpuinfo` names no model".to_owned() }
}

/// The value that all CPUs which have one have in common.
fn agreed<'a>(values: impl Iterator<Item = &'a Option<String>>) -> Option<&'a str> {
    let distinct: BTreeSet<_> = values.flatten().map(String::as_str).collect();
    if distinct.len() == 1 { distinct.into_iter().next() } else { None }
}

#[cfg(test)]
mod tests;
