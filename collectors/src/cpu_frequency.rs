//! `cpu-frequency`: the limits of the clock rate, and who sets it.
//!
//! Reads `/sys/devices/system/cpu/cpufreq`. Not applicable where there is no driver that sets the clock rate,
//! as in nearly all VMs.

use std::collections::BTreeSet;

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::list::list;

const MAX_MHZ: Fact = Fact::primary(
    "highest clock rate of any CPU in MHz, decimal; without boost where the driver is `acpi-cpufreq`",
    "3810",
    Stability::PerBoot,
)
.kind(Kind::Number);
const BASE_MHZ: Fact = Fact::named(
    "base-mhz",
    "clock rate that the first CPU keeps up in MHz, decimal; not there where driver and firmware do not tell",
    "2750",
    Stability::PerBoot,
)
.kind(Kind::Number);
const DRIVER: Fact =
    Fact::named("driver", "driver that sets the clock rate", "amd-pstate-epp", Stability::PerBoot);
const GOVERNOR: Fact = Fact::named(
    "governor",
    "governor that picks the clock rate; several, if CPUs differ, sorted and joined by commas",
    "performance",
    Stability::Dynamic,
)
.kind(Kind::List);
const BOOST: Fact = Fact::named(
    "boost",
    "whether the clock rate may exceed the base, also known as turbo: `true` or `false`",
    "true",
    Stability::Dynamic,
)
.kind(Kind::Flag);

/// The collector.
pub static CPU_FREQUENCY: Collector = Collector::new(
    "cpu-frequency",
    Topic::Cpu,
    "Limits of the clock rate, driver and governor",
    &[MAX_MHZ, BASE_MHZ, DRIVER, GOVERNOR, BOOST],
    Collect::Blocking(collect),
)
.reads(&[
    CPUFREQ,
    "/sys/devices/system/cpu/cpufreq/policy*/*",
    "/sys/devices/system/cpu/cpufreq/boost",
    NO_TURBO_PATH,
    "/sys/devices/system/cpu/cpu*/acpi_cppc/nominal_freq",
])
.not_applicable("where nothing sets the clock rate, as in nearly all VMs");

register!(CPU_FREQUENCY);

const CPUFREQ: &str = "/sys/devices/system/cpu/cpufreq";
const NO_TURBO_PATH: &str = "/sys/devices/system/cpu/intel_pstate/no_turbo";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let mut policies = host.list(CPUFREQ)?.unwrap_or_default();
    policies.retain(|name| name.starts_with("policy"));
    let max = of_each(host, &policies, "cpuinfo_max_freq")?;
    let (Some(first), Some(max)) = (policies.first(), max.iter().filter_map(|text| mhz(text)).max()) else {
        return Ok(Collected::not_applicable(format!(
            "`{CPUFREQ}` has no policy: nothing sets the clock rate"
        )));
    };
    let governors = of_each(host, &policies, "scaling_governor");
    let governors = governors.map(|names| (!names.is_empty()).then(|| list(names)));
    Ok(Facts::new(max.to_string())
        .with_read(&BASE_MHZ, base(host, first))
        .with_read(&DRIVER, host.line(&format!("{CPUFREQ}/{first}/scaling_driver")))
        .with_read(&GOVERNOR, governors)
        .with_read(&BOOST, boost(host, first))
        .into())
}

/// The values that a file has in the policies, each once.
fn of_each(host: &HostRoot, policies: &[String], name: &str) -> Result<BTreeSet<String>, HostError> {
    let lines = policies.iter().map(|policy| host.line(&format!("{CPUFREQ}/{policy}/{name}")));
    lines.filter_map(Result::transpose).collect()
}

/// The kernel counts in kHz.
fn mhz(khz: &str) -> Option<u64> {
    khz.parse::<u64>().ok().map(|khz| khz / 1000).filter(|mhz| *mhz > 0)
}

/// `intel_pstate` tells it in kHz; else the firmware does, in MHz.
fn base(host: &HostRoot, policy: &str) -> Result<Option<u64>, HostError> {
    if let Some(khz) = host.line(&format!("{CPUFREQ}/{policy}/base_frequency"))? {
        return Ok(mhz(&khz));
    }
    let cpu = policy.trim_start_matches("policy");
    let nominal = host.line(&format!("/sys/devices/system/cpu/cpu{cpu}/acpi_cppc/nominal_freq"))?;
    Ok(nominal.and_then(|mhz| mhz.parse().ok()).filter(|mhz| *mhz > 0))
}

/// `intel_pstate` has a switch of the opposite sense; newer drivers have one in each policy.
fn boost(host: &HostRoot, policy: &str) -> Result<Option<bool>, HostError> {
    let paths = [format!("{CPUFREQ}/boost"), NO_TURBO_PATH.to_owned(), format!("{CPUFREQ}/{policy}/boost")];
    for path in paths {
        let is_on = match host.line(&path)?.as_deref() {
            None => continue,
            Some("1") => true,
            Some("0") => false,
            Some(_) => return Ok(None),
        };
        return Ok(Some(is_on != (path == NO_TURBO_PATH)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_rates_are_told_in_mhz() {
        let read = ["3700000", "2450999", "0", "", "fast"].map(mhz);
        assert_eq!(read, [Some(3700), Some(2450), None, None, None]);
    }
}
