//! `rdma`: the RDMA devices of the machine and their firmware: the only firmware of network cards that a pod
//! sees without the network of the host.
//!
//! They are visible as long as the RDMA subsystem shares its network namespaces, which is its default. GUIDs
//! are not read.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::counts::counts;

const MAX_BYTES: usize = 256;

const DEVICES: Fact = Fact::primary(
    "types of the RDMA devices, as their drivers name them, with how many of each there are; `unknown` for those that name none; \
     virtual functions are not counted",
    "MT4125=2",
    Stability::PerBoot,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const FIRMWARE: Fact = Fact::named(
    "firmware",
    "versions of their firmware, with how many devices have each",
    "22.39.1002=2",
    Stability::PerBoot,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const BOARD_IDS: Fact = Fact::named(
    "board-ids",
    "parameter sets that the firmware was built for (PSID of NVIDIA), with how many devices have each",
    "MT_0000000359=2",
    Stability::Immutable,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);
const LINK_LAYERS: Fact = Fact::named(
    "link-layers",
    "link layers of the first ports, `Ethernet` or `InfiniBand`, with how many devices have each",
    "Ethernet=2",
    Stability::PerBoot,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);

/// The collector.
pub static RDMA: Collector = Collector::new(
    "rdma",
    Topic::Network,
    "RDMA devices and their firmware",
    &[DEVICES, FIRMWARE, BOARD_IDS, LINK_LAYERS],
    Collect::Blocking(collect),
)
.reads(&[
    PATH,
    "/sys/class/infiniband/*/device/physfn",
    "/sys/class/infiniband/*/hca_type",
    "/sys/class/infiniband/*/fw_ver",
    "/sys/class/infiniband/*/board_id",
    "/sys/class/infiniband/*/ports/1/link_layer",
])
.not_applicable("on machines without an RDMA device whose driver is loaded")
.on_request();

register!(RDMA);

const PATH: &str = "/sys/class/infiniband";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let devices = devices(&cx.host)?;
    if devices.is_empty() {
        return Ok(Collected::not_applicable(
            "no driver has an RDMA device: `/sys/class/infiniband` is missing or empty",
        ));
    }
    let all = |name| {
        let lines = devices.iter().map(|device| cx.host.line(&format!("{PATH}/{device}/{name}")));
        lines.collect::<Result<Vec<_>, _>>()
    };
    let told = |name| {
        let told: Result<Vec<_>, _> = all(name);
        told.map(|told| {
            let told: Vec<_> = told.into_iter().flatten().collect();
            (!told.is_empty()).then(|| counts(told, MAX_BYTES))
        })
    };
    let types = all("hca_type")?.into_iter().map(Option::unwrap_or_default);
    Ok(Facts::new(counts(types, MAX_BYTES))
        .with_read(&FIRMWARE, told("fw_ver"))
        .with_read(&BOARD_IDS, told("board_id"))
        .with_read(&LINK_LAYERS, told("ports/1/link_layer"))
        .into())
}

/// The names of the devices that are no virtual functions.
fn devices(host: &HostRoot) -> Result<Vec<String>, HostError> {
    let mut devices = Vec::new();
    for name in host.list(PATH)?.unwrap_or_default() {
        if host.link(&format!("{PATH}/{name}/device/physfn"))?.is_none() {
            devices.push(name);
        }
    }
    Ok(devices)
}
