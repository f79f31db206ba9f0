//! A file that cannot be read takes its own facts away, and no others; only the primary fact's source
//! decides.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use node_annotator_core::context::Access;
use node_annotator_core::{Collector, Facts, Outcome};

use crate::root::{Root, collector, facts, left_out, outcome, registry};

/// Their primary fact is put together of several sources, or has others elsewhere than on x86.
const OF_SEVERAL: [&str; 6] =
    ["confidential", "cpu-cache", "cpu-cache-levels", "firmware", "gpu", "numa-topology"];

/// How a path is made unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// It leads where a pod has no mount: it may be there, and cannot be seen.
    NotVisible,
    /// It leads to itself: reading it fails.
    Broken,
    /// It is a directory, of which nobody can read a text. A directory that is empty is no fault: it has
    /// nothing.
    Directory,
}

/// Makes a path of a root unreadable.
fn spoil(root: &Root, path: &str, fault: Fault) {
    let (place, hidden) = places(root, path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    if fs::symlink_metadata(&place).is_ok() {
        fs::rename(&place, &hidden).unwrap();
    }
    match fault {
        Fault::NotVisible => symlink("/hidden", place).unwrap(),
        Fault::Broken => symlink(Path::new(path), place).unwrap(),
        Fault::Directory => fs::create_dir(place).unwrap(),
    }
}

/// Undoes [`spoil`]; the directories above a path that was not there remain.
fn restore(root: &Root, path: &str) {
    let (place, hidden) = places(root, path);
    if fs::remove_file(&place).is_err() {
        fs::remove_dir(&place).unwrap();
    }
    if fs::symlink_metadata(&hidden).is_ok() {
        fs::rename(hidden, place).unwrap();
    }
}

fn places(root: &Root, path: &str) -> (PathBuf, PathBuf) {
    (root.path().join(path.trim_start_matches('/')), root.path().join("hidden"))
}

/// What a collector looks at on a host.
async fn accesses(collector: &'static Collector, root: &Root) -> Vec<Access> {
    let host = root.host();
    drop(outcome(collector, host.clone()).await);
    host.accesses()
}

/// The files that were looked at, and the directories above them, with the faults that they may have. Nothing
/// is mounted on a link to a directory, but on what it leads to; and a link that leads elsewhere is another
/// answer to who asks for the link.
fn faults(root: &Root, accesses: &[Access]) -> BTreeSet<(String, Fault)> {
    let is_link = |path: &str| {
        let place = root.path().join(path.trim_start_matches('/'));
        place.is_symlink() && place.is_dir()
    };
    let mut faults = BTreeSet::new();
    for access in accesses {
        let path = access.path();
        let whole = (!matches!(access, Access::Link(_))).then_some(path.len());
        let slashes = path.match_indices('/').map(|(at, _)| at).skip(1).chain(whole);
        for end in slashes.filter(|end| !is_link(&path[..*end])) {
            faults.extend([Fault::NotVisible, Fault::Broken].map(|fault| (path[..end].to_owned(), fault)));
        }
        if let Access::Text(path) | Access::Bytes(path, ..) = access {
            faults.insert((path.clone(), Fault::Directory));
        }
    }
    faults
}

/// The source that a path belongs to: what is in a directory whose names are listed is one.
fn source(path: &str, accesses: &[Access]) -> String {
    let lists = accesses.iter().filter(|access| matches!(access, Access::List(_))).map(Access::path);
    let of_list = lists.filter(|list| path.strip_prefix(list).is_some_and(|rest| rest.starts_with('/')));
    of_list.min_by_key(|list| list.len()).map_or_else(|| path.to_owned(), |list| format!("{list}/*"))
}

/// Holds the facts of a spoilt host against those of a whole one: what is missing was named, and the rest is
/// the same.
fn compare(whole: &Facts, spoilt: &Facts, what: &str) {
    for (name, value) in spoilt.iter() {
        assert_eq!(whole.get(name), Some(value), "{what}: a fact came out of nothing");
    }
    let lost: Vec<_> =
        whole.iter().filter_map(|(name, _)| name).filter(|name| spoilt.get(Some(name)).is_none()).collect();
    let named = left_out(spoilt);
    for name in lost {
        assert!(named.contains(&name), "{what}: `{name}` vanished without a word: {named:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_source_at_most_decides_over_a_collector() {
    for machine in ["amd-epyc", "intel-xeon", "neoverse-n1", "droplet"] {
        // Copied once: each fault is undone.
        let root = Root::of_fixture(machine);
        for collector in registry().iter() {
            let Outcome::Collected(whole) = outcome(collector, root.host()).await else {
                continue;
            };
            let mut deciding = BTreeSet::new();
            let accesses = accesses(collector, &root).await;
            for (path, fault) in faults(&root, &accesses) {
                spoil(&root, &path, fault);
                let what = format!("{} on {machine} with {path} {fault:?}", collector.name);
                let outcome = outcome(collector, root.host()).await;
                restore(&root, &path);
                match outcome {
                    Outcome::Collected(spoilt) => compare(&whole, &spoilt, &what),
                    Outcome::Failed { .. } | Outcome::NotApplicable(_) | Outcome::Unknown(_) => {
                        deciding.insert(source(&path, &accesses));
                    }
                    Outcome::TimedOut(_) | Outcome::Panicked(_) => panic!("{what}: {outcome:?}"),
                }
            }
            if collector.facts.len() == 1 || OF_SEVERAL.contains(&collector.name) {
                // Its one fact may be put together of several sources.
                continue;
            }
            // The file, and the directories above it.
            let files: Vec<_> = deciding
                .iter()
                .filter(|path| !deciding.iter().any(|other| other.starts_with(&format!("{path}/"))))
                .collect();
            assert!(files.len() <= 1, "{} on {machine}: {files:?}", collector.name);
        }
    }
}

#[tokio::test]
async fn each_file_of_a_kernel_takes_its_own_facts_away() {
    let collector = collector("kernel");
    let whole = facts(collector, Root::of_fixture("amd-epyc").host()).await;
    let names: BTreeSet<_> = whole.iter().filter_map(|(name, _)| name).collect();
    for (path, lost) in [
        ("/proc/cmdline", &["cmdline", "lockdown"][..]),
        ("/proc/misc", &["features"]),
        ("/proc/self/ns", &["features"]),
        ("/proc/sys/crypto", &["fips"]),
        ("/sys/power", &["lockdown"]),
        ("/proc/sys/kernel/tainted", &["taints"]),
        ("/proc/sys/kernel/version", &["build", "preemption"]),
        ("/sys/devices/system/clocksource", &["clocksource"]),
        ("/sys/kernel/btf", &["btf"]),
        ("/sys/kernel", &["btf"]),
        ("/sys", &["btf", "clocksource", "lockdown"]),
    ] {
        let root = Root::of_fixture("amd-epyc");
        spoil(&root, path, Fault::NotVisible);
        let spoilt = facts(collector, root.host()).await;
        assert_eq!(left_out(&spoilt), lost, "{path}");
        let left: BTreeSet<_> = spoilt.iter().filter_map(|(name, _)| name).collect();
        assert_eq!(&names - &left, lost.iter().copied().collect(), "{path}");
    }
}

#[tokio::test]
async fn one_cpu_without_a_topology_takes_away_what_is_counted() {
    let collector = collector("cpu-model");
    for (path, lost) in [
        ("/sys/devices/system/cpu/cpu1/topology", &["cores", "sockets", "threads-per-core"][..]),
        ("/sys/devices/system/cpu/cpu1/topology/physical_package_id", &["sockets"]),
        ("/sys/devices/system/cpu/online", &["cores", "sockets", "threads-per-core"]),
        ("/sys", &["cores", "sockets", "threads-per-core"]),
    ] {
        let root = Root::of_fixture("amd-epyc");
        spoil(&root, path, Fault::NotVisible);
        let spoilt = facts(collector, root.host()).await;
        assert_eq!(spoilt.get(None), Some("AMD EPYC 7763 64-Core Processor"));
        assert_eq!(left_out(&spoilt), lost, "{path}");
    }
}
