//! `filesystems`: the file systems that the kernel can mount as it is.

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Kind, Stability, Topic, register,
};

use crate::source::list::sorted;

const LOADED: Fact = Fact::primary(
    "file systems that are built in or whose module is loaded, of a list that leaves out those of every kernel, joined by \
     commas; another may be there as a module that nothing has loaded yet; `none` if it is none of the list",
    "ext4,fuse,hugetlbfs,overlay,xfs",
    Stability::Dynamic,
)
.kind(Kind::List);

/// The collector.
pub static FILESYSTEMS: Collector = Collector::new(
    "filesystems",
    Topic::Storage,
    "File systems that the kernel can mount without loading a module",
    &[LOADED],
    Collect::Blocking(collect),
)
.reads(&[PATH])
.on_request();

register!(FILESYSTEMS);

const PATH: &str = "/proc/filesystems";

/// Those of disks, networks, containers and guests. What each kernel has (`proc`, `tmpfs`) tells nothing.
const LISTED: [&str; 31] = [
    "9p",
    "bcachefs",
    "beegfs",
    "binfmt_misc",
    "btrfs",
    "ceph",
    "cifs",
    "cvmfs",
    "erofs",
    "exfat",
    "ext4",
    "f2fs",
    "fuse",
    "gfs2",
    "gpfs",
    "hugetlbfs",
    "iso9660",
    "lustre",
    "nfs",
    "nfs4",
    "nfsd",
    "ocfs2",
    "overlay",
    "pvfs2",
    "smb3",
    "squashfs",
    "udf",
    "vfat",
    "virtiofs",
    "xfs",
    "zfs",
];

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    Ok(Facts::new(sorted(listed(&cx.host.read(PATH)?))).into())
}

/// Of lines such as `nodev overlay` and `ext4`.
fn listed(text: &str) -> impl Iterator<Item = &str> {
    let names = text.lines().filter_map(|line| line.split_ascii_whitespace().last());
    names.filter(|name| LISTED.contains(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_stand_at_the_end_of_a_line() {
        assert_eq!(
            sorted(listed("nodev\tproc\n\text4\nnodev\toverlay\n\txfs\n\txfs\nnonsense")),
            "ext4,overlay,xfs"
        );
        assert!(LISTED.is_sorted());
    }

    proptest! {
        #[test]
        fn any_text_yields_listed_names_alone(text in "\\PC*|((nodev)?\t(xfs|zfs|\\PC{1,4})\n){0,6}") {
            prop_assert!(listed(&text).all(|name| LISTED.contains(&name)));
        }
    }
}
