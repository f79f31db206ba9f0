//! `cpu-idle`: what the CPUs do when there is nothing to do, which decides how fast they wake up.
//!
//! Reads `/sys/devices/system/cpu/cpuidle`, and the states of the first CPU that is online. Not applicable to
//! kernels without idle states, as on s390x.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::cpu_cache::{self, CPUS};
use crate::source::list::list;

const DRIVER: Fact = Fact::primary(
    "driver of the idle states, such as `intel_idle`, `acpi_idle` or `haltpoll`; `none` if there is none",
    "intel_idle",
    Stability::PerBoot,
);
const GOVERNOR: Fact =
    Fact::named("governor", "governor that picks the idle state", "menu", Stability::Dynamic);
const STATES: Fact = Fact::named(
    "states",
    "idle states of the first online CPU that are not disabled, the lightest first, joined by commas; `none` if all are",
    "POLL,C1,C1E",
    Stability::Dynamic,
)
.kind(Kind::List);

/// The collector.
pub static CPU_IDLE: Collector = Collector::new(
    "cpu-idle",
    Topic::Cpu,
    "Driver, governor and states of idle CPUs",
    &[DRIVER, GOVERNOR, STATES],
    Collect::Blocking(collect),
)
.reads(&[
    cpu_cache::ONLINE,
    "/sys/devices/system/cpu/cpuidle/*",
    "/sys/devices/system/cpu/cpu*/cpuidle",
    "/sys/devices/system/cpu/cpu*/cpuidle/state*/*",
])
.not_applicable("on kernels without idle states, as on s390x")
.on_request();

register!(CPU_IDLE);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let directory = format!("{CPUS}/cpuidle");
    let path = format!("{directory}/current_driver");
    let Some(driver) = cx.host.line(&path)? else {
        return Ok(Collected::not_applicable(format!("the kernel has no `{path}`")));
    };
    Ok(Facts::new(driver)
        .with_read(&GOVERNOR, governor(&cx.host, &directory))
        .with_read(&STATES, states(&cx.host))
        .into())
}

/// Before Linux 5.9 the file that everybody may read had another name.
fn governor(host: &HostRoot, directory: &str) -> Result<Option<String>, HostError> {
    match host.line(&format!("{directory}/current_governor"))? {
        Some(governor) => Ok(Some(governor)),
        None => host.line(&format!("{directory}/current_governor_ro")),
    }
}

fn states(host: &HostRoot) -> Result<Option<String>, HostError> {
    let Some(cpu) = cpu_cache::online(host)?.and_then(|cpus| cpus.first()) else { return Ok(None) };
    let directory = format!("{CPUS}/cpu{cpu}/cpuidle");
    let Some(directories) = host.list(&directory)? else { return Ok(None) };
    let number = |name: &String| name.strip_prefix("state")?.parse::<u32>().ok();
    let mut numbers: Vec<_> = directories.iter().filter_map(number).collect();
    numbers.sort_unstable();
    if numbers.is_empty() {
        return Ok(None);
    }
    let mut names = Vec::new();
    for number in numbers {
        let state = format!("{directory}/state{number}");
        let is_disabled = host.line(&format!("{state}/disable"))?.is_some_and(|value| value != "0");
        let name = host.line(&format!("{state}/name"))?.filter(|_| !is_disabled);
        names.extend(name);
    }
    Ok(Some(list(names)))
}
