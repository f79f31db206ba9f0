//! What the kernel offers to containers and their runtimes, told by the files that come with it: that works
//! on every distribution, while most hide the configuration that the kernel was built with.

use std::collections::BTreeSet;

use node_annotator_core::HostRoot;
use node_annotator_core::context::HostError;

use crate::source::list::sorted;

pub(super) const IO_URING_PATH: &str = "/proc/sys/kernel/io_uring_disabled";
pub(super) const MISC_PATH: &str = "/proc/misc";
pub(super) const NAMESPACES_PATH: &str = "/proc/self/ns";
pub(super) const PRESSURE_PATH: &str = "/proc/pressure/cpu";
pub(super) const UNPRIVILEGED_BPF_PATH: &str = "/proc/sys/kernel/unprivileged_bpf_disabled";

pub(super) const CFS_BANDWIDTH_PATH: &str = "/proc/sys/kernel/sched_cfs_bandwidth_slice_us";
pub(super) const CHECKPOINT_RESTORE_PATH: &str = "/proc/sys/kernel/ns_last_pid";
pub(super) const SCHED_EXT_PATH: &str = "/sys/kernel/sched_ext/state";

/// Files that are there with a feature, and only with it.
const FILES: [(&str, &str); 3] = [
    ("cfs-bandwidth", CFS_BANDWIDTH_PATH),
    ("checkpoint-restore", CHECKPOINT_RESTORE_PATH),
    ("sched-ext", SCHED_EXT_PATH),
];

/// Character devices that a workload asks for, by their names in `/proc/misc`.
const DEVICES: [&str; 10] = [
    "fuse",
    "kvm",
    "nitro_enclaves",
    "sgx_enclave",
    "tun",
    "userfaultfd",
    "vfio",
    "vhost-net",
    "vhost-vsock",
    "vsock",
];

/// The features that are there. One that cannot be looked at takes them all away, since a list without it
/// would say that it is not there.
pub(super) fn features(host: &HostRoot) -> Result<Option<String>, HostError> {
    let mut features = BTreeSet::new();
    if let Some(disabled) = host.number(UNPRIVILEGED_BPF_PATH)? {
        features.insert("bpf");
        features.extend((disabled == 0).then_some("unprivileged-bpf"));
    }
    features.extend((host.number(IO_URING_PATH)? == Some(0)).then_some("io-uring"));
    // With `psi=0` the files are there, and reading them fails.
    features.extend(host.text(PRESSURE_PATH)?.map(|_| "psi"));
    for name in host.list(NAMESPACES_PATH)?.unwrap_or_default() {
        features.extend(match name.as_str() {
            "time" => Some("time-namespaces"),
            "user" => Some("user-namespaces"),
            _ => None,
        });
    }
    for (feature, path) in FILES {
        features.extend(host.exists(path)?.then_some(feature));
    }
    features.extend(devices(host.text(MISC_PATH)?.as_deref().unwrap_or_default()));
    Ok((!features.is_empty()).then(|| sorted(features)))
}

/// Of `/proc/misc`, whose lines are `232 kvm`.
fn devices(misc: &str) -> impl Iterator<Item = &'static str> {
    let names = misc.lines().filter_map(|line| line.split_ascii_whitespace().nth(1));
    names.filter_map(|name| DEVICES.iter().copied().find(|device| *device == name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn devices_are_told_by_their_names() {
        let misc = "234 btrfs-control\n122 vsock\n232 kvm\n235 autofs\n200 tun\n  1 psaux\nkvm\n";
        assert_eq!(devices(misc).collect::<Vec<_>>(), ["vsock", "kvm", "tun"]);
        assert_eq!(devices("").count(), 0);
    }

    proptest! {
        #[test]
        fn any_text_yields_known_devices_alone(misc in "\\PC*|([0-9]{1,3} (kvm|tun|\\PC{1,4})\n){0,6}") {
            prop_assert!(devices(&misc).all(|device| DEVICES.contains(&device)));
        }
    }
}
