//! `time`: what the node can take its time from.
//!
//! Whether the clock is synchronised is left out: that is a condition, which comes and goes, and the system
//! call that tells it is refused by the seccomp profiles of older containerd.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::list::{is_plain, sorted};

const CLOCKSOURCES: Fact = Fact::primary(
    "clock sources that the kernel takes for usable, the best first, joined by commas; `tsc` is missing where the kernel found \
     it unstable",
    "tsc,hpet,acpi_pm",
    Stability::Dynamic,
)
.kind(Kind::List);
const PTP: Fact = Fact::named(
    "ptp",
    "drivers of the hardware clocks for the Precision Time Protocol, joined by commas: those of network cards, `kvm`, `hyperv` \
     and `vmware` for the host's clock, `other` for one without a device; `none` where no driver has one",
    "mlx5_core",
    Stability::Dynamic,
)
.kind(Kind::List);

/// The collector.
pub static TIME: Collector = Collector::new(
    "time",
    Topic::System,
    "Clock sources and hardware clocks",
    &[CLOCKSOURCES, PTP],
    Collect::Blocking(collect),
)
.reads(&[AVAILABLE_PATH, PTP_PATH, "/sys/class/ptp/ptp*/device/uevent", "/sys/class/ptp/ptp*/clock_name"])
.on_request();

register!(TIME);

const AVAILABLE_PATH: &str = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
const PTP_PATH: &str = "/sys/class/ptp";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let Some(sources) = cx.host.line(AVAILABLE_PATH)? else {
        return Err(HostError::absent(AVAILABLE_PATH).into());
    };
    let sources: Vec<_> = sources.split_ascii_whitespace().filter(|word| is_plain(word)).collect();
    if sources.is_empty() {
        return Err(CollectError::new(format!("`{AVAILABLE_PATH}` names no clock source")).malformed());
    }
    Ok(Facts::new(sources.join(",")).with_read(&PTP, ptp(&cx.host)).into())
}

fn ptp(host: &HostRoot) -> Result<Option<String>, HostError> {
    let Some(clocks) = host.list(PTP_PATH)? else { return Ok(None) };
    let drivers: Result<Vec<_>, HostError> = clocks.iter().map(|clock| driver(host, clock)).collect();
    Ok(Some(sorted(drivers?.iter().map(String::as_str))))
}

/// The driver of a clock's device. The name of a clock is told only where it has no device: some drivers
/// give it the MAC address of a network card.
fn driver(host: &HostRoot, clock: &str) -> Result<String, HostError> {
    let uevent = host.text(&format!("{PTP_PATH}/{clock}/device/uevent"))?;
    let mut lines = uevent.as_deref().unwrap_or_default().lines();
    if let Some(driver) = lines.find_map(|line| line.strip_prefix("DRIVER=")) {
        return Ok(if is_plain(driver) { driver } else { "other" }.to_owned());
    }
    let name = host.line(&format!("{PTP_PATH}/{clock}/clock_name"))?;
    Ok(match name.as_deref() {
        Some("KVM virtual PTP") => "kvm",
        Some("hyperv") => "hyperv",
        Some("ptp_vmw") => "vmware",
        _ => "other",
    }
    .to_owned())
}
