//! What the firmware says of the machine: DMI, by which a cloud is told without a network.

use node_annotator_core::HostRoot;
use node_annotator_core::context::HostError;
use node_annotator_core::fact::clean;

/// Where it is; missing on machines without SMBIOS.
pub(crate) const PATH: &str = "/sys/class/dmi/id";

/// The machines that have none of its facts.
pub(crate) const WITHOUT: &str =
    "on machines without SMBIOS: Firecracker, s390x, ppc64le, boards with a device tree alone";

/// Why a machine without it has none of its facts.
pub(crate) const ABSENT: &str = "the firmware tells no DMI: there is no `/sys/class/dmi/id`";

/// Longest string that is worth quoting.
const MAX_BYTES: usize = 64;

/// What stands in the tables of boards whose maker has not filled them in, in whatever case.
const PLACEHOLDERS: [&str; 22] = [
    "0",
    "0123456789",
    "123456789",
    "default string",
    "invalid",
    "n/a",
    "na",
    "none",
    "not applicable",
    "not available",
    "not specified",
    "null",
    "o.e.m.",
    "oem",
    "sku",
    "system manufacturer",
    "system product name",
    "system version",
    "to be filled by o.e.m.",
    "type1productconfigid",
    "undefined",
    "unknown",
];

/// A string of `/sys/class/dmi/id` that every user may read, such as `sys_vendor`, as printable text.
pub(crate) fn read(host: &HostRoot, name: &str) -> Result<Option<String>, HostError> {
    let text = host.line(&format!("{PATH}/{name}"))?;
    Ok(text.map(|text| clean(&text, MAX_BYTES)).filter(|text| !text.is_empty()))
}

/// The same string, unless it is a placeholder.
pub(crate) fn stated(host: &HostRoot, name: &str) -> Result<Option<String>, HostError> {
    Ok(read(host, name)?.filter(|text| !is_placeholder(text)))
}

fn is_placeholder(text: &str) -> bool {
    PLACEHOLDERS.iter().any(|placeholder| text.eq_ignore_ascii_case(placeholder))
        || text.bytes().all(|byte| matches!(byte, b'x' | b'X' | b'.' | b'-' | b'*' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_no_name() {
        for text in
            ["To be filled by O.E.M.", "Default string", "xxxxxx", "XX.XX", "0", "System Product Name"]
        {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["PowerEdge R750", "System x3650", "0WMWCR", "1.0", "Xen", "X11DPi-N"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
