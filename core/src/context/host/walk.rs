//! Finding a path below the root, whatever links are on the way.
//!
//! Each directory is opened from the one before it, and links are followed by hand, so that none leads out of
//! the root. The system call that does the same, `openat2`, is missing in sandboxes and before Linux 5.6.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::error::Failure;

/// More than this many links on the way are a loop, as in the kernel.
const MAX_LINKS: usize = 40;

/// Directories that are empty where nothing is mounted on them: then what would be below is not visible, and
/// not absent.
const MOUNT_POINTS: [&str; 12] = [
    "/proc",
    "/sys",
    "/sys/firmware/efi/efivars",
    "/sys/fs/bpf",
    "/sys/fs/cgroup",
    "/sys/fs/fuse/connections",
    "/sys/fs/pstore",
    "/sys/fs/selinux",
    "/sys/kernel/config",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
];

/// How a place is opened that is not read. Only Linux has that; elsewhere are shells of operators, which show
/// collectors nothing.
#[cfg(target_os = "linux")]
const PLACE: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const PLACE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// Where /proc and /sys are found, and where everything else is.
#[derive(Debug, Clone)]
pub(super) struct Roots {
    pub(super) kernel: PathBuf,
    pub(super) files: PathBuf,
}

/// What is wanted of the last part of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    File,
    Directory,
    /// Anything, opened as a place alone.
    Any,
}

impl Last {
    fn flags(self) -> OFlags {
        match self {
            // A FIFO must not stall the thread.
            Self::File => OFlags::RDONLY | OFlags::NONBLOCK,
            Self::Directory => OFlags::RDONLY | OFlags::DIRECTORY,
            Self::Any => PLACE,
        }
    }
}

/// A place below the root, and its path with all links followed.
pub(super) struct Place {
    pub(super) fd: OwnedFd,
    pub(super) path: String,
}

impl Roots {
    /// Opens a path, links followed.
    pub(super) fn open(&self, path: &str, last: Last) -> Result<Place, Failure> {
        let mut walk = Walk { roots: self, open: Vec::new() };
        let mut pending: VecDeque<String> = parts(path).collect();
        let mut links = 0;
        while let Some(name) = pending.pop_front() {
            if name == ".." {
                walk.open.pop();
                continue;
            }
            let flags = if pending.is_empty() { last.flags() } else { PLACE | OFlags::DIRECTORY };
            match walk.step(&name, flags)? {
                Step::Opened(fd) if pending.is_empty() => {
                    return Ok(Place { fd, path: format!("{}/{name}", walk.path()) });
                }
                Step::Opened(fd) => walk.open.push((name, fd)),
                Step::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    if target.starts_with('/') {
                        walk.open.clear();
                    }
                    for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                        pending.push_front(part);
                    }
                }
            }
        }
        // The path ends in a directory that is open already: behind `..`, or behind a link to the root.
        let Some((_, directory)) = walk.open.last() else { return Err(Failure::broken("it is the root")) };
        let fd = rustix::fs::openat(directory, ".", last.flags() | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Place { fd, path: walk.path() })
    }

    /// The target of a link, as it is written in it, and the path of the link with all links on the way
    /// followed.
    pub(super) fn link(&self, path: &str) -> Result<(String, String), Failure> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if directory.is_empty() {
            return Err(Failure::Absent);
        }
        let directory = self.open(directory, Last::Any)?;
        let target = read_link(directory.fd.as_fd(), name)?.ok_or(Failure::Absent)?;
        Ok((target, format!("{}/{name}", directory.path)))
    }

    fn start(&self, name: &str) -> Result<OwnedFd, Failure> {
        let (root, missing) = if is_of_kernel(name) {
            (&self.kernel, "the host's root is not there")
        } else {
            (&self.files, "no files of the host are mounted")
        };
        open_root(root).map_err(|_| Failure::not_visible(missing))
    }
}

