//! `numa-topology`: which CPUs and how much memory each NUMA node has, and how far they are apart.
//!
//! Reads `/sys/devices/system/node/node*`. Not applicable to kernels that are built without NUMA.

use node_annotator_core::context::HostError;
use node_annotator_core::fact::MAX_DECLARED_BYTES;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Stability, Topic, register,
};

use crate::source::cpulist::CpuList;
use crate::source::numa::{NODES, nodes};

const CPUS: Fact = Fact::primary(
    "online CPUs of each NUMA node, separated by semicolons; a node without CPUs has nothing behind its `=`",
    "0=0-1,4-5;1=2-3,6-7;2=",
    Stability::Dynamic,
)
.max_bytes(MAX_DECLARED_BYTES);
const DISTANCES: Fact = Fact::named(
    "distances",
    "distance from each node to each, in the order of their numbers, a row for each node, separated by semicolons; 10 is \
     the distance of a node to itself",
    "10,20;20,10",
    Stability::PerBoot,
)
.max_bytes(MAX_DECLARED_BYTES);
const MEMORY: Fact = Fact::named(
    "memory-mib",
    "memory of each node that its kernel can use, in MiB, separated by semicolons",
    "0=128761;1=129019",
    Stability::PerBoot,
);

/// The collector.
pub static NUMA_TOPOLOGY: Collector = Collector::new(
    "numa-topology",
    Topic::Memory,
    "CPUs, memory and distances of the NUMA nodes",
    &[CPUS, DISTANCES, MEMORY],
    Collect::Blocking(collect),
)
.reads(&["/sys/devices/system/node/online", "/sys/devices/system/node/node*/*"])
.not_applicable("on kernels without NUMA")
.on_request();

register!(NUMA_TOPOLOGY);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let Some(online) = nodes(host, "online")? else {
        return Ok(Collected::not_applicable(format!("`{NODES}` lists no NUMA node")));
    };
    let cpus = of_each(&online, |node| {
        let cpus = host.line(&format!("{NODES}/node{node}/cpulist"))?;
        Ok(Some(format!("{node}={}", cpus.unwrap_or_default())))
    })?;
    let distances = of_each(&online, |node| {
        let row = host.line(&format!("{NODES}/node{node}/distance"))?;
        Ok(row.map(|row| row.split_ascii_whitespace().collect::<Vec<_>>().join(",")))
    });
    let memory = of_each(&online, |node| memory(host, node));
    Ok(Facts::new(cpus.unwrap_or_default())
        .with_read(&DISTANCES, distances)
        .with_read(&MEMORY, memory)
        .into())
}

/// A part for each node; `None` if one has none.
fn of_each(
    nodes: &CpuList,
    part: impl FnMut(u32) -> Result<Option<String>, HostError>,
) -> Result<Option<String>, HostError> {
    let parts: Option<Vec<_>> = nodes.iter().map(part).collect::<Result<_, _>>()?;
    Ok(parts.map(|parts| parts.join(";")))
}

fn memory(host: &HostRoot, node: u32) -> Result<Option<String>, HostError> {
    let meminfo = host.text(&format!("{NODES}/node{node}/meminfo"))?;
    Ok(meminfo.and_then(|text| total_mib(&text)).map(|mib| format!("{node}={mib}")))
}

/// `Node 0 MemTotal:       131851264 kB`.
fn total_mib(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| Some(line.split_once(" MemTotal:")?.1))?;
    Some(value.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()? / 1024)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn memory_is_told_in_mib() {
        let meminfo = "Node 1 MemTotal:       131851264 kB\nNode 1 MemFree:         1866536 kB\n";
        assert_eq!(total_mib(meminfo), Some(128_761));
        for text in ["", "Node 0 MemTotal: many kB", "MemTotal: 1 kB", "Node 0 MemTotal: 1"] {
            assert_eq!(total_mib(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|(Node 0| MemTotal:|[0-9]{1,25}| kB|\n){0,6}") {
            let _ = total_mib(&text);
        }
    }
}
