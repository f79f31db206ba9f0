//! `pci`: what is on PCI, counted, and the links and NUMA nodes of what moves much data.

mod nfd;

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::counts::{counts, words};
use crate::source::pci::{self, Device};

const MAX_BYTES: usize = 512;

const VENDORS: Fact = Fact::primary(
    "numbers of the makers of devices, four hexadecimal digits, with how many devices there are of each; bridges and virtual \
     functions are not counted; `none` without a device",
    "1022=2,10de=2,144d=4,15b3=2,1a03=1,8086=2",
    Stability::Immutable,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const CLASSES: Fact = Fact::named(
    "classes",
    "base class and subclass of the same devices, four hexadecimal digits, with how many devices there are of each",
    "0106=1,0108=4,0200=4,0300=1,0302=2,0806=1",
    Stability::Immutable,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const ACCELERATORS: Fact = Fact::named(
    "accelerators",
    "classes of those that are display controllers, co-processors or processing accelerators, each with the number of its \
     maker; `none` without any",
    "0300_1a03,0302_10de",
    Stability::Immutable,
)
.kind(Kind::List);
const LINKS: Fact = Fact::named(
    "links",
    "fastest link of storage, network and display controllers and of accelerators, each with vendor and device, speed and width, \
     with how many devices have it",
    "10de:27b8 16.0GT/s x16=2,144d:a80a 16.0GT/s x4=4,15b3:101d 16.0GT/s x16=2,8086:1563 8.0GT/s x4=2",
    Stability::Immutable,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const NARROW: Fact = Fact::named(
    "narrow",
    "those of them whose link is narrower than their fastest one, by vendor and device, with how many there are; `none` without \
     any",
    "10de:27b8=1",
    Stability::PerBoot,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const NUMA: Fact = Fact::named(
    "numa",
    "NUMA nodes of the same controllers, behind vendor and device, with how many devices are on each; missing where the \
     firmware tells none",
    "1000:00e6@0=1,1002:740f@0=1,1002:740f@1=1,14e4:16d7@0=2,8086:a182@0=1",
    Stability::PerBoot,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);

/// The collector.
pub static PCI: Collector = Collector::new(
    "pci",
    Topic::Devices,
    "Devices on PCI by maker and class, their links and NUMA nodes",
    &[VENDORS, CLASSES, ACCELERATORS, LINKS, NARROW, NUMA],
    Collect::Blocking(collect),
)
.reads(&[
    pci::PATH,
    pci::UEVENTS,
    pci::PHYSFN,
    "/sys/bus/pci/devices/*/max_link_speed",
    "/sys/bus/pci/devices/*/max_link_width",
    "/sys/bus/pci/devices/*/current_link_width",
    "/sys/bus/pci/devices/*/numa_node",
])
.not_applicable(pci::WITHOUT)
.nfd(nfd::LABELS)
.on_request();

register!(PCI);

/// Base classes of what is no device of its own.
const BRIDGE: u32 = 0x06;
/// Base classes and subclasses of what computes: a base class stands for all of its subclasses.
const DISPLAY: u32 = 0x03;
const PROCESSING: u32 = 0x12;
const CO_PROCESSOR: u32 = 0x0b40;
/// Base classes of what moves much data: storage, network, display, processing accelerators.
const FAST: [u32; 4] = [0x01, 0x02, 0x03, 0x12];

/// Class and maker of a device that computes.
fn accelerator(device: &Device) -> Option<String> {
    let computes = device.is_of(DISPLAY) || device.is_of(PROCESSING) || device.class() == CO_PROCESSOR;
    computes.then(|| format!("{:04x}_{:04x}", device.class(), device.vendor))
}

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let Some(devices) = devices(host)? else { return Ok(Collected::not_applicable(pci::ABSENT)) };
    let facts = Facts::new(counts(devices.iter().map(|device| format!("{:04x}", device.vendor)), MAX_BYTES));
    if devices.is_empty() {
        return Ok(facts.into());
    }
    let fast: Vec<_> =
        devices.iter().filter(|device| FAST.iter().any(|class| device.is_of(*class))).collect();
    let links = fast.iter().map(|device| Ok(link(host, device)?.map(|link| (*device, link))));
    let links = links.collect::<Result<Vec<_>, HostError>>();
    let links = links.map(|links| links.into_iter().flatten().collect::<Vec<_>>());
    let numa =
        fast.iter().map(|device| Ok(numa(host, device)?.map(|node| format!("{}@{node}", device.id()))));
    let numa = numa.collect::<Result<Vec<_>, HostError>>().map(|nodes| list(nodes.into_iter().flatten()));
    let facts = facts
        .with(&ACCELERATORS, words(devices.iter().filter_map(accelerator)))
        .with(&CLASSES, counts(devices.iter().map(|device| format!("{:04x}", device.class())), MAX_BYTES))
        .with_read(&NUMA, numa);
    Ok(match links {
        Ok(links) if links.is_empty() => facts,
        Ok(links) => {
            let narrow = links.iter().filter(|(_, link)| link.is_narrow);
            facts
                .with(&LINKS, counts(links.iter().map(|(device, link)| link.of(device)), MAX_BYTES))
                .with(&NARROW, counts(narrow.map(|(device, _)| device.id()), MAX_BYTES))
        }
        Err(error) => {
            let error: Result<Option<String>, _> = Err(error);
            facts.with_read(&LINKS, error.clone()).with_read(&NARROW, error)
        }
    }
    .into())
}

fn list(words: impl Iterator<Item = String>) -> Option<String> {
    let mut words = words.peekable();
    words.peek().is_some().then_some(()).map(|()| counts(words, MAX_BYTES))
}

/// The devices without bridges and virtual functions.
fn devices(host: &HostRoot) -> Result<Option<Vec<Device>>, HostError> {
    let Some(all) = pci::devices(host)? else { return Ok(None) };
    let mut devices = Vec::new();
    for device in all {
        if !device.is_of(BRIDGE) && !device.is_virtual_function(host)? {
            devices.push(device);
        }
    }
    Ok(Some(devices))
}

/// The link of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    /// The fastest one: `16.0GT/s`.
    speed: String,
    width: u64,
    is_narrow: bool,
}

impl Link {
    fn of(&self, device: &Device) -> String {
        format!("{} {} x{}", device.id(), self.speed, self.width)
    }
}

/// Guests see devices without a link: 0 and 255 lanes, or `Unknown` speed.
fn link(host: &HostRoot, device: &Device) -> Result<Option<Link>, HostError> {
    let Some(speed) = host.line(&device.file("max_link_speed"))?.and_then(|text| speed(&text)) else {
        return Ok(None);
    };
    let lanes =
        |name| Ok::<_, HostError>(host.number(&device.file(name))?.filter(|lanes| (1..=32).contains(lanes)));
    let (Some(width), Some(current)) = (lanes("max_link_width")?, lanes("current_link_width")?) else {
        return Ok(None);
    };
    Ok(Some(Link { speed, width, is_narrow: current < width }))
}

/// `16.0 GT/s PCIe`, or `8 GT/s` of older kernels.
fn speed(text: &str) -> Option<String> {
    let (number, _) = text.split_once(" GT/s")?;
    let number: f64 = number.parse().ok().filter(|number| (1.0..1000.0).contains(number))?;
    Some(format!("{number:.1}GT/s"))
}

/// -1 stands for no node.
fn numa(host: &HostRoot, device: &Device) -> Result<Option<u32>, HostError> {
    Ok(host.line(&device.file("numa_node"))?.and_then(|node| node.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_of_a_link_is_spelled_as_one() {
        for (text, expected) in [
            ("16.0 GT/s PCIe", Some("16.0GT/s")),
            ("8 GT/s", Some("8.0GT/s")),
            ("2.5 GT/s PCIe", Some("2.5GT/s")),
            ("Unknown", None),
            ("nan GT/s", None),
        ] {
            assert_eq!(speed(text).as_deref(), expected, "{text}");
        }
    }
}
