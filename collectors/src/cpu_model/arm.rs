//! ARM: the kernel prints no name, only who made the core and which part it is.

use super::Description;
use crate::source::cpuinfo::Cpu;

/// Implementers, by the code in the main ID register.
const IMPLEMENTERS: &[(u64, &str)] = &[
    (0x41, "ARM"),
    (0x42, "Broadcom"),
    (0x43, "Cavium"),
    (0x46, "Fujitsu"),
    (0x48, "HiSilicon"),
    (0x4e, "NVIDIA"),
    (0x50, "APM"),
    (0x51, "Qualcomm"),
    (0x53, "Samsung"),
    (0x56, "Marvell"),
    (0x61, "Apple"),
    (0x6d, "Microsoft"),
    (0x70, "Phytium"),
    (0xc0, "Ampere"),
];

/// Cores that are found in servers, on boards and in desktops, by implementer and part.
const CORES: &[(u64, u64, &str)] = &[
    (0x41, 0xd03, "Cortex-A53"),
    (0x41, 0xd04, "Cortex-A35"),
    (0x41, 0xd05, "Cortex-A55"),
    (0x41, 0xd06, "Cortex-A65"),
    (0x41, 0xd07, "Cortex-A57"),
    (0x41, 0xd08, "Cortex-A72"),
    (0x41, 0xd09, "Cortex-A73"),
    (0x41, 0xd0a, "Cortex-A75"),
    (0x41, 0xd0b, "Cortex-A76"),
    (0x41, 0xd0c, "Neoverse-N1"),
    (0x41, 0xd0d, "Cortex-A77"),
    (0x41, 0xd0e, "Cortex-A76AE"),
    (0x41, 0xd40, "Neoverse-V1"),
    (0x41, 0xd41, "Cortex-A78"),
    (0x41, 0xd42, "Cortex-A78AE"),
    (0x41, 0xd44, "Cortex-X1"),
    (0x41, 0xd46, "Cortex-A510"),
    (0x41, 0xd47, "Cortex-A710"),
    (0x41, 0xd48, "Cortex-X2"),
    (0x41, 0xd49, "Neoverse-N2"),
    (0x41, 0xd4a, "Neoverse-E1"),
    (0x41, 0xd4b, "Cortex-A78C"),
    (0x41, 0xd4d, "Cortex-A715"),
    (0x41, 0xd4e, "Cortex-X3"),
    (0x41, 0xd4f, "Neoverse-V2"),
    (0x41, 0xd80, "Cortex-A520"),
    (0x41, 0xd81, "Cortex-A720"),
    (0x41, 0xd82, "Cortex-X4"),
    (0x41, 0xd83, "Neoverse-V3AE"),
    (0x41, 0xd84, "Neoverse-V3"),
    (0x41, 0xd85, "Cortex-X925"),
    (0x41, 0xd87, "Cortex-A725"),
    (0x42, 0x516, "ThunderX2"),
    (0x43, 0x0a0, "ThunderX"),
    (0x43, 0x0a1, "ThunderX-88XX"),
    (0x43, 0x0af, "ThunderX2-99xx"),
    (0x43, 0x0b0, "OcteonTX2"),
    (0x43, 0x0b8, "ThunderX3-T110"),
    (0x46, 0x001, "A64FX"),
    (0x48, 0xd01, "TaiShan-v110"),
    (0x48, 0xd02, "TaiShan-v120"),
    (0x4e, 0x004, "Carmel"),
    (0x50, 0x000, "X-Gene"),
    (0x51, 0x001, "Oryon"),
    (0x51, 0xc00, "Falkor"),
    (0x61, 0x022, "Icestorm-M1"),
    (0x61, 0x023, "Firestorm-M1"),
    (0x61, 0x032, "Blizzard-M2"),
    (0x61, 0x033, "Avalanche-M2"),
    (0x6d, 0xd49, "Azure-Cobalt-100"),
    (0xc0, 0xac3, "Ampere-1"),
    (0xc0, 0xac4, "Ampere-1a"),
];

/// Describes a core that names its implementer and part; `None` if it is of another architecture.
///
/// A 32-bit personality also prints a `model name`, which only repeats the architecture's version.
pub(super) fn describe(cpu: &Cpu<'_>) -> Option<Description> {
    let field = |key, bits: u32| cpu.hexadecimal(key).filter(|value| value >> bits == 0);
    let implementer = field("CPU implementer", 8)?;
    let part = field("CPU part", 12)?;
    let vendor =
        IMPLEMENTERS.iter().find(|(code, _)| *code == implementer).map(|(_, name)| (*name).to_owned());
    let stepping = match (field("CPU variant", 4), cpu.decimal("CPU revision")) {
        (Some(variant), Some(revision)) => Some(format!("r{variant}p{revision}")),
        _ => None,
    };
    Some(Description {
        model: model(implementer, part),
        vendor: vendor.or_else(|| Some(format!("{implementer:#04x}"))),
        model_id: Some(format!("{part:#05x}")),
        stepping,
        ..Description::default()
    })
}

fn model(implementer: u64, part: u64) -> String {
    let core = CORES.iter().find(|core| (core.0, core.1) == (implementer, part));
    core.map_or_else(|| format!("arm-{implementer:#04x}-{part:#05x}"), |core| core.2.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_have_their_names_and_unknown_ones_their_numbers() {
        assert_eq!(model(0x41, 0xd0c), "Neoverse-N1");
        assert_eq!(model(0xc0, 0xac3), "Ampere-1");
        assert_eq!(model(0x41, 0xd8e), "arm-0x41-0xd8e");
        assert_eq!(model(0x1, 0x2), "arm-0x01-0x002");
    }

    #[test]
    fn the_tables_are_sorted_and_without_duplicates() {
        assert!(IMPLEMENTERS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(CORES.is_sorted_by(|a, b| (a.0, a.1) < (b.0, b.1)));
        assert!(CORES.iter().all(|core| IMPLEMENTERS.iter().any(|(code, _)| *code == core.0)));
    }
}
