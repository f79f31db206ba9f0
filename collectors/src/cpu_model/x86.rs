//! x86: the kernel prints what CPUID says.

use super::Description;
use super::isa_level::IsaLevel;
use crate::source::cpuinfo::Cpu;

/// Describes a CPU that has a family and a vendor; `None` if it is of another architecture.
///
/// Some hypervisors hide the model's name: then it is put together from the numbers, `x86-GenuineIntel-6-85`.
pub(super) fn describe(cpu: &Cpu<'_>) -> Option<Description> {
    let told = |key| cpu.text(key).filter(|text| text != "unknown");
    cpu.get("vendor_id")?;
    let vendor = told("vendor_id");
    let family = cpu.decimal("cpu family")?;
    let model_id = cpu.decimal("model");
    let model =
        told("model name").or_else(|| Some(format!("x86-{}-{family}-{}", vendor.as_deref()?, model_id?)))?;
    Some(Description {
        model,
        vendor,
        family: Some(family.to_string()),
        model_id: model_id.map(|id| id.to_string()),
        stepping: cpu.decimal("stepping").map(|stepping| stepping.to_string()),
        microcode: cpu.hexadecimal("microcode").map(|revision| format!("{revision:#x}")),
        isa_level: cpu.get("flags").and_then(IsaLevel::from_flags),
        may_number_clusters: false,
    })
}
