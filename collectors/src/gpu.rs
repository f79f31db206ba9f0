//! `gpu`: models of the GPUs, their memory and architecture, as their drivers tell them.
//!
//! What NVIDIA's container toolkit hides in pods that have a GPU is visible in those that have none, as that
//! of this collector. UUIDs, which are in the same files, are not kept.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::accelerator::cards;
use crate::source::counts::{counts, words};
use crate::source::pci::Device;

const MAX_BYTES: usize = 256;

const MODELS: Fact = Fact::primary(
    "models of the GPUs and accelerators, as the driver names them, with how many of each there are; vendor and device, as \
     `lspci -n` prints them, for those whose driver names none",
    "NVIDIA L4=2",
    Stability::PerBoot,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const VRAM_MIB: Fact = Fact::named(
    "vram-mib",
    "memory of GPUs of AMD in MiB, with how many have as much",
    "65520=2",
    Stability::PerBoot,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const AMD_GFX: Fact = Fact::named(
    "amd-gfx",
    "architectures of GPUs of AMD, by which code for them is compiled",
    "gfx90a",
    Stability::PerBoot,
)
.kind(Kind::List);
const OPEN_KERNEL_MODULE: Fact = Fact::named(
    "open-kernel-module",
    "whether the driver of NVIDIA is the open one: `true` or `false`",
    "true",
    Stability::PerBoot,
)
.kind(Kind::Flag);

/// The collector.
pub static GPU: Collector = Collector::new(
    "gpu",
    Topic::Devices,
    "Models of the GPUs, their memory and architecture",
    &[MODELS, VRAM_MIB, AMD_GFX, OPEN_KERNEL_MODULE],
    Collect::Blocking(collect),
)
.reads(&[
    crate::source::pci::PATH,
    crate::source::pci::UEVENTS,
    crate::source::pci::PHYSFN,
    "/proc/driver/nvidia/gpus/*/information",
    NVIDIA_VERSION_PATH,
    "/sys/bus/pci/devices/*/product_name",
    "/sys/bus/pci/devices/*/mem_info_vram_total",
    KFD_PATH,
    "/sys/class/kfd/kfd/topology/nodes/*/properties",
])
.not_applicable("on machines without an accelerator on PCI")
.on_request();

register!(GPU);

const NVIDIA_VERSION_PATH: &str = "/proc/driver/nvidia/version";
const KFD_PATH: &str = "/sys/class/kfd/kfd/topology/nodes";

const MIB: u64 = 1024 * 1024;

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let cards = cards(host)?.unwrap_or_default();
    if cards.is_empty() {
        return Ok(Collected::not_applicable("no device on PCI is an accelerator"));
    }
    let models = cards.iter().map(|card| model(host, card)).collect::<Result<Vec<_>, _>>()?;
    let open =
        host.text(NVIDIA_VERSION_PATH).map(|text| text.map(|text| text.contains("Open Kernel Module")));
    Ok(Facts::new(counts(models, MAX_BYTES))
        .with_read(&VRAM_MIB, memory(host, &cards))
        .with_read(&AMD_GFX, architectures(host))
        .with_read(&OPEN_KERNEL_MODULE, open)
        .into())
}

fn model(host: &HostRoot, card: &Device) -> Result<String, HostError> {
    let model = match card.driver.as_deref() {
        Some("nvidia") => {
            let text = host.text(&format!("/proc/driver/nvidia/gpus/{}/information", card.address))?;
            text.and_then(|text| of_information(&text).map(str::to_owned))
        }
        Some("amdgpu") => host.line(&card.file("product_name"))?,
        _ => None,
    };
    Ok(model.unwrap_or_else(|| card.id()))
}

/// `Model:`, which stands first.
fn of_information(text: &str) -> Option<&str> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Model:"));
    lines.next().map(str::trim).filter(|model| !model.is_empty())
}

fn memory(host: &HostRoot, cards: &[Device]) -> Result<Option<String>, HostError> {
    let mut sizes = Vec::new();
    for card in cards.iter().filter(|card| card.driver.as_deref() == Some("amdgpu")) {
        sizes.extend(host.number(&card.file("mem_info_vram_total"))?.map(|bytes| (bytes / MIB).to_string()));
    }
    Ok((!sizes.is_empty()).then(|| counts(sizes, MAX_BYTES)))
}

/// Nodes of the topology that are CPUs have version 0.
fn architectures(host: &HostRoot) -> Result<Option<String>, HostError> {
    let mut names = Vec::new();
    for node in host.list(KFD_PATH)?.unwrap_or_default() {
        let properties = host.text(&format!("{KFD_PATH}/{node}/properties"))?;
        names.extend(properties.and_then(|text| architecture(&text)));
    }
    Ok((!names.is_empty()).then(|| words(names)))
}

/// `gfx_target_version 90010`: two decimal digits each for minor and stepping, which the name has as
/// hexadecimal ones.
fn architecture(properties: &str) -> Option<String> {
    let version = properties.lines().find_map(|line| line.strip_prefix("gfx_target_version "))?;
    let version: u32 = version.trim().parse().ok().filter(|version| (1..=999_999).contains(version))?;
    Some(format!("gfx{}{:x}{:x}", version / 10_000, version / 100 % 100, version % 100))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn architectures_have_the_names_of_the_compiler() {
        for (version, expected) in [
            ("90010", Some("gfx90a")),
            ("90402", Some("gfx942")),
            ("110000", Some("gfx1100")),
            ("0", None),
            ("4294967295", None),
        ] {
            let text = format!("simd_count 416\ngfx_target_version {version}\nvendor_id 4098\n");
            assert_eq!(architecture(&text).as_deref(), expected, "{version}");
        }
    }

    #[test]
    fn a_model_is_told_without_what_is_around_it() {
        let text = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 88\nGPU UUID: \t GPU-00000000\n";
        assert_eq!(of_information(text), Some("NVIDIA H100 80GB HBM3"));
        assert_eq!(of_information("Model: \nIRQ: 1\n"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|gfx_target_version [0-9]{0,12}\n") {
            let _ = (architecture(&text), of_information(&text));
        }
    }
}
