//! `network-interfaces`: the interfaces of the node that have a device behind them.
//!
//! They belong to the network namespace of the host. MAC addresses are not read.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Need, Stability,
    Topic, register,
};

use crate::source::counts::words;

const NAMES: Fact = Fact::primary(
    "names of the interfaces that have a device behind them; virtual functions are left out",
    "eno1,eno2,ens1f0np0,ens1f1np1",
    Stability::Dynamic,
)
.kind(Kind::List);
const SPEEDS: Fact = Fact::named(
    "speeds",
    "their speeds in Mbit/s, behind the name; without those that are down or have none, as virtio",
    "eno1=10000,ens1f0np0=100000,ens1f1np1=100000",
    Stability::Dynamic,
)
.kind(Kind::List);
const MTUS: Fact = Fact::named(
    "mtus",
    "their maximum transmission units in bytes, behind the name",
    "eno1=1500,eno2=1500,ens1f0np0=9000,ens1f1np1=9000",
    Stability::Dynamic,
)
.kind(Kind::List);
const DRIVERS: Fact = Fact::named(
    "drivers",
    "their drivers, behind the name",
    "eno1=ixgbe,eno2=ixgbe,ens1f0np0=mlx5_core,ens1f1np1=mlx5_core",
    Stability::PerBoot,
)
.kind(Kind::List);

/// The collector.
pub static NETWORK_INTERFACES: Collector = Collector::new(
    "network-interfaces",
    Topic::Network,
    "Names, speeds and MTUs of the node's network interfaces",
    &[NAMES, SPEEDS, MTUS, DRIVERS],
    Collect::Blocking(collect),
)
.reads(&[
    PATH,
    "/sys/class/net/*/device",
    "/sys/class/net/*/device/physfn",
    "/sys/class/net/*/device/driver",
    "/sys/class/net/*/speed",
    "/sys/class/net/*/mtu",
])
.not_applicable("on nodes without an interface that has a device behind it")
.needs(&[Need::HostNetwork])
.on_request();

register!(NETWORK_INTERFACES);

const PATH: &str = "/sys/class/net";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let names = names(host)?;
    if names.is_empty() {
        return Ok(Collected::not_applicable("no interface in `/sys/class/net` has a device behind it"));
    }
    let each = |value: fn(&HostRoot, &str) -> Result<Option<String>, HostError>| {
        let values = names.iter().map(|name| Ok(value(host, name)?.map(|value| format!("{name}={value}"))));
        values.collect::<Result<Vec<_>, HostError>>().map(|values| {
            let values: Vec<_> = values.into_iter().flatten().collect();
            (!values.is_empty()).then(|| values.join(","))
        })
    };
    Ok(Facts::new(words(&names))
        .with_read(&SPEEDS, each(|host, name| number(host, name, "speed")))
        .with_read(&MTUS, each(|host, name| number(host, name, "mtu")))
        .with_read(&DRIVERS, each(driver))
        .into())
}

/// The interfaces with a device that is no virtual function.
fn names(host: &HostRoot) -> Result<Vec<String>, HostError> {
    let mut names = Vec::new();
    for name in host.list(PATH)?.unwrap_or_default() {
        let has_device = host.link(&format!("{PATH}/{name}/device"))?.is_some();
        if has_device && host.link(&format!("{PATH}/{name}/device/physfn"))?.is_none() {
            names.push(name);
        }
    }
    Ok(names)
}

/// A number above zero: -1 stands for a speed that is not known.
fn number(host: &HostRoot, name: &str, file: &str) -> Result<Option<String>, HostError> {
    let line = host.line(&format!("{PATH}/{name}/{file}"))?;
    Ok(line.filter(|line| line.parse().is_ok_and(|number: i64| number > 0)))
}

fn driver(host: &HostRoot, name: &str) -> Result<Option<String>, HostError> {
    let target = host.link(&format!("{PATH}/{name}/device/driver"))?;
    Ok(target.and_then(|target| target.rsplit('/').next().map(str::to_owned)))
}
