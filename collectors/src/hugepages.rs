//! `hugepages`: the pools of huge pages, and how hard the kernel tries to make transparent ones.
//!
//! Reads `/sys/kernel/mm`. The node's capacity has the pools, too, where the kubelet was started after they
//! were filled. Not applicable to kernels without pools.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::choice::chosen;
use crate::source::list::list;
use crate::source::size::quantity;

const POOLS: Fact = Fact::primary(
    "number of huge pages that are set aside, by size, joined by commas; `none` for none",
    "2Mi=512,1Gi=8",
    Stability::Dynamic,
)
.kind(Kind::List);
const SIZES: Fact =
    Fact::named("sizes", "sizes that pools may have, joined by commas", "2Mi,1Gi", Stability::PerBoot)
        .kind(Kind::List);
const DEFAULT_SIZE: Fact =
    Fact::named("default-size", "size that programs get if they ask for no other", "2Mi", Stability::PerBoot);
const THP_DEFRAG: Fact = Fact::named(
    "thp-defrag",
    "when a program waits for memory to be compacted into a transparent huge page: `always`, `defer`, `defer+madvise`, \
     `madvise` or `never`",
    "madvise",
    Stability::Dynamic,
);

/// The collector.
pub static HUGEPAGES: Collector = Collector::new(
    "hugepages",
    Topic::Memory,
    "Pools and sizes of huge pages",
    &[POOLS, SIZES, DEFAULT_SIZE, THP_DEFRAG],
    Collect::Blocking(collect),
)
.reads(&[POOLS_PATH, "/sys/kernel/mm/hugepages/hugepages-*kB/nr_hugepages", MEMINFO_PATH, DEFRAG_PATH])
.not_applicable("on kernels without pools of huge pages")
.on_request();

register!(HUGEPAGES);

const POOLS_PATH: &str = "/sys/kernel/mm/hugepages";
const MEMINFO_PATH: &str = "/proc/meminfo";
const DEFRAG_PATH: &str = "/sys/kernel/mm/transparent_hugepage/defrag";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let mut sizes: Vec<_> =
        host.list(POOLS_PATH)?.unwrap_or_default().iter().filter_map(|name| size(name)).collect();
    if sizes.is_empty() {
        return Ok(Collected::not_applicable(format!("the kernel has no `{POOLS_PATH}`")));
    }
    sizes.sort_unstable();
    let default_size = host.text(MEMINFO_PATH).map(|text| text.and_then(|text| default_size(&text)));
    let defrag = host.line(DEFRAG_PATH).map(|line| line.and_then(|text| chosen(&text).map(str::to_owned)));
    let names: Vec<_> = sizes.iter().map(|kib| quantity(kib * 1024)).collect();
    Ok(Facts::new(pools(host, &sizes)?)
        .with(&SIZES, list(names))
        .with_read(&DEFAULT_SIZE, default_size.map(|kib| kib.map(|kib| quantity(kib * 1024))))
        .with_read(&THP_DEFRAG, defrag)
        .into())
}

fn pools(host: &HostRoot, sizes: &[u64]) -> Result<String, HostError> {
    let mut pools = Vec::new();
    for kib in sizes {
        let pages = host.number(&format!("{POOLS_PATH}/hugepages-{kib}kB/nr_hugepages"))?.unwrap_or(0);
        if pages > 0 {
            pools.push(format!("{}={pages}", quantity(kib * 1024)));
        }
    }
    Ok(list(pools))
}

/// KiB of `hugepages-2048kB`.
fn size(name: &str) -> Option<u64> {
    kib(name.strip_prefix("hugepages-")?)
}

/// KiB of `Hugepagesize:       2048 kB`.
fn default_size(meminfo: &str) -> Option<u64> {
    kib(meminfo.lines().find_map(|line| line.strip_prefix("Hugepagesize:"))?)
}

fn kib(text: &str) -> Option<u64> {
    // No page is larger than all that 64 bits can count.
    text.trim().strip_suffix("kB")?.trim_end().parse().ok().filter(|kib| (1..=u64::MAX / 1024).contains(kib))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_from_names_and_from_meminfo() {
        assert_eq!(size("hugepages-2048kB"), Some(2048));
        assert_eq!(size("hugepages-1048576kB"), Some(1_048_576));
        for name in ["hugepages-", "hugepages-0kB", "demote", "hugepages-99999999999999999999kB"] {
            assert_eq!(size(name), None, "{name}");
        }
        let meminfo =
            "MemTotal:  1 kB\nHugePages_Total:       0\nHugepagesize:       2048 kB\nHugetlb:  0 kB\n";
        assert_eq!(default_size(meminfo), Some(2048));
        assert_eq!(default_size(""), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|(Hugepagesize:|hugepages-|[0-9]{1,25}| kB|\n){0,6}") {
            let _ = (size(&text).map(|kib| kib * 1024), default_size(&text).map(|kib| kib * 1024));
        }
    }
}
