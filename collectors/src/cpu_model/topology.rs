//! How the online CPUs make up cores and packages. CPUs come and go, so only those that are online are asked.

use std::collections::BTreeSet;

use node_annotator_core::HostRoot;
use node_annotator_core::context::HostError;

const CPUS: &str = "/sys/devices/system/cpu";

/// More than any kernel can be built for; a longer list is junk.
const MAX_CPUS: usize = 65_536;

/// Counts of what is online; `None` where the kernel or the firmware does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Topology {
    pub(super) sockets: Option<usize>,
    pub(super) cores: Option<usize>,
    pub(super) threads_per_core: Option<usize>,
}

/// What sysfs tells about one CPU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Place {
    /// Negative if the firmware does not tell.
    package: Option<i64>,
    /// The CPUs of the same core. Numbers of cores are not used: they repeat from cluster to cluster.
    siblings: Option<BTreeSet<u32>>,
}

impl Topology {
    /// Reads `online` and `cpu*/topology/` below `/sys/devices/system/cpu`.
    pub(super) fn read(host: &HostRoot) -> Result<Self, HostError> {
        let Some(online) = host.read_if_present(&format!("{CPUS}/online"))? else {
            return Ok(Self::default());
        };
        let mut places = Vec::new();
        for cpu in parse_list(&online).unwrap_or_default() {
            let read = |name| host.read_if_present(&format!("{CPUS}/cpu{cpu}/topology/{name}"));
            places.push(Place {
                package: read("physical_package_id")?.and_then(|text| text.trim().parse().ok()),
                siblings: read("thread_siblings_list")?.and_then(|text| parse_list(&text)),
            });
        }
        Ok(Self::count(&places))
    }

    fn count(places: &[Place]) -> Self {
        let packages: Option<BTreeSet<_>> =
            places.iter().map(|place| place.package.filter(|id| *id >= 0)).collect();
        let cores: Option<BTreeSet<_>> = places.iter().map(|place| place.siblings.as_ref()).collect();
        let threads = cores.as_ref().and_then(|cores| cores.iter().map(|threads| threads.len()).max());
        let some = |count: usize| (count > 0).then_some(count);
        Self {
            sockets: packages.and_then(|packages| some(packages.len())),
            cores: cores.and_then(|cores| some(cores.len())),
            threads_per_core: threads,
        }
    }
}

/// The numbers of a list such as `0-3,8,10-11`; `None` if it is empty, malformed or absurdly long.
fn parse_list(text: &str) -> Option<BTreeSet<u32>> {
    let mut cpus = BTreeSet::new();
    for range in text.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        let length = usize::try_from(last.checked_sub(first)?).ok()?;
        if cpus.len() + length >= MAX_CPUS {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(package: i64, siblings: &str) -> Place {
        Place { package: Some(package), siblings: parse_list(siblings) }
    }

    #[test]
    fn lists_of_cpus_are_read() {
        let numbers = |text| parse_list(text).map(|cpus| cpus.into_iter().collect::<Vec<_>>());
        assert_eq!(numbers("0-3,8,10-11\n"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(numbers("0"), Some(vec![0]));
        for text in ["", "\n", "a", "3-1", "0-", "-1", "0-4294967295", "0,,1", "99999999999"] {
            assert_eq!(numbers(text), None, "{text}");
        }
    }

    #[test]
    fn cores_are_told_apart_by_their_threads() {
        let places = [place(0, "0,2"), place(1, "1,3"), place(0, "0,2"), place(1, "1,3")];
        let counted = Topology { sockets: Some(2), cores: Some(2), threads_per_core: Some(2) };
        assert_eq!(Topology::count(&places), counted);
    }

    #[test]
    fn cores_with_and_without_a_second_thread_count_the_most() {
        let places = [place(0, "0-1"), place(0, "0-1"), place(0, "2"), place(0, "3")];
        let counted = Topology { sockets: Some(1), cores: Some(3), threads_per_core: Some(2) };
        assert_eq!(Topology::count(&places), counted);
    }

    #[test]
    fn an_unknown_package_is_no_socket() {
        let counted = Topology { sockets: None, cores: Some(1), threads_per_core: Some(1) };
        assert_eq!(Topology::count(&[place(-1, "0")]), counted);
        assert_eq!(Topology::count(&[]), Topology::default());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|[0-9,-]{0,30}") {
            prop_assert!(parse_list(&text).is_none_or(|cpus| !cpus.is_empty() && cpus.len() <= MAX_CPUS));
        }
    }
}
