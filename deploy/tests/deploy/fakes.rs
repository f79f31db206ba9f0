//! Collectors that declare something and collect nothing.

use std::time::Duration;

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Enabled, Fact, Need, Registry, Selection,
    Stability, Variable,
};
use node_annotator_deploy::Settings;

pub(crate) static KERNEL: Collector = fake("kernel", &[], &[]);
pub(crate) static CPU_MODEL: Collector = fake("cpu-model", &[], &[]);
pub(crate) static ANCHOR_IP: Collector = fake("anchor-ip", &[Need::MetadataService], &[]);
pub(crate) static PTR: Collector =
    fake("ptr", &[Need::Dns], &[Variable { name: "NODE_IPS", summary: "the node's addresses" }]);
pub(crate) static NIC: Collector = fake("nic", &[Need::HostNetwork], &[]);
pub(crate) static OS: Collector =
    fake("os", &[Need::HostPath("/etc/os-release"), Need::HostPath("/usr/lib/modules/")], &[]);

const FACTS: &[Fact] = &[
    Fact::primary("nothing", "none", Stability::Immutable),
    Fact::named("more", "nothing more", "none", Stability::Immutable),
];

const fn fake(name: &'static str, needs: &'static [Need], variables: &'static [Variable]) -> Collector {
    Collector { needs, variables, ..named(name) }
}

pub(crate) const fn named(name: &'static str) -> Collector {
    Collector {
        name,
        summary: "nothing",
        facts: FACTS,
        retired: &["less"],
        needs: &[],
        variables: &[],
        timeout: Duration::from_secs(1),
        enabled: Enabled::ByDefault,
        collect: Collect::Blocking(nothing),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of every collector")]
fn nothing(_: &Context) -> Result<Collected, CollectError> {
    Ok(Collected::not_applicable("a fake"))
}

/// A collector that lives as long as the test process.
pub(crate) fn leaked(collector: Collector) -> &'static Collector {
    Box::leak(Box::new(collector))
}

pub(crate) fn selection(collectors: &[&'static Collector]) -> Selection {
    let registry = Registry::new(collectors.iter().copied()).expect("the fakes are well declared");
    Selection::parse("all", &registry).expect("there is at least one")
}

pub(crate) fn settings(collectors: &[&'static Collector]) -> Settings {
    Settings::new(selection(collectors))
}
