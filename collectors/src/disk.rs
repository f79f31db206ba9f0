//! `disk`: how many disks there are, how large, and of which kinds.
//!
//! A network volume that was attached when the collector ran is a disk as any other.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::counts::counts;
use crate::source::disks::{self, Disk};

const MAX_BYTES: usize = 256;

const COUNT: Fact = Fact::primary(
    "disks, decimal; network volumes that were attached when the collector ran are counted, and removable or read-only disks \
     are not",
    "5",
    Stability::Dynamic,
)
.kind(Kind::Number);
const TOTAL_BYTES: Fact =
    Fact::named("total-bytes", "size of all of them together", "15843127910400", Stability::Dynamic)
        .kind(Kind::Bytes);
const KINDS: Fact = Fact::named(
    "kinds",
    "kinds of disks, with how many of each there are: `nvme`, `ssd`, `hdd`; `virtio`, `xen`, `scsi`, `iscsi`, `fc` for those \
     that do not tell what is behind them; `usb`, `mmc`, `ccw`, `nvdimm`, `other`",
    "nvme=4,ssd=1",
    Stability::Dynamic,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const LOCAL_NVME: Fact = Fact::named(
    "local-nvme",
    "NVMe disks of the machine itself, decimal: on PCI, and by their model no network volume of a cloud",
    "4",
    Stability::Dynamic,
)
.kind(Kind::Number);

/// The collector.
pub static DISK: Collector = Collector::new(
    "disk",
    Topic::Storage,
    "Number, size and kinds of the disks",
    &[COUNT, TOTAL_BYTES, KINDS, LOCAL_NVME],
    Collect::Blocking(collect),
)
.reads(&[
    "/sys/block",
    "/sys/block/*",
    "/sys/block/*/size",
    "/sys/block/*/removable",
    "/sys/block/*/hidden",
    "/sys/block/*/ro",
    "/sys/block/*/device",
    "/sys/block/*/device/transport",
    "/sys/block/*/device/nvme*/transport",
    "/sys/block/*/device/model",
    "/sys/block/*/device/vendor",
    "/sys/block/*/queue/rotational",
])
.not_applicable(disks::WITHOUT);

register!(DISK);

/// Models of NVMe disks that are network volumes: of EC2, Google, Azure, Alibaba and Oracle.
const NETWORK_MODELS: [&str; 5] = [
    "Amazon Elastic Block Store",
    "nvme_card-pd",
    "MSFT NVMe Accelerator",
    "Alibaba Cloud Elastic Block Storage",
    "Oracle Cloud Block Volume",
];

/// Who makes the SCSI disks of guests: VMware, Hyper-V, QEMU and VirtualBox.
const HYPERVISORS: [&str; 4] = ["VMware", "Msft", "QEMU", "VBOX"];

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let Some(disks) = disks::disks(host)? else { return Ok(Collected::not_applicable(disks::ABSENT)) };
    let kinds = disks.iter().map(|disk| kind(host, disk)).collect::<Result<Vec<_>, _>>();
    let local = disks.iter().map(|disk| is_local_nvme(host, disk)).collect::<Result<Vec<_>, _>>();
    let facts = Facts::new(disks.len().to_string())
        .with(&TOTAL_BYTES, disks.iter().fold(0_u64, |sum, disk| sum.saturating_add(disk.bytes)))
        .with_read(&LOCAL_NVME, local.map(|local| Some(local.into_iter().filter(|&is| is).count())));
    if disks.is_empty() {
        return Ok(facts.into());
    }
    Ok(facts.with_read(&KINDS, kinds.map(|kinds| Some(counts(kinds, MAX_BYTES)))).into())
}

/// Only disks that are no guest's, and no network's, tell whether they rotate.
fn kind(host: &HostRoot, disk: &Disk) -> Result<String, HostError> {
    if disk.is_nvme() {
        return Ok("nvme".to_owned());
    }
    let transport = disk.transport(host)?;
    if !matches!(transport.as_str(), "sas" | "sata" | "scsi") {
        return Ok(transport);
    }
    let vendor = disk.text(host, "device/vendor")?;
    if vendor.is_some_and(|vendor| HYPERVISORS.contains(&vendor.as_str())) {
        return Ok("scsi".to_owned());
    }
    let rotates = host.number(&disk.file("queue/rotational"))?;
    Ok(match rotates {
        Some(0) => "ssd".to_owned(),
        Some(_) => "hdd".to_owned(),
        None => transport,
    })
}

fn is_local_nvme(host: &HostRoot, disk: &Disk) -> Result<bool, HostError> {
    if !disk.is_nvme() || disk.transport(host)? != "pcie" {
        return Ok(false);
    }
    Ok(!disk.model(host)?.is_some_and(|model| is_of_network(&model)))
}

fn is_of_network(model: &str) -> bool {
    NETWORK_MODELS.iter().any(|network| model.starts_with(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_volume_is_told_by_its_model() {
        for (model, expected) in [
            ("Amazon Elastic Block Store", true),
            ("Amazon EC2 NVMe Instance Storage", false),
            ("nvme_card-pd", true),
            ("nvme_card", false),
            ("nvme_card0", false),
            ("MSFT NVMe Accelerator v1.0", true),
            ("Microsoft NVMe Direct Disk", false),
            ("SAMSUNG MZQL23T8HCLS-00A07", false),
        ] {
            assert_eq!(is_of_network(model), expected, "{model}");
        }
    }
}
