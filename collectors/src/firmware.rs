//! `firmware`: how the machine was booted, and what its firmware offers to the kernel.
//!
//! On x86 the boot loader hands the kernel a page of parameters, of which a few bytes are read here and
//! nothing else: it holds addresses and what a monitor says of itself, too. Elsewhere it is known of UEFI
//! alone, by devices that exist only with it.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::counts::words;

const BOOT_MODE: Fact = Fact::primary(
    "how the kernel was started: by `uefi`, by `bios`, or `direct`, by a hypervisor without firmware",
    "uefi",
    Stability::PerBoot,
);
const SECURE_BOOT: Fact = Fact::named(
    "secure-boot",
    "whether UEFI checked the signatures of what it booted, as the kernel's boot stub saw it: `true` or `false`; \
     x86 alone",
    "true",
    Stability::PerBoot,
)
.kind(Kind::Flag);
const TPM_VERSION: Fact = Fact::named(
    "tpm-version",
    "major version of the TPM that the kernel drives, a virtual one included; missing without one, and without its driver",
    "2",
    Stability::PerBoot,
)
.kind(Kind::Number);
const IOMMU: Fact = Fact::named(
    "iommu",
    "kinds of IOMMU that the kernel drives, joined by commas: `intel`, `amd`, `smmu`, `virtio`, `other`; `none` where it \
     drives none",
    "amd",
    Stability::PerBoot,
)
.kind(Kind::List);
const BOOT_LOADER: Fact = Fact::named(
    "boot-loader",
    "what loaded the kernel, as it says of itself: `grub`, `efi-stub` (UEFI, also for a loader that asks it to), `syslinux`, \
     `ipxe`, `kexec`, `u-boot`, `ovmf`, `xen`, `qemu` (also another hypervisor that starts a kernel directly), or `other`; x86 \
     alone",
    "grub",
    Stability::PerBoot,
);

/// The collector.
pub static FIRMWARE: Collector = Collector::new(
    "firmware",
    Topic::Machine,
    "UEFI or BIOS, secure boot, TPM, IOMMU and boot loader",
    &[BOOT_MODE, SECURE_BOOT, TPM_VERSION, IOMMU, BOOT_LOADER],
    Collect::Blocking(collect),
)
.reads(&[BOOT_PARAMS_PATH, ACPI_PATH, EFI_CLOCK_PATH, TPM_PATH, IOMMU_PATH, LOADER_PATH])
.not_applicable("where the kernel does not tell how it was booted: s390x, ppc64le, boards without UEFI");

register!(FIRMWARE);

/// `struct boot_params` of the kernel, on x86 alone.
const BOOT_PARAMS_PATH: &str = "/sys/kernel/boot_params/data";
/// In it, where the boot stub writes by which UEFI it was started.
const EFI_LOADER_SIGNATURE: (u64, usize) = (0x1c0, 4);
const SECURE_BOOT_BYTE: (u64, usize) = (0x1ec, 1);
const HEADER_SIGNATURE: (u64, usize) = (0x202, 4);
const LOADER_TYPE: (u64, usize) = (0x210, 1);

/// The root of the ACPI devices: other architectures than x86 get ACPI from UEFI alone.
const ACPI_PATH: &str = "/sys/bus/acpi/devices/LNXSYSTM:00";
/// The clock of UEFI, which is there without ACPI.
const EFI_CLOCK_PATH: &str = "/sys/devices/platform/rtc-efi.0";

/// The loader type of hypervisors that write a header of their own, such as Firecracker.
const UNDEFINED_LOADER: u8 = 0xff;

const TPM_PATH: &str = "/sys/class/tpm/tpm0/tpm_version_major";
const IOMMU_PATH: &str = "/sys/class/iommu";
const LOADER_PATH: &str = "/proc/sys/kernel/bootloader_type";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let Some(mode) = boot_mode(host)? else {
        return Ok(Collected::not_applicable(
            "the kernel does not tell how it was booted: it has neither the boot parameters of x86 nor devices of UEFI",
        ));
    };
    let secure = part(host, SECURE_BOOT_BYTE).map(|byte| byte.and_then(|byte| secure_boot(*byte.first()?)));
    let loader = host.number(LOADER_PATH).map(|number| number.map(boot_loader));
    let iommu =
        host.list(IOMMU_PATH).map(|names| names.map(|names| words(names.iter().map(|name| kind(name)))));
    Ok(Facts::new(mode)
        .with_read(&SECURE_BOOT, secure)
        .with_read(&TPM_VERSION, host.number(TPM_PATH))
        .with_read(&IOMMU, iommu)
        .with_read(&BOOT_LOADER, loader)
        .into())
}

