//! Whether /proc and /sys are the node's, or those of a sandbox around the container.
//!
//! gVisor and Kata Containers run a container on a kernel of its own; lxcfs and Sysbox put files of their own
//! over single ones of the kernel. What is read there says nothing about the node. A virtual machine that is
//! the node is no sandbox: a missing DMI, virtio devices or a hypervisor's name are no evidence.

use super::text::HostText;
use super::uname::Uname;
use super::walk::{Last, Roots};

/// The build string that gVisor has always had.
const GVISOR_VERSION: &str = "#1 SMP Sun Jan 10 15:06:54 PST 2016";

/// What is not the node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sandbox {
    /// All of /proc and /sys, and what uname(2) answers.
    Kernel(String),
    /// What is below these paths.
    Mounts(Vec<Mount>),
}

/// A path at which something else stands in for the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    path: String,
    evidence: String,
}

impl Sandbox {
    /// Looks for evidence.
    pub(super) fn find(roots: &Roots, uname: Option<&Uname>) -> Self {
        let text = |path: &str| {
            let place = roots.open(path, Last::File).ok()?;
            HostText::read(place.fd, false).ok()
        };
        let mounts = text("/proc/self/mountinfo");
        let mounts = mounts.as_deref().unwrap_or_default();
        match gvisor(roots, uname, text).or_else(|| kata(text, mounts)) {
            Some(evidence) => Self::Kernel(evidence),
            None => Self::Mounts(stand_ins(mounts)),
        }
    }

    /// Why a path is not the node's; `None` if it is.
    pub(super) fn evidence(&self, path: &str) -> Option<&str> {
        let below = |above: &str| {
            path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match self {
            Self::Kernel(evidence) => ["/proc", "/sys"].into_iter().any(below).then_some(evidence),
            Self::Mounts(mounts) => {
                mounts.iter().find(|mount| below(&mount.path)).map(|mount| mount.evidence.as_str())
            }
        }
    }
}

fn gvisor(roots: &Roots, uname: Option<&Uname>, text: impl Fn(&str) -> Option<HostText>) -> Option<String> {
    let line = |path: &str| text(path).map(|text| text.trim().to_owned());
    if roots.open("/proc/sentry-meminfo", Last::Any).is_ok() {
        return Some("gVisor: `/proc/sentry-meminfo` is there".to_owned());
    }
    let release = line("/proc/sys/kernel/osrelease").or_else(|| Some(uname?.release.clone()));
    let version = line("/proc/sys/kernel/version").or_else(|| Some(uname?.version.clone()));
    if release.is_some_and(|release| release.ends_with("-gvisor")) {
        return Some("gVisor: the release of the kernel ends in `-gvisor`".to_owned());
    }
    if version.is_some_and(|version| version == GVISOR_VERSION) {
        return Some(format!("gVisor: the kernel was built `{GVISOR_VERSION}`"));
    }
    let image = line("/proc/cmdline")?;
    let image = image.strip_prefix("BOOT_IMAGE=/vmlinuz-")?.strip_suffix(" quiet")?;
    image.ends_with("-gvisor").then(|| "gVisor: its image is on the kernel's command line".to_owned())
}

fn kata(text: impl Fn(&str) -> Option<HostText>, mounts: &str) -> Option<String> {
    let cmdline = text("/proc/cmdline");
    let mut words = cmdline.as_deref().unwrap_or_default().split_whitespace();
    let word =
        words.find(|word| word.starts_with("agent.") || *word == "systemd.unit=kata-containers.target");
    if let Some(word) = word {
        // Its value may be a secret.
        let name = if word.starts_with("agent.") { word.split('=').next().unwrap_or_default() } else { word };
        return Some(format!("Kata Containers: `{name}` is on the kernel's command line"));
    }
    let mut mounts = mounts.lines().filter_map(MountInfo::parse);
    mounts
        .any(|mount| mount.source == "kataShared" && matches!(mount.kind, "virtiofs" | "9p"))
        .then(|| "Kata Containers: `kataShared` is mounted".to_owned())
}

fn stand_ins(mounts: &str) -> Vec<Mount> {
    let of_kernel = |path: &str| ["/proc/", "/sys/"].iter().any(|root| path.starts_with(root));
    let is_fuse = |kind: &str| kind == "fuse" || kind.starts_with("fuse.");
    let stand_ins = mounts.lines().filter_map(MountInfo::parse);
    let stand_ins = stand_ins.filter(|mount| of_kernel(mount.path) && is_fuse(mount.kind));
    let stand_ins = stand_ins.map(|MountInfo { path, kind, source }| {
        let name = match (kind, source) {
            ("fuse.lxcfs", _) => "lxcfs",
            (_, "sysboxfs") => "Sysbox",
            (kind, _) => kind,
        };
        Mount { path: path.to_owned(), evidence: format!("{name} is mounted on `{path}`") }
    });
    stand_ins.collect()
}

/// What is needed of a line of `/proc/self/mountinfo`.
struct MountInfo<'a> {
    path: &'a str,
    kind: &'a str,
    source: &'a str,
}

impl<'a> MountInfo<'a> {
    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`: before the hyphen stand any number
    /// of fields.
    fn parse(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        Some(Self { path: left.split(' ').nth(4)?, kind: right.next()?, source: right.next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_file_systems_in_user_space_over_files_of_the_kernel_stand_in_for_them() {
        let mounts = "\
22 21 0:20 / /proc rw,nosuid - proc proc rw
30 22 0:50 /proc/cpuinfo /proc/cpuinfo rw - fuse.lxcfs lxcfs rw,user_id=0
31 22 0:51 / /proc/sys rw shared:1 master:2 - fuse sysboxfs rw
32 22 0:52 / /proc/uptime rw - fuse.other other rw
33 22 0:53 / /proc/acpi ro - tmpfs tmpfs ro
34 22 0:54 /null /proc/kcore rw - tmpfs tmpfs rw
35 21 0:55 / /sys/fs/fuse/connections rw - fusectl fusectl rw
36 21 0:56 / /var/lib/lxcfs rw - fuse.lxcfs lxcfs rw
a line that is none";
        let evidence: Vec<_> = stand_ins(mounts).into_iter().map(|mount| mount.evidence).collect();
        let expected = [
            "lxcfs is mounted on `/proc/cpuinfo`",
            "Sysbox is mounted on `/proc/sys`",
            "fuse.other is mounted on `/proc/uptime`",
        ];
        assert_eq!(evidence, expected);
    }

    #[test]
    fn a_path_is_covered_by_what_is_above_it() {
        let mounts = Sandbox::Mounts(stand_ins("31 22 0:51 / /proc/sys rw - fuse sysboxfs rw"));
        let kernel = Sandbox::Kernel("it is".to_owned());
        for (path, of_mounts, of_kernel) in [
            ("/proc/sys/kernel/tainted", true, true),
            ("/proc/sys", true, true),
            ("/proc/sysvipc", false, true),
            ("/proc/cpuinfo", false, true),
            ("/sys", false, true),
            ("/etc/os-release", false, false),
        ] {
            assert_eq!(mounts.evidence(path).is_some(), of_mounts, "{path}");
            assert_eq!(kernel.evidence(path).is_some(), of_kernel, "{path}");
        }
    }
}
