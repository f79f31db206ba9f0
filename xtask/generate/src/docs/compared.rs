//! The table of `docs/compared.md`: numbers of facts by area, ours from the registry.

use std::fmt::Write as _;

use node_annotator_core::{Registry, Topic};

/// An area, and how many facts facter, osquery and Node Feature Discovery document of it; the page says what
/// is counted.
struct Area {
    topic: Topic,
    about: &'static str,
    facter: usize,
    osquery: usize,
    nfd: usize,
}

const fn area(topic: Topic, about: &'static str, facter: usize, osquery: usize, nfd: usize) -> Area {
    Area { topic, about, facter, osquery, nfd }
}

const AREAS: [Area; 9] = [
    area(Topic::Cpu, "processors", 7, 15, 27),
    area(Topic::Memory, "memory, NUMA", 15, 30, 7),
    area(Topic::Storage, "disks, file systems", 32, 52, 5),
    area(Topic::Network, "network", 26, 35, 10),
    area(Topic::Devices, "PCI, USB, accelerators", 0, 26, 12),
    area(Topic::Machine, "DMI, firmware", 17, 43, 2),
    area(Topic::Kernel, "kernel", 5, 4, 8),
    area(Topic::System, "operating system", 52, 15, 2),
    area(Topic::Cloud, "cloud", 5, 30, 0),
];

/// Numbers of facts by area.
pub(super) fn counts(registry: &Registry) -> String {
    let mut text = "\n| area | facter | osquery | NFD | node-annotator |\n|---|---|---|---|---|\n".to_owned();
    let of_topic = |topic: &str| {
        let collectors = registry.iter().filter(|collector| collector.topic.as_str() == topic);
        collectors.map(|collector| collector.facts.len()).sum::<usize>()
    };
    let mut totals = [0; 4];
    for Area { topic, about, facter, osquery, nfd } in AREAS {
        let numbers = [facter, osquery, nfd, of_topic(topic.as_str())];
        totals.iter_mut().zip(numbers).for_each(|(total, number)| *total += number);
        text += &row(about, numbers);
    }
    text += &row("together", totals);
    text.push('\n');
    text
}

fn row(about: &str, numbers: [usize; 4]) -> String {
    let mut row = format!("| {about} |");
    for number in numbers {
        write!(row, " {number} |").expect("a string takes it");
    }
    row + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Facts that an operator's files bring are none of ours.
    #[test]
    fn every_collector_is_in_an_area() {
        let registry = Registry::from_inventory().unwrap();
        for collector in registry.iter().filter(|collector| !collector.takes_named_facts) {
            assert!(AREAS.iter().any(|area| area.topic == collector.topic), "{}", collector.name);
        }
        assert!(registry.iter().next().is_some());
    }
}
