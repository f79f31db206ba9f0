//! What the firmware says of the machine: DMI, by which a cloud is told without a network.

use node_annotator_core::HostRoot;
use node_annotator_core::context::HostError;
use node_annotator_core::fact::clean;

/// Longest string that is worth quoting.
const MAX_BYTES: usize = 64;

/// A string of `/sys/class/dmi/id` that every user may read, such as `sys_vendor`, as printable text.
pub(crate) fn read(host: &HostRoot, name: &str) -> Result<Option<String>, HostError> {
    let text = host.line(&format!("/sys/class/dmi/id/{name}"))?;
    Ok(text.map(|text| clean(&text, MAX_BYTES)).filter(|text| !text.is_empty()))
}
