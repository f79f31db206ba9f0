//! `cpu-cache`: the last level of cache, which CPUs share.
//!
//! Reads `/sys/devices/system/cpu/cpu*/cache`: of each last-level cache once, not of each CPU, of which there
//! may be hundreds. Not applicable where neither kernel nor firmware tells of caches, as on many Arm boards.

use std::collections::BTreeSet;

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::cpu_cache::{self, CPUS, Cache};
use crate::source::cpulist::CpuList;

const BYTES: Fact = Fact::primary(
    "bytes of the last level of cache, mostly level 3, of all online CPUs together; in a VM what the hypervisor tells",
    "134217728",
    Stability::PerBoot,
)
.kind(Kind::Bytes);
const INSTANCES: Fact = Fact::named(
    "instances",
    "number of caches that these bytes are spread over; CPUs of one share data faster than CPUs of two",
    "4",
    Stability::PerBoot,
)
.kind(Kind::Number);

/// The collector.
pub static CPU_CACHE: Collector = Collector::new(
    "cpu-cache",
    Topic::Cpu,
    "Size of the last-level cache, and over how many it is spread",
    &[BYTES, INSTANCES],
    Collect::Blocking(collect),
)
.reads(&[
    cpu_cache::ONLINE,
    "/sys/devices/system/cpu/cpu*/cache",
    "/sys/devices/system/cpu/cpu*/cache/index*/level",
    "/sys/devices/system/cpu/cpu*/cache/index*/type",
    "/sys/devices/system/cpu/cpu*/cache/index*/size",
    "/sys/devices/system/cpu/cpu*/cache/index*/shared_cpu_list",
])
.not_applicable("where neither kernel nor firmware tells of caches, as on many Arm boards");

register!(CPU_CACHE);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let Some(caches) = last_level(&cx.host)? else {
        return Ok(Collected::not_applicable(format!("`{CPUS}/cpu*/cache` tells of no cache and its size")));
    };
    let Some(bytes) = caches.iter().try_fold(0_u64, |sum, bytes| sum.checked_add(*bytes)) else {
        return Err(
            CollectError::new(format!("`{CPUS}/cpu*/cache` tells of more cache than can be")).malformed()
        );
    };
    Ok(Facts::new(bytes.to_string()).with(&INSTANCES, caches.len()).into())
}

/// The size of each cache of the highest level. CPUs of one machine may differ in it: some cores of hybrid
/// processors have no part in level 3.
fn last_level(host: &HostRoot) -> Result<Option<Vec<u64>>, HostError> {
    let Some(online) = cpu_cache::online(host)? else { return Ok(None) };
    let mut covered = BTreeSet::new();
    let mut found = Vec::new();
    for cpu in online.iter() {
        if covered.contains(&cpu) {
            continue;
        }
        let Some(last) = Cache::of_cpu(host, cpu)?.into_iter().max_by_key(|cache| cache.level) else {
            continue;
        };
        let shared = last.cpus(host)?;
        covered.extend(shared.iter().flat_map(CpuList::iter));
        if let Some(bytes) = last.bytes(host)? {
            found.push((last.level, bytes));
        }
    }
    let Some(highest) = found.iter().map(|(level, _)| *level).max() else { return Ok(None) };
    Ok(Some(found.into_iter().filter(|(level, _)| *level == highest).map(|(_, bytes)| bytes).collect()))
}
