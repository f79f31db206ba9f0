//! `accelerator`: GPUs and other devices that compute, by what is on PCI, and their drivers.
//!
//! What makes a device one is its class: a display controller that is no plain console of a server, a
//! processing accelerator or a co-processor; some say nothing by their class, and are known by number. The
//! engines of Intel, mostly inside of its server processors, are told apart from cards, which people count.

mod ids;

use std::collections::BTreeSet;

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::counts::{counts, words};
use crate::source::pci::{self, Device};

const MAX_BYTES: usize = 256;

const COUNT: Fact = Fact::primary(
    "GPUs and accelerators on PCI, decimal; virtual functions of one that is here are not counted",
    "2",
    Stability::Immutable,
)
.kind(Kind::Number);
const DEVICES: Fact = Fact::named(
    "devices",
    "the accelerators by vendor and device as `lspci -n` prints them, with how many of each there are",
    "10de:27b8=2",
    Stability::Immutable,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const VENDORS: Fact = Fact::named(
    "vendors",
    "makers of the accelerators, such as `nvidia`, `amd`, `intel`, `aws`, `google` or `habana`; the PCI number of those without \
     a word",
    "nvidia",
    Stability::Immutable,
)
.kind(Kind::List);
const DRIVER: Fact = Fact::named(
    "driver",
    "drivers of the accelerators; `vfio-pci` for those that are passed to guests, `none` for those without one",
    "nvidia",
    Stability::Dynamic,
)
.kind(Kind::List);
const DRIVER_VERSION: Fact = Fact::named(
    "driver-version",
    "version of the driver, where it has one apart from the kernel's; with several such drivers, of each",
    "570.124.06",
    Stability::PerBoot,
)
.kind(Kind::Version);
const ENGINES: Fact = Fact::named(
    "engines",
    "engines of Intel, mostly inside of its server processors, with how many of each there are: `dsa` (copying), `iaa` \
     (compression), `qat` (cryptography)",
    "qat=1",
    Stability::Immutable,
)
.kind(Kind::List);

/// The collector.
pub static ACCELERATOR: Collector = Collector::new(
    "accelerator",
    Topic::Devices,
    "GPUs and other accelerators, and their drivers",
    &[COUNT, DEVICES, VENDORS, DRIVER, DRIVER_VERSION, ENGINES],
    Collect::Blocking(collect),
)
.reads(&[pci::PATH, pci::UEVENTS, pci::PHYSFN, "/sys/module/*/version"])
.not_applicable("on machines without an accelerator on PCI");

register!(ACCELERATOR);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let Some(Found { cards, engines }) = find(&cx.host)? else {
        return Ok(Collected::not_applicable(pci::ABSENT));
    };
    if cards.is_empty() && engines.is_empty() {
        return Ok(Collected::not_applicable("no device on PCI is an accelerator"));
    }
    let engines = (!engines.is_empty()).then(|| counts(engines, MAX_BYTES));
    let facts = Facts::new(cards.len().to_string()).with_some(&ENGINES, engines);
    if cards.is_empty() {
        return Ok(facts.into());
    }
    let vendors = cards.iter().map(|card| ids::vendor(card.vendor));
    let drivers = cards.iter().map(|card| card.driver.as_deref().unwrap_or("none"));
    Ok(facts
        .with(&DEVICES, counts(cards.iter().map(Device::id), MAX_BYTES))
        .with(&VENDORS, words(vendors))
        .with(&DRIVER, words(drivers))
        .with_read(&DRIVER_VERSION, versions(&cx.host, &cards))
        .into())
}

/// What computes.
struct Found {
    cards: Vec<Device>,
    engines: Vec<&'static str>,
}

fn find(host: &HostRoot) -> Result<Option<Found>, HostError> {
    let Some(devices) = pci::devices(host)? else { return Ok(None) };
    let mut found = Found { cards: Vec::new(), engines: Vec::new() };
    for device in devices {
        let engine = ids::engine(&device);
        if (engine.is_none() && !ids::is_card(&device)) || device.is_virtual_function(host)? {
            continue;
        }
        match engine {
            Some(word) => found.engines.push(word),
            None => found.cards.push(device),
        }
    }
    Ok(Some(found))
}

/// The GPUs and accelerators of the machine.
pub(crate) fn cards(host: &HostRoot) -> Result<Option<Vec<Device>>, HostError> {
    Ok(find(host)?.map(|found| found.cards))
}

/// Drivers of the kernel's own source have no version.
fn versions(host: &HostRoot, cards: &[Device]) -> Result<Option<String>, HostError> {
    let drivers: BTreeSet<_> = cards.iter().filter_map(|card| card.driver.as_deref()).collect();
    let mut versions = Vec::new();
    for driver in drivers {
        let module = driver.replace('-', "_");
        versions.extend(host.line(&format!("/sys/module/{module}/version"))?);
    }
    let versions = versions.into_iter().filter(|version| Kind::Version.admits(version));
    let versions: Vec<_> = versions.collect();
    Ok((!versions.is_empty()).then(|| versions.join(",")))
}
