//! `memory`: what is particular about the node's memory, beyond the amount that Kubernetes knows.
//!
//! Reads `/proc/self/smaps`, in which the kernel tells the size of its pages, the blocks of memory in sysfs,
//! and `/proc/swaps`.

use std::collections::BTreeSet;

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::choice::chosen;
use crate::source::list::list;

const PAGE_SIZE: Fact = Fact::primary(
    "bytes of a page of memory: 4096 on x86; 16384 and 65536, on some arm64 and ppc64le, break programs that were built \
     for less",
    "4096",
    Stability::PerBoot,
)
.kind(Kind::Bytes);
const INSTALLED: Fact = Fact::named(
    "installed-bytes",
    "bytes of memory that the kernel has found, in whole blocks, online or not; unlike the node's capacity it is the same \
     for each kernel; not there where the kernel has no hot-plugging of memory",
    "68719476736",
    Stability::Dynamic,
)
.kind(Kind::Bytes);
const THP: Fact = Fact::named(
    "thp",
    "who gets transparent huge pages: `always` all, `madvise` who asks, `never` nobody",
    "madvise",
    Stability::Dynamic,
);
const SWAP: Fact = Fact::named(
    "swap",
    "what memory is swapped to, sorted and joined by commas: `partition`, `file`, `zram`, and `zswap` where that compresses \
     in front of them; `none` without swap",
    "partition",
    Stability::Dynamic,
)
.kind(Kind::List);

/// The collector.
pub static MEMORY: Collector = Collector::new(
    "memory",
    Topic::Memory,
    "Page size, installed memory, huge pages and swap",
    &[PAGE_SIZE, INSTALLED, THP, SWAP],
    Collect::Blocking(collect),
)
.reads(&[SMAPS_PATH, BLOCKS, "/sys/devices/system/memory/block_size_bytes", THP_PATH, SWAPS_PATH, ZSWAP_PATH])
.not_applicable("where the kernel tells no size of a page: it was built without `CONFIG_PROC_PAGE_MONITOR`");

register!(MEMORY);

/// The mappings of this process, each with the size of its pages. The system call for it would not be the
/// node's where a recorded machine is looked at.
const SMAPS_PATH: &str = "/proc/self/smaps";
const BLOCKS: &str = "/sys/devices/system/memory";
const THP_PATH: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
const SWAPS_PATH: &str = "/proc/swaps";
const ZSWAP_PATH: &str = "/sys/module/zswap/parameters/enabled";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let Some(smaps) = host.text(SMAPS_PATH)? else {
        return Ok(Collected::not_applicable(format!(
            "the kernel has no `{SMAPS_PATH}`, which tells the size of a page"
        )));
    };
    let Some(page_size) = page_size(&smaps) else {
        return Err(CollectError::new(format!("`{SMAPS_PATH}` tells no size of a page")).malformed());
    };
    let thp = host.line(THP_PATH).map(|line| line.and_then(|text| chosen(&text).map(str::to_owned)));
    Ok(Facts::new(page_size.to_string())
        .with_read(&INSTALLED, installed(host))
        .with_read(&THP, thp)
        .with_read(&SWAP, swap(host))
        .into())
}

/// `KernelPageSize:        4 kB`. The first mapping is that of the program, which has pages of the usual
/// size.
fn page_size(smaps: &str) -> Option<u64> {
    let line = smaps.lines().find_map(|line| line.strip_prefix("KernelPageSize:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    let bytes = kib.checked_mul(1024)?;
    bytes.is_power_of_two().then_some(bytes)
}

/// Blocks that are offline are installed all the same, so that none of them has to be read. The kernel counts
/// the bytes of a block in hexadecimal, without a mark.
fn installed(host: &HostRoot) -> Result<Option<u64>, HostError> {
    let Some(names) = host.list(BLOCKS)? else { return Ok(None) };
    let block = host.line(&format!("{BLOCKS}/block_size_bytes"))?;
    let block = block.and_then(|text| u64::from_str_radix(&text, 16).ok());
    Ok(block.and_then(|bytes| bytes.checked_mul(blocks(&names))).filter(|bytes| *bytes > 0))
}

fn blocks(names: &[String]) -> u64 {
    let number =
        |name: &&String| name.strip_prefix("memory").is_some_and(|number| number.parse::<u64>().is_ok());
    names.iter().filter(number).count() as u64
}

fn swap(host: &HostRoot) -> Result<Option<String>, HostError> {
    // A kernel without swap has no file.
    let Some(swaps) = host.text(SWAPS_PATH)? else { return Ok(Some("none".to_owned())) };
    let mut kinds = kinds(&swaps);
    if !kinds.is_empty() && host.line(ZSWAP_PATH)?.is_some_and(|value| value == "Y") {
        kinds.insert("zswap");
    }
    Ok(Some(list(kinds)))
}

/// The second column, below a heading. Compressed memory is a partition, too, told by its name.
fn kinds(swaps: &str) -> BTreeSet<&'static str> {
    let rows = swaps.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let kind = |row: Vec<&str>| match row[..] {
        [name, "partition", ..] if name.starts_with("/dev/zram") => Some("zram"),
        [_, "partition", ..] => Some("partition"),
        [_, "file", ..] => Some("file"),
        _ => None,
    };
    rows.filter_map(kind).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_has_the_size_that_the_first_mapping_tells() {
        let smaps =
            |size| format!("00400000-00402000 r--p 00000000 fe:00 1 /node-annotator\nSize: 8 kB\n{size}\n");
        for (line, bytes) in [
            ("KernelPageSize:        4 kB", Some(4096)),
            ("KernelPageSize:       64 kB", Some(65_536)),
            ("KernelPageSize:        0 kB", None),
            ("KernelPageSize:        3 kB", None),
            ("KernelPageSize:        4 MB", None),
            ("MMUPageSize:           4 kB", None),
        ] {
            assert_eq!(page_size(&smaps(line)), bytes, "{line}");
        }
    }

    #[test]
    fn swap_has_kinds() {
        let heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        for (rows, expected) in [
            ("", &[][..]),
            ("/dev/sda2                               partition\t8388604\t\t0\t\t-2\n", &["partition"]),
            ("/dev/zram0                              partition\t8388604\t\t0\t\t100\n", &["zram"]),
            ("/swap\\040file                           file\t\t8388604\t\t0\t\t-2\n", &["file"]),
            ("/dev/nvme0n1p3 partition 1 0 -2\n/swapfile file 1 0 -3\nnonsense\n", &["file", "partition"]),
        ] {
            assert_eq!(Vec::from_iter(kinds(&format!("{heading}{rows}"))), expected, "{rows}");
        }
    }

    #[test]
    fn blocks_are_told_from_what_else_the_directory_has() {
        let names = ["auto_online_blocks", "block_size_bytes", "memory0", "memory32", "memory", "memoryx"];
        assert_eq!(blocks(&names.map(str::to_owned)), 2);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|((KernelPageSize:|/dev/zram|partition|file|[0-9]{1,20} kB)[ \n]?){0,9}") {
            prop_assert!(page_size(&text).is_none_or(u64::is_power_of_two));
            let _ = kinds(&text);
        }
    }
}
