//! Arm: the kernel prints no name, only who made the core and which part it is.

mod names;

use self::names::{CORES, IMPLEMENTERS};
use super::Description;
use crate::source::cpuinfo::Cpu;

const IMPLEMENTER: &str = "CPU implementer";
const PART: &str = "CPU part";

/// Whether the fields are those that the kernel prints on Arm. A 32-bit personality also prints a `model
/// name`, which only repeats the version of the architecture.
pub(super) fn is_arm(cpu: &Cpu<'_>) -> bool {
    cpu.get(IMPLEMENTER).is_some()
}

/// Describes a core by its implementer and part; `None` if it does not tell them.
///
/// Hypervisors that hide the core write 0 in their place. A few cores really have the part 0: those in the
/// table.
pub(super) fn describe(cpu: &Cpu<'_>) -> Option<Description> {
    let field = |key, bits: u32| cpu.hexadecimal(key).filter(|value| value >> bits == 0);
    let implementer = field(IMPLEMENTER, 8).filter(|code| *code != 0)?;
    let part = field(PART, 12)?;
    let vendor = IMPLEMENTERS.iter().find(|(code, _)| *code == implementer);
    let stepping = match (field("CPU variant", 4), cpu.decimal("CPU revision")) {
        (Some(variant), Some(revision)) => Some(format!("r{variant}p{revision}")),
        _ => None,
    };
    Some(Description {
        model: model(implementer, part)?,
        vendor: vendor.map(|(_, name)| (*name).to_owned()),
        model_id: Some(format!("{part:#05x}")),
        stepping,
        may_number_clusters: true,
        ..Description::default()
    })
}

/// What the core tells, for a reason why it is not described.
pub(super) fn told(cpu: &Cpu<'_>) -> String {
    let field = |key| cpu.text(key).unwrap_or_else(|| "none".to_owned());
    format!(
        "the Arm core does not tell which it is (implementer {}, part {})",
        field(IMPLEMENTER),
        field(PART)
    )
}

fn model(implementer: u64, part: u64) -> Option<String> {
    match CORES.iter().find(|core| (core.0, core.1) == (implementer, part)) {
        Some((_, _, name)) => Some((*name).to_owned()),
        None => (part != 0).then(|| format!("arm-{implementer:#04x}-{part:#05x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_have_their_names_and_unknown_ones_their_numbers() {
        for (implementer, part, name) in [
            (0x41, 0xd0c, "Neoverse-N1"),
            (0x41, 0xd8e, "Neoverse-N3"),
            (0x41, 0xd84, "Neoverse-V3"),
            (0x4e, 0x010, "Olympus"),
            (0x50, 0x000, "X-Gene"),
            (0x6d, 0xd49, "Azure-Cobalt-100"),
            (0xc0, 0xac3, "Ampere-1"),
            (0x41, 0xfff, "arm-0x41-0xfff"),
            (0x1, 0x2, "arm-0x01-0x002"),
        ] {
            assert_eq!(model(implementer, part).as_deref(), Some(name));
        }
        assert_eq!(model(0x61, 0), None);
    }
}
