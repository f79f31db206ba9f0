//! `disk-inventory`: models, firmware and settings of the disks.
//!
//! Disks are counted and not listed by name: names change with the order in which a kernel finds them.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::choice;
use crate::source::counts::counts;
use crate::source::disks::{self, Disk};

const MAX_BYTES: usize = 512;

const MODELS: Fact = Fact::primary(
    "models of the disks, with how many of each there are; `unknown` for those that tell none, as paravirtual ones; `none` \
     without a disk",
    "SAMSUNG MZ7L3480=1,SAMSUNG MZQL23T8HCLS-00A07=4",
    Stability::Dynamic,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const SIZES: Fact = Fact::named(
    "sizes",
    "sizes of the disks in bytes, with how many of each there are",
    "12000138625024=3,480103981056=2",
    Stability::Dynamic,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const FIRMWARE: Fact = Fact::named(
    "firmware",
    "firmware of the disks behind their model, with how many of each there are",
    "SAMSUNG MZ7L3480 404Q=1,SAMSUNG MZQL23T8HCLS-00A07 GDC5602Q=4",
    Stability::Dynamic,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const TRANSPORTS: Fact = Fact::named(
    "transports",
    "by what the disks are attached, with how many of each there are: `pcie`, `tcp`, `rdma` and `fc` of NVMe, `sata`, `sas`, \
     `iscsi`, `fc`, `usb`, `virtio`, `xen`, `mmc`, `ccw`, `nvdimm`; `scsi` for others that are SCSI, such as those of RAID \
     controllers",
    "pcie=4,sata=1",
    Stability::Dynamic,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const SCHEDULERS: Fact = Fact::named(
    "schedulers",
    "I/O schedulers in use, with how many disks have each",
    "mq-deadline=1,none=4",
    Stability::Dynamic,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const SECTOR_BYTES: Fact = Fact::named(
    "sector-bytes",
    "sizes of a logical sector, with how many disks have each",
    "4096=1,512=4",
    Stability::Dynamic,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const NUMA: Fact = Fact::named(
    "numa",
    "NUMA nodes that the controllers on PCI are on, with how many disks are on each; missing where the firmware tells none",
    "0=5",
    Stability::Dynamic,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);

/// The collector.
pub static DISK_INVENTORY: Collector = Collector::new(
    "disk-inventory",
    Topic::Storage,
    "Models, firmware, transports and schedulers of the disks",
    &[MODELS, SIZES, FIRMWARE, TRANSPORTS, SCHEDULERS, SECTOR_BYTES, NUMA],
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
    "/sys/block/*/device/rev",
    "/sys/block/*/device/firmware_rev",
    "/sys/block/*/queue/scheduler",
    "/sys/block/*/queue/logical_block_size",
    "/sys/bus/pci/devices/*/numa_node",
])
.not_applicable(disks::WITHOUT)
.on_request();

register!(DISK_INVENTORY);

/// What is asked of one disk.
type Ask = fn(&HostRoot, &Disk) -> Result<Option<String>, HostError>;

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let Some(disks) = disks::disks(host)? else { return Ok(Collected::not_applicable(disks::ABSENT)) };
    let models = disks.iter().map(|disk| Ok(disk.model(host)?.unwrap_or_else(|| "unknown".to_owned())));
    let models = models.collect::<Result<Vec<_>, HostError>>()?;
    let facts = Facts::new(counts(models, MAX_BYTES));
    let asked: [(&Fact, Ask); 6] = [
        (&SIZES, |_, disk| Ok(Some(disk.bytes.to_string()))),
        (&FIRMWARE, firmware),
        (&TRANSPORTS, |host, disk| disk.transport(host).map(Some)),
        (&SCHEDULERS, |host, disk| {
            Ok(host.line(&disk.file("queue/scheduler"))?.map(|text| scheduler(&text).to_owned()))
        }),
        (&SECTOR_BYTES, |host, disk| {
            Ok(host.number(&disk.file("queue/logical_block_size"))?.map(|bytes| bytes.to_string()))
        }),
        (&NUMA, numa),
    ];
    let facts = asked.into_iter().fold(facts, |facts, (fact, ask)| {
        let answers = disks.iter().map(|disk| ask(host, disk)).collect::<Result<Vec<_>, _>>();
        let list = answers.map(|answers| {
            let answers: Vec<_> = answers.into_iter().flatten().collect();
            (!answers.is_empty()).then(|| counts(answers, MAX_BYTES))
        });
        facts.with_read(fact, list)
    });
    Ok(facts.into())
}

fn firmware(host: &HostRoot, disk: &Disk) -> Result<Option<String>, HostError> {
    let file = if disk.is_nvme() { "device/firmware_rev" } else { "device/rev" };
    let Some(model) = disk.model(host)? else { return Ok(None) };
    Ok(disk.text(host, file)?.map(|firmware| format!("{model} {firmware}")))
}

/// The word in brackets; a disk without a choice has one word.
fn scheduler(text: &str) -> &str {
    choice::chosen(text).unwrap_or(text)
}

/// -1 stands for no node.
fn numa(host: &HostRoot, disk: &Disk) -> Result<Option<String>, HostError> {
    let Some(address) = disk.pci_address() else { return Ok(None) };
    let node = host.line(&format!("/sys/bus/pci/devices/{address}/numa_node"))?;
    Ok(node.filter(|node| node.bytes().all(|byte| byte.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheduler_is_the_word_in_brackets_or_the_only_one() {
        assert_eq!(scheduler("[mq-deadline] kyber bfq none"), "mq-deadline");
        assert_eq!(scheduler("none"), "none");
    }
}
