//! What is told apart of a path on the host: its content, absent, not visible, broken.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use node_annotator_core::context::{Access, HostError, HostErrorKind};
use node_annotator_core::{HostPath, HostRoot, Need};
use tempfile::TempDir;

/// A root with these files; a text that begins with `->` is the target of a link, one that is missing a
/// directory.
fn root(files: &[(&str, Option<&str>)]) -> TempDir {
    let root = TempDir::new().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text {
            None => fs::create_dir_all(path).unwrap(),
            Some(text) => match text.strip_prefix("->") {
                Some(target) => symlink(target, path).unwrap(),
                None => fs::write(path, text).unwrap(),
            },
        }
    }
    root
}

fn kind<T: std::fmt::Debug>(read: Result<T, HostError>) -> HostErrorKind {
    read.unwrap_err().kind()
}

#[test]
fn lines_numbers_lists_and_links_are_read() {
    let root = root(&[
        ("proc/line", Some("  a word\n")),
        ("proc/blank", Some(" \n")),
        ("proc/decimal", Some("42\n")),
        ("proc/hexadecimal", Some("0x2a\n")),
        ("sys/b", Some("")),
        ("sys/a", Some("")),
        ("sys/driver", Some("->../bus/pci/drivers/e1000")),
    ]);
    let host = HostRoot::new(root.path());
    assert_eq!(host.line("/proc/line").unwrap().as_deref(), Some("a word"));
    assert_eq!(host.line("/proc/blank").unwrap(), None);
    assert_eq!(host.number("/proc/decimal").unwrap(), Some(42));
    assert_eq!(host.number("/proc/hexadecimal").unwrap(), Some(42));
    assert_eq!(kind(host.number("/proc/line")), HostErrorKind::Broken);
    assert_eq!(host.list("/sys").unwrap().unwrap(), ["a", "b", "driver"]);
    assert_eq!(host.link("/sys/driver").unwrap().as_deref(), Some("../bus/pci/drivers/e1000"));
    assert_eq!(host.link("/sys/a").unwrap(), None);
    assert!(host.exists("/sys/a").unwrap() && !host.exists("/sys/c").unwrap());
    assert!(!host.exists("/sys/driver").unwrap(), "the link leads nowhere");
}

#[test]
fn what_is_not_there_is_absent() {
    let root = root(&[("proc/file", Some("text")), ("sys/class/tpm", None)]);
    let host = HostRoot::new(root.path());
    assert_eq!(host.text("/proc/nothing").unwrap(), None);
    assert_eq!(host.text("/proc/file/below-a-file").unwrap(), None);
    assert_eq!(host.list("/proc/nothing").unwrap(), None);
    assert_eq!(host.list("/sys/class/tpm").unwrap().unwrap(), [""; 0]);
    let error = host.read("/proc/nothing").unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (HostErrorKind::Absent, "cannot read `/proc/nothing`")
    );
}

#[test]
fn what_cannot_be_seen_is_not_absent() {
    let root =
        root(&[("proc/file", Some("text")), ("sys/kernel/security", None), ("sys/kernel/debug/x", Some(""))]);
    let host = HostRoot::new(root.path());
    for path in ["/sys/kernel/security/lsm", "/sys/kernel/security/apparmor/profiles"] {
        assert_eq!(kind(host.exists(path)), HostErrorKind::NotVisible, "{path}");
        assert_eq!(kind(host.text(path)), HostErrorKind::NotVisible, "{path}");
    }
    assert_eq!(kind(host.list("/sys/kernel/security")), HostErrorKind::NotVisible);
    assert!(!host.exists("/sys/kernel/debug/y").unwrap(), "something is mounted there");

    let empty = HostRoot::new(root.path().join("nowhere"));
    assert_eq!(kind(empty.exists("/proc/file")), HostErrorKind::NotVisible);
    let without_sysfs = HostRoot::new(root.path().join("sys/kernel"));
    assert_eq!(kind(without_sysfs.text("/sys/class")), HostErrorKind::NotVisible);
}

