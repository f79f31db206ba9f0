//! What the firmware says of the machine: DMI, by which a cloud is told without a network.

use node_annotator_core::context::HostError;
use node_annotator_core::fact::clean;
use node_annotator_core::{Context, HostRoot};

/// Longest string that is worth quoting.
const MAX_BYTES: usize = 64;

/// A string of `/sys/class/dmi/id` that every user may read, such as `sys_vendor`, as printable text.
pub(crate) fn read(host: &HostRoot, name: &str) -> Result<Option<String>, HostError> {
    let text = host.line(&format!("/sys/class/dmi/id/{name}"))?;
    Ok(text.map(|text| clean(&text, MAX_BYTES)).filter(|text| !text.is_empty()))
}

/// What local evidence says about one cloud. Its metadata service is asked only if that says yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The machine belongs to that cloud: its metadata service is expected to answer.
    Yes,
    /// The firmware names this other vendor.
    No(String),
    /// The firmware says nothing, as in Firecracker, on some boards and in sandboxes, or it cannot be seen.
    None,
}

impl Evidence {
    /// Compares DMI's `sys_vendor` with the name that the cloud writes there, in whatever case.
    pub(crate) async fn of_vendor(cx: &Context, vendor: &'static str) -> Self {
        match cx.host.blocking(|host| read(host, "sys_vendor")).await {
            Ok(Some(found)) if found.eq_ignore_ascii_case(vendor) => Self::Yes,
            Ok(Some(found)) => Self::No(found),
            Ok(None) | Err(_) => Self::None,
        }
    }
}
