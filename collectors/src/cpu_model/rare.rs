//! Architectures that are rare among nodes: as much as their `/proc/cpuinfo` tells.

use super::Description;
use crate::source::cpuinfo::Cpu;

/// IBM mainframes, by machine type.
///
/// The kernel's list is `arch/s390/kernel/processor.c`; IBM's own names tell the models of one generation
/// apart.
const MAINFRAMES: &[(&str, &str)] = &[
    ("2097", "IBM z10 EC"),
    ("2098", "IBM z10 BC"),
    ("2817", "IBM z196"),
    ("2818", "IBM z114"),
    ("2827", "IBM zEC12"),
    ("2828", "IBM zBC12"),
    ("2964", "IBM z13"),
    ("2965", "IBM z13s"),
    ("3906", "IBM z14"),
    ("3907", "IBM z14 ZR1"),
    ("3931", "IBM z16"),
    ("3932", "IBM z16 A02"),
    ("8561", "IBM z15"),
    ("8562", "IBM z15 T02"),
    ("9175", "IBM z17"),
    ("9176", "IBM z17"),
];

/// Vendors of RISC-V cores, by the number that JEDEC gave them.
///
/// The kernel's list is `arch/riscv/include/asm/vendorid_list.h`, QEMU's `target/riscv/cpu_vendorid.h`.
const RISCV_VENDORS: &[(u64, &str)] = &[
    (0x029, "Microchip"),
    (0x31e, "Andes"),
    (0x489, "SiFive"),
    (0x5b7, "T-Head"),
    (0x61f, "Ventana"),
    (0x710, "SpacemiT"),
    (0x722, "MIPS"),
];

/// Describes a CPU of s390x, ppc64le or riscv, or any other whose kernel prints a name.
pub(super) fn describe(cpu: &Cpu<'_>) -> Option<Description> {
    s390x(cpu).or_else(|| power(cpu)).or_else(|| riscv(cpu)).or_else(|| named(cpu))
}

fn s390x(cpu: &Cpu<'_>) -> Option<Description> {
    cpu.get("identification")?;
    let machine = cpu.text("machine").filter(|machine| machine.bytes().any(|digit| digit != b'0'))?;
    let name = MAINFRAMES.iter().find(|(code, _)| *code == machine).map(|(_, name)| (*name).to_owned());
    Some(Description {
        model: name.unwrap_or_else(|| format!("s390x-{machine}")),
        vendor: Some("IBM".to_owned()),
        model_id: Some(machine),
        ..Description::default()
    })
}

/// `cpu : Power11 (architected), altivec supported` and `revision : 18.0 (pvr 0082 1200)`.
///
/// A processor that is newer than its kernel is `cpu : unknown (00831200)`, and named by that number.
fn power(cpu: &Cpu<'_>) -> Option<Description> {
    let line = cpu.text("cpu")?;
    let name = line.split(',').next()?.trim();
    let revision = cpu.text("revision");
    let version = name.strip_prefix("unknown (").and_then(|rest| rest.strip_suffix(')'));
    let model = version.map_or_else(|| name.to_owned(), |version| format!("power-0x{version}"));
    let of_ibm = name.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("power"));
    (!name.is_empty()).then(|| Description {
        model,
        vendor: of_ibm.then(|| "IBM".to_owned()),
        stepping: revision.and_then(|text| text.split(' ').next().map(str::to_owned)),
        ..Description::default()
    })
}

/// The device tree's name of the core, or vendor and architecture numbers, which are 0 where a core does not
/// tell them.
fn riscv(cpu: &Cpu<'_>) -> Option<Description> {
    let isa = cpu.text("isa").filter(|isa| isa.starts_with("rv"))?;
    let number = |key| cpu.hexadecimal(key).filter(|number| *number != 0);
    let vendor = number("mvendorid");
    let numbers = || Some(format!("riscv-{:#x}-{:#x}", vendor?, number("marchid")?));
    let name =
        |vendor| RISCV_VENDORS.iter().find(|(code, _)| *code == vendor).map(|(_, name)| (*name).to_owned());
    Some(Description {
        model: cpu.text("uarch").or_else(numbers).unwrap_or(isa),
        vendor: vendor.and_then(name),
        model_id: number("marchid").map(|number| format!("{number:#x}")),
        may_number_clusters: true,
        ..Description::default()
    })
}

fn named(cpu: &Cpu<'_>) -> Option<Description> {
    let model = ["model name", "Model Name", "cpu model"].iter().find_map(|key| cpu.text(key))?;
    (model != "unknown").then(|| Description {
        model,
        vendor: cpu.text("vendor_id"),
        ..Description::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_without_duplicates() {
        assert!(MAINFRAMES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(RISCV_VENDORS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
