//! Collectors that declare something and collect nothing.

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, HostPath, Need, Registry, Selection,
    Stability, Topic, Variable,
};
use node_annotator_deploy::{Layout, Settings};

pub(crate) static KERNEL: Collector = named("kernel");
pub(crate) static CPU_MODEL: Collector = Collector::new(
    "cpu-model",
    Topic::Cpu,
    "nothing",
    &[Fact::primary("nothing", "none", Stability::PerBoot), MORE],
    Collect::Blocking(nothing),
)
.retired(&["less"])
.revision(2);
pub(crate) static ANCHOR_IP: Collector = named("anchor-ip")
    .needs(&[Need::MetadataService])
    .variables(&[Variable::operator("METADATA_URL", "where it asks")]);
pub(crate) static PTR: Collector = named("ptr").needs(&[Need::Dns]).variables(&[Variable::field(
    "NODE_IPS",
    "the node's addresses",
    "status.hostIPs",
)]);
pub(crate) static NIC: Collector = named("nic").needs(&[Need::HostNetwork]);
pub(crate) static OS: Collector = named("os").needs(&[
    Need::HostPath(HostPath::optional("/etc", "/etc/os-release")),
    Need::HostPath(HostPath::directory("/usr/lib/modules")),
    Need::HostPath(HostPath::file("/etc/machine-id")),
]);

/// All of its facts but the primary one are the operator's.
pub(crate) static FILES: Collector =
    Collector::new("files", Topic::System, "nothing", &[NOTHING], Collect::Blocking(nothing))
        .takes_named_facts();

const NOTHING: Fact = Fact::primary("nothing", "none", Stability::Immutable);
pub(crate) const MORE: Fact = Fact::named("more", "nothing more", "none", Stability::Immutable);

pub(crate) const fn named(name: &'static str) -> Collector {
    Collector::new(name, Topic::System, "nothing", &[NOTHING, MORE], Collect::Blocking(nothing))
        .retired(&["less"])
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

/// A DaemonSet for each collector.
pub(crate) fn settings(collectors: &[&'static Collector]) -> Settings {
    Settings { layout: Layout::PerCollector, ..Settings::new(selection(collectors)) }
}
