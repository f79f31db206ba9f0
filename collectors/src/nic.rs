//! `nic`: the network interface cards of the machine, by what is on its buses.
//!
//! Interfaces and their names belong to the network namespace of the pod; the cards are the machine's, and
//! visible to all. MAC addresses are not read.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::counts::{counts, words};
use crate::source::pci::{self, Device};
use crate::source::{bus, virtio};

const MAX_BYTES: usize = 512;

const DEVICES: Fact = Fact::primary(
    "network controllers on PCI, by vendor and device as `lspci -n` prints them, with how many of each there are; virtual \
     functions of a controller that is here are not counted; `none` without any",
    "15b3:101d=2,8086:1563=2",
    Stability::Immutable,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const PARAVIRTUAL: Fact = Fact::named(
    "paravirtual",
    "network devices that a hypervisor offers on a bus of its own, with how many there are: `virtio`, `hyperv`, `xen`",
    "virtio=1",
    Stability::Immutable,
)
.kind(Kind::List);
const DRIVERS: Fact = Fact::named(
    "drivers",
    "drivers of the controllers on PCI, as `ethtool -i` names them",
    "ixgbe,mlx5_core",
    Stability::PerBoot,
)
.kind(Kind::List);
const SRIOV: Fact = Fact::named(
    "sriov",
    "virtual functions of the controllers on PCI: `enabled` where there are some, `capable` where there could be, `none` \
     otherwise",
    "enabled",
    Stability::Dynamic,
);

/// The collector.
pub static NIC: Collector = Collector::new(
    "nic",
    Topic::Network,
    "Network cards: models, drivers and SR-IOV",
    &[DEVICES, PARAVIRTUAL, DRIVERS, SRIOV],
    Collect::Blocking(collect),
)
.reads(&[
    pci::PATH,
    pci::UEVENTS,
    pci::PHYSFN,
    "/sys/bus/pci/devices/*/sriov_*vfs",
    virtio::PATH,
    virtio::LINKS,
    virtio::UEVENTS,
    "/sys/bus/vmbus/devices",
    "/sys/bus/vmbus/devices/*/uevent",
    "/sys/bus/xen/devices",
])
.not_applicable(
    "on machines whose network devices are on neither PCI nor the bus of a hypervisor: small boards",
);

register!(NIC);

/// The base class of network controllers.
const NETWORK: u32 = 0x02;
/// In `MODALIAS`, the class of network devices of Hyper-V: f8615163-df3e-46c5-913f-f2d2f965ed0e.
const OF_HYPERV: &str = "vmbus:635161f83edfc546913ff2d2f965ed0e";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let devices = controllers(host)?;
    if devices.is_empty() {
        return Ok(match paravirtual(host)? {
            Some(list) => Facts::new(counts::<&str>([], MAX_BYTES)).with(&PARAVIRTUAL, list).into(),
            None => Collected::not_applicable("neither PCI nor the bus of a hypervisor has a network device"),
        });
    }
    Ok(Facts::new(counts(devices.iter().map(Device::id), MAX_BYTES))
        .with_read(&PARAVIRTUAL, paravirtual(host))
        .with_read(&DRIVERS, drivers(host, &devices))
        .with_read(&SRIOV, sriov(host, &devices))
        .into())
}

/// The network controllers, without the virtual functions of others.
fn controllers(host: &HostRoot) -> Result<Vec<Device>, HostError> {
    let mut controllers = Vec::new();
    for device in pci::devices(host)?.unwrap_or_default() {
        if device.is_of(NETWORK) && !device.is_virtual_function(host)? {
            controllers.push(device);
        }
    }
    Ok(controllers)
}

/// The devices that are on no PCI.
fn paravirtual(host: &HostRoot) -> Result<Option<String>, HostError> {
    let mut kinds = Vec::new();
    for device in virtio::devices(host)? {
        if device.id == virtio::NETWORK && !device.is_on_pci() {
            kinds.push("virtio");
        }
    }
    for device in bus::devices(host, "vmbus")?.unwrap_or_default() {
        if device.get("MODALIAS") == Some(OF_HYPERV) {
            kinds.push("hyperv");
        }
    }
    for name in host.list(&bus::path("xen"))?.unwrap_or_default() {
        if name.starts_with("vif-") {
            kinds.push("xen");
        }
    }
    Ok((!kinds.is_empty()).then(|| counts(kinds, MAX_BYTES)))
}

/// The driver of a virtio device is that of the device behind the one on PCI.
fn drivers(host: &HostRoot, devices: &[Device]) -> Result<Option<String>, HostError> {
    let is_virtio = |device: &Device| device.driver.as_deref() == Some(virtio::ON_PCI);
    let behind = if devices.iter().any(is_virtio) { virtio::devices(host)? } else { Vec::new() };
    let names = devices.iter().filter_map(|device| {
        let behind = behind.iter().filter(|_| is_virtio(device)).find(|behind| behind.is_on(&device.address));
        behind.map_or(device.driver.as_deref(), |behind| behind.driver.as_deref())
    });
    let names: Vec<_> = names.collect();
    Ok((!names.is_empty()).then(|| words(names)))
}

fn sriov(host: &HostRoot, devices: &[Device]) -> Result<Option<&'static str>, HostError> {
    let mut word = "none";
    for device in devices {
        if host.number(&device.file("sriov_numvfs"))?.is_some_and(|functions| functions > 0) {
            return Ok(Some("enabled"));
        }
        if host.number(&device.file("sriov_totalvfs"))?.is_some_and(|functions| functions > 0) {
            word = "capable";
        }
    }
    Ok(Some(word))
}