fn part(host: &HostRoot, (offset, length): (u64, usize)) -> Result<Option<Vec<u8>>, HostError> {
    host.bytes(BOOT_PARAMS_PATH, offset, length)
}

fn boot_mode(host: &HostRoot) -> Result<Option<&'static str>, HostError> {
    let Some(efi) = part(host, EFI_LOADER_SIGNATURE)? else {
        let is_efi = host.exists(ACPI_PATH)? || host.exists(EFI_CLOCK_PATH)?;
        return Ok(is_efi.then_some("uefi"));
    };
    let header = part(host, HEADER_SIGNATURE)?.unwrap_or_default();
    let loader = part(host, LOADER_TYPE)?.unwrap_or_default();
    Ok(Some(boot_mode_of(&efi, &header, &loader)))
}

/// Firmware of neither kind leaves no header: a kernel that is entered as a guest of Xen would be (PVH) makes
/// these parameters up itself.
fn boot_mode_of(efi: &[u8], header: &[u8], loader: &[u8]) -> &'static str {
    match (efi, header) {
        (b"EL64" | b"EL32", _) => "uefi",
        (_, b"HdrS") if loader != [UNDEFINED_LOADER] => "bios",
        _ => "direct",
    }
}

/// `enum efi_secureboot_mode`: 0 and 1 stand for what was not asked or not answered.
fn secure_boot(byte: u8) -> Option<bool> {
    match byte {
        2 => Some(false),
        3 => Some(true),
        _ => None,
    }
}

/// The numbers that the boot protocol of x86 assigns, with a version in the last four bits. The boot stub of
/// the kernel, by which UEFI starts it without a loader's help, calls itself 0x21.
fn boot_loader(number: u64) -> &'static str {
    match (number, number >> 4) {
        (0x21, _) => "efi-stub",
        (_, 0x3) => "syslinux",
        (_, 0x4) => "ipxe",
        (_, 0x7) => "grub",
        (_, 0x8) => "u-boot",
        (_, 0x9) => "xen",
        (_, 0xb) => "qemu",
        (_, 0xd) => "kexec",
        (_, 0x12) => "ovmf",
        _ => "other",
    }
}

/// The drivers name their devices `dmar0`, `ivhd0`, `smmu3.0x2b400000` and `virtio3`.
fn kind(name: &str) -> &'static str {
    let kinds = [("dmar", "intel"), ("ivhd", "amd"), ("smmu", "smmu"), ("virtio", "virtio")];
    kinds.iter().find(|(start, _)| name.starts_with(start)).map_or("other", |(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_page_tells_who_started_the_kernel() {
        for (efi, header, loader, mode) in [
            (b"EL64", b"HdrS", 0x72, "uefi"),
            (b"EL32", b"HdrS", 0x21, "uefi"),
            (&[0; 4], b"HdrS", 0x72, "bios"),
            (&[0; 4], b"HdrS", 0xb0, "bios"),
            (&[0; 4], b"HdrS", UNDEFINED_LOADER, "direct"),
            (&[0; 4], &[0; 4], 0xb0, "direct"),
            (b"EL65", &[0; 4], 0, "direct"),
        ] {
            assert_eq!(boot_mode_of(efi, header, &[loader]), mode, "{efi:?} {header:?} {loader:#x}");
        }
    }

    #[test]
    fn secure_boot_is_told_only_where_it_was_answered() {
        assert_eq!([0, 1, 2, 3, 4].map(secure_boot), [None, None, Some(false), Some(true), None]);
    }

    #[test]
    fn a_loader_is_told_whatever_its_version() {
        let loaders = [0x72, 0x21, 0xb0, 0x34, 0x120, 0xff].map(boot_loader);
        assert_eq!(loaders, ["grub", "efi-stub", "qemu", "syslinux", "ovmf", "other"]);
    }

    #[test]
    fn an_iommu_is_told_by_its_name() {
        let names = ["dmar3", "ivhd0", "smmu3.0x000000002b400000", "virtio2", "s390-iommu.00000000"];
        assert_eq!(names.map(kind), ["intel", "amd", "smmu", "virtio", "other"]);
    }
}
