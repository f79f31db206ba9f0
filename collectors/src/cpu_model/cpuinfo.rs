//! `/proc/cpuinfo` as a list of CPUs with their fields, and what is made of one.

use std::collections::BTreeMap;

use node_annotator_core::fact::{MAX_VALUE_BYTES, clean};

use super::isa_level::IsaLevel;

/// The fields of one CPU, keys as the kernel prints them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cpu<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Cpu<'a> {
    /// The value of a field, unless it is empty.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied().filter(|value| !value.is_empty())
    }

    /// The value of a field as printable text, unless nothing is left of it.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(|value| clean(value, MAX_VALUE_BYTES)).filter(|value| !value.is_empty())
    }

    /// The value of a field that is a decimal number.
    pub(super) fn decimal(&self, key: &str) -> Option<u32> {
        self.get(key)?.parse().ok()
    }

    /// The value of a field that is a hexadecimal number behind `0x`.
    pub(super) fn hexadecimal(&self, key: &str) -> Option<u64> {
        u64::from_str_radix(self.get(key)?.strip_prefix("0x")?, 16).ok()
    }
}

/// What one CPU says of itself, in the shapes of the facts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) model: String,
    pub(super) vendor: Option<String>,
    pub(super) family: Option<String>,
    pub(super) model_id: Option<String>,
    pub(super) stepping: Option<String>,
    pub(super) microcode: Option<String>,
    pub(super) isa_level: Option<IsaLevel>,
}

/// The paragraphs that describe a CPU. Others tell about the machine, its serial number among it, and are skipped.
///
/// Only so much of a file is read, so that a last line without an end may be cut, and is skipped too.
pub(super) fn cpus(text: &str) -> Vec<Cpu<'_>> {
    let whole_lines = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut cpus = Vec::new();
    let mut paragraph = BTreeMap::new();
    for line in whole_lines.lines().chain([""]) {
        if line.trim().is_empty() {
            let fields = std::mem::take(&mut paragraph);
            if fields.contains_key("processor") {
                cpus.push(Cpu(fields));
            }
        } else if let Some((key, value)) = line.split_once(':') {
            match key.trim().strip_prefix("processor ") {
                // s390x gives each processor one line: `processor 0: version = FF,  identification = …,  machine = 3931`.
                Some(number) if number.parse::<u32>().is_ok() => cpus.push(Cpu(assignments(value))),
                _ => {
                    paragraph.entry(key.trim()).or_insert(value.trim());
                }
            }
        }
    }
    cpus
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
        let cpus = cpus(text);
        assert_eq!(cpus.len(), 2);
        assert_eq!(cpus[0].get("model name"), Some("A: B"));
        assert_eq!(cpus[0].get("flags"), None);
        assert_eq!(cpus[1].get("Serial"), None);
    }

    #[test]
    fn a_cut_line_is_not_read() {
        let cpus = cpus("processor\t: 0\nflags\t: fpu vme\n\nprocessor\t: 1\nflags\t: fp");
        assert_eq!(cpus.len(), 2);
        assert_eq!(cpus[1].get("flags"), None);
    }
}