/// Whether a top-level directory is the kernel's own, which a pod has without a mount of the host's.
fn is_of_kernel(name: &str) -> bool {
    matches!(name, "proc" | "sys")
}

fn open_root(root: &Path) -> Result<OwnedFd, Errno> {
    let flags = PLACE | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, root, flags, Mode::empty())
}

/// The directories that are open, from the first below the root to the one that was reached.
struct Walk<'a> {
    roots: &'a Roots,
    open: Vec<(String, OwnedFd)>,
}

enum Step {
    Opened(OwnedFd),
    Link(String),
}

impl Walk<'_> {
    fn step(&self, name: &str, flags: OFlags) -> Result<Step, Failure> {
        let start;
        let directory = if let Some((_, directory)) = self.open.last() {
            directory.as_fd()
        } else {
            start = self.roots.start(name)?;
            start.as_fd()
        };
        // Opened as a place alone, a link is opened itself.
        if flags == PLACE
            && let Some(target) = read_link(directory, name)?
        {
            return Ok(Step::Link(target));
        }
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Step::Opened(fd)),
            Err(error @ (Errno::LOOP | Errno::NOTDIR | Errno::MLINK)) => match read_link(directory, name)? {
                Some(target) => Ok(Step::Link(target)),
                None => Err(error.into()),
            },
            Err(Errno::NOENT) => Err(self.missing(name)),
            Err(error) => Err(error.into()),
        }
    }

    /// What it means that a directory has no such name.
    fn missing(&self, name: &str) -> Failure {
        match self.open.last() {
            Some((_, directory)) => hidden(directory.as_fd(), &self.path()).unwrap_or(Failure::Absent),
            None if is_of_kernel(name) || self.roots.files != self.roots.kernel => {
                Failure::not_visible(format!("nothing is mounted on `/{name}`"))
            }
            None => Failure::Absent,
        }
    }

    fn path(&self) -> String {
        self.open.iter().flat_map(|(name, _)| ["/", name]).collect()
    }
}

/// Why an empty directory says nothing about what it would contain.
pub(super) fn hidden(directory: BorrowedFd, path: &str) -> Option<Failure> {
    if !["/proc", "/sys"].iter().any(|root| path.starts_with(root)) || !is_empty(directory) {
        return None;
    }
    if MOUNT_POINTS.contains(&path) {
        return Some(Failure::not_visible(format!("nothing is mounted on `{path}`")));
    }
    is_tmpfs(directory).then(|| Failure::not_visible(format!("the container runtime masks `{path}`")))
}

/// With it container runtimes mask directories.
#[cfg(target_os = "linux")]
fn is_tmpfs(directory: BorrowedFd) -> bool {
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    rustix::fs::fstatfs(directory).is_ok_and(|fs| fs.f_type == TMPFS)
}

#[cfg(not(target_os = "linux"))]
fn is_tmpfs(_: BorrowedFd) -> bool {
    false
}

fn is_empty(directory: BorrowedFd) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let names = rustix::fs::openat(directory, ".", flags, Mode::empty()).and_then(Dir::new);
    names.is_ok_and(|mut names| {
        names.all(|entry| entry.is_ok_and(|entry| is_dot(entry.file_name().to_bytes())))
    })
}

/// Whether a directory's entry is the directory itself or the one above it.
pub(super) fn is_dot(name: &[u8]) -> bool {
    matches!(name, b"." | b"..")
}

/// The target of a link; `None` for everything else.
fn read_link(directory: BorrowedFd, name: &str) -> Result<Option<String>, Failure> {
    match rustix::fs::readlinkat(directory, name, Vec::new()) {
        Ok(target) => {
            let text = target.into_string();
            text.map(Some).map_err(|_| Failure::broken("a link on the way is not UTF-8"))
        }
        Err(Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn parts(path: &str) -> impl Iterator<Item = String> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned)
}

/// What kind of file was opened.
pub(super) fn file_type(fd: &OwnedFd) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
}
