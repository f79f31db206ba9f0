//! The sources that a collector says it reads, against those that it reads.

use std::collections::BTreeSet;

use node_annotator_core::Collector;

use crate::machine::Trial;

/// The declared sources of a collector, and what was read.
pub(crate) struct Sources {
    declared: &'static [&'static str],
    read: BTreeSet<String>,
}

impl Sources {
    pub(crate) fn of(collector: &Collector) -> Self {
        Self { declared: collector.reads, read: BTreeSet::new() }
    }

    /// Takes note of what was read on a machine.
    pub(crate) fn note(&mut self, trial: &Trial) {
        self.read.extend(trial.accesses.iter().map(|access| access.path().to_owned()));
        self.read.extend(trial.asked.iter().cloned());
    }

    /// What was read and is not declared, and what is declared and was read on no machine.
    pub(crate) fn breaches(&self) -> Vec<String> {
        let is_named = |source: &str| self.declared.iter().any(|glob| matches(glob, source));
        let is_read = |glob: &str| self.read.iter().any(|source| matches(glob, source));
        let unnamed = self.read.iter().filter(|source| !is_named(source));
        let unread = self.declared.iter().filter(|glob| !is_read(glob));
        unnamed
            .map(|source| format!("it reads `{source}`, which its description does not name"))
            .chain(unread.map(|glob| format!("it is said to read `{glob}`, and does so on no machine")))
            .collect()
    }
}

/// Whether a source is one that the glob names: `*` stands for any text without a slash.
fn matches(glob: &str, source: &str) -> bool {
    match glob.split_once('*') {
        None => glob == source,
        Some((start, rest)) => {
            let Some(end) = source.strip_prefix(start) else { return false };
            let part = end.find('/').unwrap_or(end.len());
            (0..=part).filter(|&at| end.is_char_boundary(at)).any(|at| matches(rest, &end[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_a_part_between_slashes() {
        for (glob, source, is_named) in [
            ("/proc/cpuinfo", "/proc/cpuinfo", true),
            ("/proc/cpuinfo", "/proc/cpu", false),
            ("/sys/cpu/cpu*/topology/core_id", "/sys/cpu/cpu17/topology/core_id", true),
            ("/sys/cpu/cpu*/topology/core_id", "/sys/cpu/cpu17/node0/topology/core_id", false),
            ("/sys/cpu/cpu*/topology/*", "/sys/cpu/cpu0/topology/core_id", true),
            ("/sys/block/*", "/sys/block/sda", true),
            ("/sys/block/*", "/sys/block/sda/size", false),
            ("/sys/hugepages-*kB/nr", "/sys/hugepages-2048kB/nr", true),
            ("/sys/*/x", "/sys/é/x", true),
        ] {
            assert_eq!(matches(glob, source), is_named, "{glob} {source}");
        }
    }
}
