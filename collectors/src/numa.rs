//! `numa`: over how many nodes CPUs and memory are spread.
//!
//! Reads `/sys/devices/system/node`. Not applicable to kernels that are built without NUMA.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::numa::{NODES, nodes};

const COUNT: Fact = Fact::primary(
    "number of NUMA nodes that are online; in a VM what the hypervisor tells",
    "2",
    Stability::PerBoot,
)
.kind(Kind::Number);
const MEMORY_ONLY: Fact = Fact::named(
    "memory-only",
    "number of NUMA nodes with memory and without CPUs, such as CXL memory or that of a GPU; not there on machines of one \
     node",
    "1",
    Stability::Dynamic,
)
.kind(Kind::Number);

/// The collector.
pub static NUMA: Collector = Collector::new(
    "numa",
    Topic::Memory,
    "Number of NUMA nodes",
    &[COUNT, MEMORY_ONLY],
    Collect::Blocking(collect),
)
.reads(&[
    "/sys/devices/system/node/online",
    "/sys/devices/system/node/has_memory",
    "/sys/devices/system/node/has_cpu",
])
.not_applicable("on kernels without NUMA");

register!(NUMA);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let Some(online) = nodes(&cx.host, "online")? else {
        return Ok(Collected::not_applicable(format!("`{NODES}` lists no NUMA node")));
    };
    let facts = Facts::new(online.len().to_string());
    Ok(if online.len() > 1 { facts.with_read(&MEMORY_ONLY, memory_only(&cx.host)) } else { facts }.into())
}

fn memory_only(host: &HostRoot) -> Result<Option<usize>, HostError> {
    let (with_memory, with_cpu) = (nodes(host, "has_memory")?, nodes(host, "has_cpu")?);
    Ok(with_memory
        .zip(with_cpu)
        .map(|(memory, cpu)| memory.iter().filter(|node| !cpu.iter().any(|other| other == *node)).count()))
}
