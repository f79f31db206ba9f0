//! `cpu-cache-levels`: all caches of a CPU.
//!
//! Reads `/sys/devices/system/cpu/cpu*/cache` of the first CPU that is online. On a machine whose cores
//! differ the others may have other caches.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::cpu_cache::{self, CPUS, Cache};
use crate::source::size::quantity;

const SIZES: Fact = Fact::primary(
    "size of each cache that the first online CPU uses, joined by commas",
    "L1d=32Ki,L1i=32Ki,L2=1Mi,L3=32Mi",
    Stability::PerBoot,
)
.kind(Kind::List);
const SHARED_BY: Fact = Fact::named(
    "shared-by",
    "number of online CPUs that share each of them",
    "L1d=2,L1i=2,L2=2,L3=4",
    Stability::Dynamic,
)
.kind(Kind::List);
const LINE_BYTES: Fact = Fact::named(
    "line-bytes",
    "bytes of a line of the first data cache, decimal: 64 on most, 128 or 256 on some",
    "64",
    Stability::PerBoot,
)
.kind(Kind::Number);

/// The collector.
pub static CPU_CACHE_LEVELS: Collector = Collector::new(
    "cpu-cache-levels",
    Topic::Cpu,
    "Size and sharing of each level of cache",
    &[SIZES, SHARED_BY, LINE_BYTES],
    Collect::Blocking(collect),
)
.reads(&[
    cpu_cache::ONLINE,
    "/sys/devices/system/cpu/cpu*/cache",
    "/sys/devices/system/cpu/cpu*/cache/index*/*",
])
.not_applicable("where neither kernel nor firmware tells of caches, as on many Arm boards")
.on_request();

register!(CPU_CACHE_LEVELS);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let online = cpu_cache::online(&cx.host)?;
    let mut caches = match online.and_then(|cpus| cpus.first()) {
        Some(cpu) => Cache::of_cpu(&cx.host, cpu)?,
        None => Vec::new(),
    };
    caches.sort_by_key(name);
    let Some(sizes) = told(&caches, |cache| Ok(cache.bytes(&cx.host)?.map(quantity)))? else {
        return Ok(Collected::not_applicable(format!("`{CPUS}/cpu*/cache` tells of no cache and its size")));
    };
    let shared_by = told(&caches, |cache| Ok(cache.cpus(&cx.host)?.map(|cpus| cpus.len().to_string())));
    Ok(Facts::new(sizes)
        .with_read(&SHARED_BY, shared_by)
        .with_read(&LINE_BYTES, line_bytes(&cx.host, &caches))
        .into())
}

/// `L1d`, `L1i`, `L2`, as `lscpu` names them.
fn name(cache: &Cache) -> String {
    let suffix = match cache.kind.as_str() {
        "Data" => "d",
        "Instruction" => "i",
        _ => "",
    };
    format!("L{}{suffix}", cache.level)
}

/// What is told of each cache, by its name; `None` if nothing is.
fn told(
    caches: &[Cache],
    value: impl Fn(&Cache) -> Result<Option<String>, HostError>,
) -> Result<Option<String>, HostError> {
    let mut list = Vec::new();
    for cache in caches {
        list.extend(value(cache)?.map(|value| format!("{}={value}", name(cache))));
    }
    Ok((!list.is_empty()).then(|| list.join(",")))
}

fn line_bytes(host: &HostRoot, caches: &[Cache]) -> Result<Option<u64>, HostError> {
    let first = caches.iter().find(|cache| cache.kind != "Instruction");
    first.map_or(Ok(None), |cache| cache.line_bytes(host))
}
