//! `container-runtime`: how the container runtime keeps the file systems of containers.
//!
//! Name and version of the runtime are in `status.nodeInfo` of the Node. Its cgroup driver and its socket are
//! hidden from a pod; the kubelet's directory is seen only relative to the file system that it lies on.

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Stability, Topic, register,
};

const SNAPSHOTTER: Fact = Fact::primary(
    "snapshotter of containerd, such as `overlayfs`, `stargz` or `nydus`; with Docker and CRI-O the storage driver, such as \
     `overlay2`",
    "overlayfs",
    Stability::Dynamic,
);

/// The collector.
pub static CONTAINER_RUNTIME: Collector = Collector::new(
    "container-runtime",
    Topic::System,
    "How the container runtime keeps the file systems of containers",
    &[SNAPSHOTTER],
    Collect::Blocking(collect),
)
.reads(&[MOUNTS_PATH])
.not_applicable("outside of a container")
.on_request();

register!(CONTAINER_RUNTIME);

const MOUNTS_PATH: &str = "/proc/self/mountinfo";

/// Directories below which a driver keeps its layers. A `*` at the end stands for the driver's name.
const DIRECTORIES: [(&str, &str); 7] = [
    ("/io.containerd.snapshotter.v1.", "*"),
    ("/containerd-stargz-grpc/", "stargz"),
    ("/containerd-nydus/", "nydus"),
    ("/nydus-snapshotter/", "nydus"),
    ("/soci-snapshotter-grpc/", "soci"),
    ("/containers/storage/", "*"),
    ("/docker/", "*"),
];

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let mounts = cx.host.read(MOUNTS_PATH)?;
    let Some(root) = root(&mounts) else {
        return Ok(Collected::unknown(format!("`{MOUNTS_PATH}` has no line for `/`")));
    };
    Ok(match driver(root) {
        Some(driver) => Facts::new(driver).into(),
        None if is_overlay(root) => Collected::unknown("the layers of `/` lie in no directory that is known"),
        None => Collected::not_applicable("`/` is not a file system of a container"),
    })
}

/// The mount of `/`: the last one, which is on top.
fn root(mounts: &str) -> Option<&str> {
    mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/"))
}

fn is_overlay(root: &str) -> bool {
    root.split_once(" - ").is_some_and(|(_, behind)| behind.starts_with("overlay "))
}

/// The paths are those of the layers: options of overlay, or the source of another file system.
fn driver(root: &str) -> Option<&str> {
    DIRECTORIES.into_iter().find_map(|(directory, driver)| {
        let (_, behind) = root.split_once(directory)?;
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let name = behind.split(|c| !is_name(c)).next().filter(|name| !name.is_empty());
        if driver == "*" { name } else { Some(driver) }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_directory_of_the_layers_names_the_driver() {
        let overlay = |lower: &str| {
            format!("619 617 0:70 / / ro,relatime - overlay overlay ro,lowerdir={lower}/1/fs,upperdir=/x")
        };
        for (lower, expected) in [
            ("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots", Some("overlayfs")),
            (
                "/var/lib/rancher/k3s/agent/containerd/io.containerd.snapshotter.v1.fuse-overlayfs/snapshots",
                Some("fuse-overlayfs"),
            ),
            ("/var/lib/containerd-stargz-grpc/snapshotter/snapshots", Some("stargz")),
            ("/var/lib/containerd/io.containerd.snapshotter.v1.nydus/snapshots", Some("nydus")),
            ("/var/lib/soci-snapshotter-grpc/snapshotter/snapshots", Some("soci")),
            ("/var/lib/containers/storage/overlay/l/ABC", Some("overlay")),
            ("/var/lib/docker/overlay2/l/ABC", Some("overlay2")),
            ("/run/other", None),
        ] {
            assert_eq!(driver(&overlay(lower)), expected, "{lower}");
        }
        let btrfs = "619 617 0:70 /var/lib/containerd/io.containerd.snapshotter.v1.btrfs/active/7 / ro - btrfs /dev/vda rw";
        assert_eq!(driver(btrfs), Some("btrfs"));
        let disk = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw";
        assert_eq!(driver(disk), None);
        assert!(is_overlay(&overlay("/run/other")) && !is_overlay(disk));
    }

    #[test]
    fn the_root_that_was_mounted_last_counts() {
        let mounts = "1 1 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / /proc rw - proc proc rw\n3 1 0:3 / / rw - overlay overlay rw\n";
        assert_eq!(root(mounts), Some("3 1 0:3 / / rw - overlay overlay rw"));
        assert_eq!(root("nonsense"), None);
    }

    proptest! {
        #[test]
        fn a_driver_is_one_plain_word(line in "\\PC*|1 1 0:1 / / rw - o o lowerdir=/docker/\\PC{0,9}") {
            let driver = root(&line).and_then(driver).unwrap_or("none");
            prop_assert!(driver.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
        }
    }
}
