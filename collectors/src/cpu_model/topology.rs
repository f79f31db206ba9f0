//! How the online CPUs make up cores and packages. CPUs come and go, so only those that are online are asked.

use std::collections::{BTreeMap, BTreeSet};

use node_annotator_core::HostRoot;
use node_annotator_core::context::HostError;

use crate::source::cpulist::CpuList;

const CPUS: &str = "/sys/devices/system/cpu";

type Count = Result<Option<usize>, HostError>;

/// Counts of what is online; none where the kernel or the firmware does not say.
#[derive(Debug)]
pub(super) struct Topology {
    pub(super) sockets: Count,
    pub(super) cores: Count,
    pub(super) threads_per_core: Count,
}

/// What the kernel numbers as packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packages {
    /// Sockets, by the word of the processor or of the firmware.
    Sockets,
    /// On Arm and RISC-V, before Linux 6.0, the clusters of a device tree; else sockets.
    OfDeviceTree {
        /// How many models of core there are.
        models: usize,
    },
}

impl Packages {
    /// Whether several packages may be the clusters of one chip.
    ///
    /// Machines with several sockets have cores of one model, and firmware that fills in DMI. A chip with
    /// clusters is told by its different cores, by cluster numbers that repeat the package numbers, or by the
    /// missing DMI of a board.
    pub(super) fn may_be_clusters(self, count: usize, host: &HostRoot) -> bool {
        let Self::OfDeviceTree { models } = self else { return false };
        let has_dmi = || host.exists("/sys/class/dmi/id").is_ok_and(|exists| exists);
        count > 1 && (models > 1 || !has_dmi() || packages_repeat_clusters(host))
    }
}

/// Whether each online CPU has the number of its package as the number of its cluster.
fn packages_repeat_clusters(host: &HostRoot) -> bool {
    let Ok(Some(online)) = host.line(&format!("{CPUS}/online")) else { return false };
    let id = |cpu: u32, name: &str| host.line(&format!("{CPUS}/cpu{cpu}/topology/{name}")).ok().flatten();
    let same =
        |cpu| id(cpu, "cluster_id").is_some_and(|cluster| id(cpu, "physical_package_id") == Some(cluster));
    CpuList::parse(&online).is_some_and(|cpus| cpus.iter().all(same))
}

impl Topology {
    /// Reads `online` and `cpu*/topology/` below `/sys/devices/system/cpu`.
    pub(super) fn read(host: &HostRoot) -> Self {
        let online = match host.line(&format!("{CPUS}/online")) {
            Ok(line) => line.as_deref().and_then(CpuList::parse),
            Err(error) => {
                let failed = || Err(error.clone());
                return Self { sockets: failed(), cores: failed(), threads_per_core: failed() };
            }
        };
        let cpus: Vec<_> = online.iter().flat_map(CpuList::iter).collect();
        let read = |name: &str| -> Result<Vec<_>, HostError> {
            cpus.iter().map(|cpu| host.line(&format!("{CPUS}/cpu{cpu}/topology/{name}"))).collect()
        };
        let packages = read("physical_package_id");
        let cores = read("thread_siblings_list").map(|lists| count_threads(&lists));
        Self {
            sockets: packages.map(|ids| count_packages(&ids)),
            cores: cores.clone().map(|threads| threads.map(|threads| threads.len())),
            threads_per_core: cores.map(|threads| threads.and_then(|threads| threads.into_values().max())),
        }
    }
}

/// How many packages there are; an id is negative if the firmware does not tell.
fn count_packages(ids: &[Option<String>]) -> Option<usize> {
    let id = |text: &Option<String>| text.as_ref()?.parse::<i64>().ok().filter(|id| *id >= 0);
    let packages: BTreeSet<_> = ids.iter().map(id).collect::<Option<_>>()?;
    some(packages).map(|packages| packages.len())
}

/// The number of threads of each core, by its first one. Numbers of cores are not used: they repeat from
/// cluster to cluster.
fn count_threads(siblings: &[Option<String>]) -> Option<BTreeMap<u32, usize>> {
    let core = |text: &Option<String>| {
        let threads = CpuList::parse(text.as_ref()?)?;
        Some((threads.first()?, threads.len()))
    };
    let cores: BTreeMap<_, _> = siblings.iter().map(core).collect::<Option<_>>()?;
    (!cores.is_empty()).then_some(cores)
}

fn some(set: BTreeSet<i64>) -> Option<BTreeSet<i64>> {
    (!set.is_empty()).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(cpus: &[(&str, &str)]) -> (Option<usize>, Option<usize>, Option<usize>) {
        let column =
            |pick: fn(&(&str, &str)) -> String| cpus.iter().map(|cpu| Some(pick(cpu))).collect::<Vec<_>>();
        let cores = count_threads(&column(|(_, siblings)| (*siblings).to_owned()));
        let threads = cores.as_ref().and_then(|cores| cores.values().copied().max());
        (
            count_packages(&column(|(package, _)| (*package).to_owned())),
            cores.map(|cores| cores.len()),
            threads,
        )
    }

    #[test]
    fn cores_are_told_apart_by_their_threads() {
        let cpus = [("0", "0,2"), ("1", "1,3"), ("0", "0,2"), ("1", "1,3")];
        assert_eq!(counted(&cpus), (Some(2), Some(2), Some(2)));
    }

    #[test]
    fn cores_with_and_without_a_second_thread_count_the_most() {
        let cpus = [("0", "0-1"), ("0", "0-1"), ("0", "2"), ("0", "3")];
        assert_eq!(counted(&cpus), (Some(1), Some(3), Some(2)));
    }

    #[test]
    fn an_unknown_package_is_no_socket() {
        assert_eq!(counted(&[("-1", "0")]), (None, Some(1), Some(1)));
        assert_eq!(counted(&[]), (None, None, None));
    }

    #[test]
    fn four_hundred_cpus_that_claim_all_others_take_no_room() {
        let cpus = vec![("0", "0-65534"); 400];
        assert_eq!(counted(&cpus), (Some(1), Some(1), Some(65_535)));
    }
}