#[test]
fn a_device_in_place_of_a_file_masks_it() {
    let root = root(&[("proc/kcore", Some("->/dev/null")), ("dev/null", Some("a file"))]);
    assert_eq!(HostRoot::new(root.path()).line("/proc/kcore").unwrap().as_deref(), Some("a file"));
    assert_eq!(kind(HostRoot::new("/").text("/dev/null")), HostErrorKind::NotVisible);
}

#[test]
fn directories_and_pipes_are_broken_files() {
    let root = root(&[("proc/self", None)]);
    let host = HostRoot::new(root.path());
    assert_eq!(kind(host.text("/proc/self")), HostErrorKind::Broken);
    let fifo = root.path().join("proc/fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
    assert_eq!(kind(host.text("/proc/fifo")), HostErrorKind::Broken);
}

#[test]
fn links_are_followed_below_the_root_and_never_out_of_it() {
    let outside = root(&[("secret", Some("outside"))]);
    let out = format!("->{}/secret", outside.path().display());
    let up = format!("->{}secret", "../".repeat(30));
    let root = root(&[
        ("sys/firmware/devicetree/base/model", Some("a board")),
        ("proc/device-tree", Some("->/sys/firmware/devicetree/base")),
        ("proc/relative", Some("->../sys/./firmware//devicetree/base/model")),
        ("proc/out", Some(&out)),
        ("proc/up", Some(&up)),
        ("secret", Some("inside")),
        ("proc/loop", Some("->loop")),
        ("proc/to-root", Some("->/")),
    ]);
    let host = HostRoot::new(root.path());
    assert_eq!(host.line("/proc/device-tree/model").unwrap().as_deref(), Some("a board"));
    assert_eq!(host.line("/proc/relative").unwrap().as_deref(), Some("a board"));
    assert_eq!(host.text("/proc/out").unwrap(), None, "the absolute target is looked for below the root");
    assert_eq!(host.line("/proc/up").unwrap().as_deref(), Some("inside"));
    assert_eq!(host.line("/proc/to-root/secret").unwrap().as_deref(), Some("inside"));
    assert_eq!(kind(host.text("/proc/loop")), HostErrorKind::Broken);
}

#[test]
fn a_file_that_is_too_long_says_that_it_is_cut() {
    const BOUND: usize = 4 * 1024 * 1024;
    let (whole, longer) = ("x".repeat(BOUND), "x".repeat(BOUND + 1));
    let root = root(&[("proc/whole", Some(&whole)), ("proc/longer", Some(&longer))]);
    let host = HostRoot::new(root.path());
    assert!(!host.read("/proc/whole").unwrap().is_cut());
    let text = host.read("/proc/longer").unwrap();
    assert!(text.is_cut() && text.len() == BOUND);
    assert_eq!(kind(host.line("/proc/longer")), HostErrorKind::Broken);
}

#[test]
fn bytes_of_a_binary_file_are_read_and_nothing_else_of_it() {
    let root = root(&[("sys/data", None), ("sys/directory", None)]);
    fs::remove_dir(root.path().join("sys/data")).unwrap();
    fs::write(root.path().join("sys/data"), [0xff, 0xc3, 0x28, 0x00]).unwrap();
    let host = HostRoot::new(root.path());
    assert_eq!(host.bytes("/sys/data", 1, 2).unwrap(), Some(vec![0xc3, 0x28]));
    assert_eq!(host.bytes("/sys/nothing", 0, 1).unwrap(), None);
    assert_eq!(kind(host.bytes("/sys/data", 3, 2)), HostErrorKind::Broken);
    assert_eq!(kind(host.bytes("/sys/directory", 0, 1)), HostErrorKind::Broken);
    assert_eq!(host.accesses()[0], Access::Bytes("/sys/data".to_owned(), 1, 2));
}

#[test]
fn a_file_is_read_once_and_what_was_looked_at_is_known() {
    let root = root(&[("proc/file", Some("before"))]);
    let host = HostRoot::new(root.path());
    assert_eq!(&*host.read("/proc/file").unwrap(), "before");
    fs::write(root.path().join("proc/file"), "after").unwrap();
    let other = host.restricted_to(&[]);
    assert_eq!(&*other.read("/proc/file").unwrap(), "before");
    assert!(!other.exists("/proc/nothing").unwrap());
    let text = |path: &str| Access::Text(path.to_owned());
    assert_eq!(host.accesses(), [text("/proc/file"), Access::Exists("/proc/nothing".to_owned())]);
}

const OS_RELEASE: &[Need] = &[Need::HostPath(HostPath::optional("/etc", "/etc/os-release"))];

#[test]
fn only_what_is_declared_can_be_looked_at() {
    let root = root(&[
        ("etc/os-release", Some("ID=a")),
        ("etc/shadow", Some("secret")),
        ("proc/file", Some("text")),
    ]);
    let host = HostRoot::new(root.path()).restricted_to(OS_RELEASE);
    assert_eq!(host.line("/etc/os-release").unwrap().as_deref(), Some("ID=a"));
    assert_eq!(host.line("/proc/file").unwrap().as_deref(), Some("text"));
    for path in
        ["/etc/shadow", "/etc/os-release/../shadow", "/proc/../etc/shadow", "/procfs", "etc/os-release"]
    {
        assert_eq!(kind(host.text(path)), HostErrorKind::Undeclared, "{path}");
        assert_eq!(kind(host.list(path)), HostErrorKind::Undeclared, "{path}");
        assert_eq!(kind(host.exists(path)), HostErrorKind::Undeclared, "{path}");
        assert_eq!(kind(host.link(path)), HostErrorKind::Undeclared, "{path}");
    }
}

const BOTH: &[Need] = &[OS_RELEASE[0], Need::HostPath(HostPath::optional("/usr/lib", "/usr/lib/os-release"))];

#[test]
fn a_pod_sees_the_host_below_its_mounts() {
    let root = root(&[
        ("proc/file", Some("kernel")),
        ("sys/out", Some("->../etc/site")),
        ("host/etc/site/link", Some("->target")),
        ("etc/os-release", Some("ID=image")),
        ("host/etc/os-release", Some("->../usr/lib/os-release")),
        ("host/usr/lib/os-release", Some("ID=host")),
    ]);
    let host = HostRoot::with_files(root.path(), root.path().join("host"));
    assert_eq!(host.line("/proc/file").unwrap().as_deref(), Some("kernel"));
    assert_eq!(host.restricted_to(BOTH).line("/etc/os-release").unwrap().as_deref(), Some("ID=host"));
    let error = host.restricted_to(OS_RELEASE).text("/etc/os-release").unwrap_err();
    assert_eq!(error.kind(), HostErrorKind::NotVisible, "the link leads out of what is mounted");
    let link = |needs| host.restricted_to(needs).link("/sys/out/link");
    assert_eq!(link(BOTH).unwrap().as_deref(), Some("target"));
    assert_eq!(kind(link(&[])), HostErrorKind::NotVisible, "the directory of the link is not mounted");
    assert_eq!(kind(host.text("/opt/nothing")), HostErrorKind::NotVisible, "nothing is mounted there");
    let unmounted = HostRoot::with_files(root.path(), Path::new("/nowhere"));
    assert_eq!(kind(unmounted.text("/etc/os-release")), HostErrorKind::NotVisible);
}

#[test]
fn a_denied_file_is_not_visible() {
    let root = root(&[("proc/denied", Some("text")), ("proc/closed/file", Some("text"))]);
    for path in ["proc/denied", "proc/closed"] {
        fs::set_permissions(root.path().join(path), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let host = HostRoot::new(root.path());
    if fs::read(root.path().join("proc/denied")).is_ok() {
        eprintln!("skipped: nothing is denied to root");
    } else {
        for path in ["/proc/denied", "/proc/closed/file"] {
            assert_eq!(kind(host.text(path)), HostErrorKind::NotVisible, "{path}");
        }
    }
    fs::set_permissions(root.path().join("proc/closed"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn a_blocking_read_hands_back_its_value_and_its_panic() {
    let root = root(&[("sys/a", Some(""))]);
    let host = HostRoot::new(root.path());
    assert!(host.blocking(|host| host.exists("/sys/a")).await.unwrap());
    let read = tokio::spawn(async move { host.blocking(|_| panic!("torn page")).await });
    let payload = read.await.unwrap_err().into_panic();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"torn page"));
}
