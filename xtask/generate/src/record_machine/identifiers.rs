//! What tells one machine or person from all others, replaced: the same by the same, so that what belongs
//! together still does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Files whose whole content is an identifier, by what their names contain.
const NAMES: [&str; 9] =
    ["asset_tag", "boot_id", "domainname", "hostname", "machine-id", "serial", "unique_id", "uuid", "wwid"];

static UUID: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"));
static MAC: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b"));
/// Not a part of a longer version number or name.
static IPV4: LazyLock<Regex> = LazyLock::new(|| pattern(r"(^|[\s=,:/])(\d{1,3}(?:\.\d{1,3}){3})\b"));
/// A line of `/proc/cpuinfo` and its like.
static FIELD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?mi)^([^:\n]*(?:serial|uuid)[^:\n]*:[ \t]*)(\S.*)$"));
/// A boot parameter, as the kernel splits them: at white space outside of quotes.
static PARAMETER: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?:[^\s"]|"[^"]*"?)+"#));

/// How `root=` names a device.
static ROOT_KIND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:(?:PART)?(?:UUID|LABEL)=|ZFS=|/dev/(?:disk/by-(?:part)?(?:uuid|label)/|mapper/|nfs|dm-)?|nfs|zfs)",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is constant")
}

/// The identifiers that were found so far, with what stands for them.
#[derive(Debug, Default)]
pub(super) struct Identifiers {
    known: BTreeMap<String, String>,
    /// The words of all facts: what collectors publish is no secret.
    published: BTreeSet<String>,
}

impl Identifiers {
    /// None yet; these facts are published.
    pub(super) fn new<'a>(facts: impl Iterator<Item = &'a str>) -> Self {
        let published = facts.flat_map(str::split_whitespace).map(str::to_owned).collect();
        Self { known: BTreeMap::new(), published }
    }

    /// The text of a file without identifiers.
    pub(super) fn replace(&mut self, path: &str, text: &str) -> String {
        let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
        if NAMES.iter().any(|part| name.contains(part)) {
            return zeros(text);
        }
        let text = match path {
            "/proc/cmdline" => self.without_values(text),
            "/proc/self/smaps" => first_mapping(text),
            _ => text.to_owned(),
        };
        let text = FIELD.replace_all(&text, |found: &Captures| format!("{}{}", &found[1], zeros(&found[2])));
        let text = UUID.replace_all(&text, |found: &Captures| {
            self.stand_in(&found[0], |number| format!("00000000-0000-4000-8000-{number:012x}"))
        });
        // What a kernel says of its own version is not an address.
        let text = MAC.replace_all(&text, |found: &Captures| {
            self.stand_in(&found[0], |number| format!("02:00:00:00:00:{:02x}", number % 256))
        });
        let text = IPV4.replace_all(&text, |found: &Captures| {
            let address = self.stand_in(&found[2], |number| format!("192.0.2.{}", number % 256));
            format!("{}{address}", &found[1])
        });
        text.into_owned()
    }

    /// Boot parameters: any value may be a secret, but one that is published. What follows `--` is for init.
    fn without_values(&self, text: &str) -> String {
        let words = PARAMETER.find_iter(text).map(|word| word.as_str()).take_while(|word| *word != "--");
        let kept = words.filter_map(|word| {
            if self.published.contains(word) {
                return Some(word.to_owned());
            }
            match word.split_once('=') {
                Some(("console", device))
                    if device.bytes().all(|b| b.is_ascii_alphanumeric() || b == b',') =>
                {
                    Some(word.to_owned())
                }
                Some((name, value)) => {
                    let kind =
                        ROOT_KIND.find(value).filter(|_| name == "root").map_or("", |kind| kind.as_str());
                    (!name.contains('"')).then(|| format!("{name}={kind}removed"))
                }
                None => word.bytes().all(|byte| byte.is_ascii_lowercase()).then(|| word.to_owned()),
            }
        });
        kept.collect::<Vec<_>>().join(" ") + "\n"
    }

    fn stand_in(&mut self, identifier: &str, make: impl FnOnce(usize) -> String) -> String {
        let number = self.known.len() + 1;
        self.known.entry(identifier.to_lowercase()).or_insert_with(|| make(number)).clone()
    }
}

/// The size of the pages is in the first mapping of this program, whose address and path are nobody's
/// business.
fn first_mapping(smaps: &str) -> String {
    let mapping = smaps.lines().skip(1).take_while(|line| !line.starts_with(|c: char| c.is_ascii_hexdigit()));
    let lines = ["00200000-00310000 r--p 00000000 00:00 0 /node-annotator"].into_iter().chain(mapping);
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// A text of the same shape.
fn zeros(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() { '0' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_replaced_and_nothing_else() {
        let mut identifiers = Identifiers::new(["isolcpus=2-3 nosmt"].into_iter());
        for (path, text, expected) in [
            ("/sys/class/dmi/id/product_serial", "VMware-42 1a\n", "000000-00 00\n"),
            ("/sys/class/dmi/id/product_name", "PowerEdge R750\n", "PowerEdge R750\n"),
            ("/sys/class/net/eth0/address", "52:54:00:AB:cd:ef\n", "02:00:00:00:00:01\n"),
            ("/sys/class/net/bond0/address", "52:54:00:ab:cd:ef\n", "02:00:00:00:00:01\n"),
            ("/proc/sys/kernel/osrelease", "6.8.0-45-generic\n", "6.8.0-45-generic\n"),
            ("/proc/net/peers", "peer=10.1.2.3:80 10.1.2.4\n", "peer=192.0.2.2:80 192.0.2.3\n"),
            ("/proc/cpuinfo", "Hardware\t: A\nSerial\t\t: 00ff12\n", "Hardware\t: A\nSerial\t\t: 000000\n"),
            (
                "/proc/self/smaps",
                "55f9e279a000-55f9e279c000 r--p 00000000 fe:00 247026 /home/me/a\nKernelPageSize:        4 kB\n\
                 VmFlags: rd mr\n7f00-7f01 r-xp 00000000 fe:00 2 /lib\nKernelPageSize:        4 kB\n",
                "00200000-00310000 r--p 00000000 00:00 0 /node-annotator\nKernelPageSize:        4 kB\nVmFlags: rd mr\n",
            ),
            (
                "/proc/cmdline",
                "quiet isolcpus=2-3 root=UUID=x a=\"b c\" hunter2 -- password\n",
                "quiet isolcpus=2-3 root=UUID=removed a=removed\n",
            ),
            (
                "/sys/firmware/a",
                "2f1c6c2a-9d0e-4b61-9c3a-1f0e8a7d5b21",
                "00000000-0000-4000-8000-000000000004",
            ),
        ] {
            assert_eq!(identifiers.replace(path, text), expected, "{path}");
        }
    }
}
