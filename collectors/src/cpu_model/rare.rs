//! Architectures that are rare among nodes: as much as their `/proc/cpuinfo` tells without a table of parts.

use super::Description;
use crate::source::cpuinfo::Cpu;

/// IBM mainframes, by machine type.
const MAINFRAMES: &[(&str, &str)] = &[
    ("2964", "IBM z13"),
    ("2965", "IBM z13s"),
    ("3906", "IBM z14"),
    ("3907", "IBM z14 ZR1"),
    ("3931", "IBM z16"),
    ("3932", "IBM z16 A02"),
    ("8561", "IBM z15"),
    ("8562", "IBM z15 T02"),
    ("9175", "IBM z17"),
];

/// Describes a CPU of s390x, ppc64le or riscv, or any other whose kernel prints a `model name`.
pub(super) fn describe(cpu: &Cpu<'_>) -> Option<Description> {
    s390x(cpu).or_else(|| ppc64le(cpu)).or_else(|| riscv(cpu)).or_else(|| named(cpu))
}

fn s390x(cpu: &Cpu<'_>) -> Option<Description> {
    cpu.get("identification")?;
    let machine = cpu.text("machine")?;
    let name = MAINFRAMES.iter().find(|(code, _)| *code == machine).map(|(_, name)| (*name).to_owned());
    Some(Description {
        model: name.unwrap_or_else(|| format!("s390x-{machine}")),
        vendor: Some("IBM".to_owned()),
        model_id: Some(machine),
        ..Description::default()
    })
}

/// `cpu : POWER9 (architected), altivec supported` and `revision : 2.2 (pvr 004e 1202)`.
fn ppc64le(cpu: &Cpu<'_>) -> Option<Description> {
    let name = cpu.text("cpu").filter(|name| name.starts_with("POWER"))?;
    let revision = cpu.text("revision");
    Some(Description {
        model: name.split(',').next()?.trim().to_owned(),
        vendor: Some("IBM".to_owned()),
        stepping: revision.and_then(|text| text.split(' ').next().map(str::to_owned)),
        ..Description::default()
    })
}

/// The device tree's name of the core, or vendor and architecture numbers.
fn riscv(cpu: &Cpu<'_>) -> Option<Description> {
    let isa = cpu.text("isa").filter(|isa| isa.starts_with("rv"))?;
    let number = |key| cpu.hexadecimal(key).map(|number| format!("{number:#x}"));
    let numbers = || Some(format!("riscv-{}-{}", number("mvendorid")?, number("marchid")?));
    Some(Description {
        model: cpu.text("uarch").or_else(numbers).unwrap_or(isa),
        model_id: number("marchid"),
        ..Description::default()
    })
}

fn named(cpu: &Cpu<'_>) -> Option<Description> {
    let model = ["model name", "Model Name", "cpu model"].iter().find_map(|key| cpu.text(key))?;
    Some(Description { model, vendor: cpu.text("vendor_id"), ..Description::default() })
}
