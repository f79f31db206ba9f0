//! Which cloud this machine belongs to, told by its firmware and without a network.

use node_annotator_core::fact::clean;
use node_annotator_core::{Context, HostRoot};

/// Longest vendor name that is worth quoting.
const MAX_VENDOR_BYTES: usize = 64;

/// What the firmware says about one particular cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Machine {
    /// The machine belongs to that cloud: its metadata service is expected to answer.
    Ours,
    /// It is of this other vendor: nobody needs to be asked.
    Other(String),
    /// The firmware says nothing, as in Firecracker, on some boards and in sandboxes.
    Unknown,
}

impl Machine {
    /// Compares DMI's `sys_vendor` with the name that the cloud writes there.
    ///
    /// Reads `/sys/class/dmi/id/sys_vendor`, which is world-readable. If a sandbox denies it, it says nothing.
    pub(crate) async fn identify(cx: &Context, vendor: &'static str) -> Self {
        cx.host.blocking(move |host| Self::from_vendor(&sys_vendor(host), vendor)).await
    }

    fn from_vendor(found: &str, vendor: &str) -> Self {
        match clean(found, MAX_VENDOR_BYTES) {
            found if found.is_empty() => Self::Unknown,
            found if found == vendor => Self::Ours,
            found => Self::Other(found),
        }
    }
}

fn sys_vendor(host: &HostRoot) -> String {
    host.read("/sys/class/dmi/id/sys_vendor").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendor_decides_and_silence_is_not_another_vendor() {
        assert_eq!(Machine::from_vendor("DigitalOcean\n", "DigitalOcean"), Machine::Ours);
        assert_eq!(Machine::from_vendor("QEMU\n", "DigitalOcean"), Machine::Other("QEMU".to_owned()));
        assert_eq!(Machine::from_vendor(" \0\n", "DigitalOcean"), Machine::Unknown);
    }

    #[test]
    fn a_hostile_vendor_is_quoted_short_and_printable() {
        let Machine::Other(vendor) = Machine::from_vendor(&"\u{1b}[31mevil".repeat(2000), "DigitalOcean")
        else {
            panic!("a vendor that is not ours");
        };
        assert!(vendor.len() <= MAX_VENDOR_BYTES && !vendor.contains('\u{1b}'), "{vendor}");
    }
}
