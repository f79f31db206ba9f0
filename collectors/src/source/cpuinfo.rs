//! `/proc/cpuinfo` as a list of CPUs with their fields.

use std::collections::BTreeMap;

use node_annotator_core::context::HostText;
use node_annotator_core::fact::{MAX_VALUE_BYTES, clean};

/// Where it is.
pub(crate) const PATH: &str = "/proc/cpuinfo";

/// The fields of one CPU, keys as the kernel prints them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cpu<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Cpu<'a> {
    /// The value of a field, unless it is empty.
    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied().filter(|value| !value.is_empty())
    }

    /// The value of a field as printable text, unless nothing is left of it.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(|value| clean(value, MAX_VALUE_BYTES)).filter(|value| !value.is_empty())
    }

    /// The value of a field that is a decimal number.
    pub(crate) fn decimal(&self, key: &str) -> Option<u32> {
        self.get(key)?.parse().ok()
    }

    /// The value of a field that is a hexadecimal number behind `0x`.
    pub(crate) fn hexadecimal(&self, key: &str) -> Option<u64> {
        u64::from_str_radix(self.get(key)?.strip_prefix("0x")?, 16).ok()
    }
}

/// The whole paragraphs of a file that may have been cut.
pub(crate) fn whole(text: &HostText) -> &str {
    if text.is_cut() { text.rfind("\n\n").map_or("", |end| &text[..end]) } else { text }
}

/// The paragraphs that describe a CPU, one at a time: thousands of CPUs take no more room than one. Other
/// paragraphs tell about the machine, its serial number among it, and are skipped. Old kernels describe all
/// cores of an Arm machine in one paragraph behind those of the processors.
pub(crate) fn cpus(text: &str) -> impl Iterator<Item = Cpu<'_>> {
    let mut lines = text.lines().chain([""]);
    let mut paragraph = BTreeMap::new();
    std::iter::from_fn(move || {
        for line in lines.by_ref() {
            if line.trim().is_empty() {
                let fields = std::mem::take(&mut paragraph);
                if fields.contains_key("processor") || fields.contains_key("CPU implementer") {
                    return Some(Cpu(fields));
                }
            } else if let Some((key, value)) = line.split_once(':') {
                match key.trim().strip_prefix("processor ") {
                    // s390x gives each processor one line: `processor 0: version = FF,  identification = …,
                    // machine = 3931`.
                    Some(number) if number.parse::<u32>().is_ok() => return Some(Cpu(assignments(value))),
                    _ => {
                        paragraph.entry(key.trim()).or_insert(value.trim());
                    }
                }
            }
        }
        None
    })
}

fn assignments(list: &str) -> BTreeMap<&str, &str> {
    let pairs = list.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.trim(), value.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_paragraph_with_a_processor_is_a_cpu() {
        let text = "processor\t: 0\nmodel name\t: A: B\nflags\t\t: \n\nprocessor\t: 1\n\nSerial\t: 0123\n";
        let cpus: Vec<_> = cpus(text).collect();
        assert_eq!(cpus.len(), 2);
        assert_eq!(cpus[0].get("model name"), Some("A: B"));
        assert_eq!(cpus[0].get("flags"), None);
        assert_eq!(cpus[1].get("Serial"), None);
    }
}
