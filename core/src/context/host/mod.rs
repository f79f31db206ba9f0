//! Reading the host: /proc and /sys, and the files that a collector declares.

mod boot;
mod error;
mod sandbox;
mod text;
mod uname;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rustix::fs::Dir;
use rustix::io::Errno;

pub use self::boot::BootId;
use self::error::Failure;
pub use self::error::{HostError, HostErrorKind};
use self::sandbox::Sandbox;
pub use self::text::HostText;
pub use self::uname::Uname;
use self::walk::{Last, Place, Roots};
use crate::{HostPath, Need};

/// The host as a collector sees it.
///
/// Paths are given as on the host, `/proc/cpuinfo`. A path is one of four things: there (`Ok(Some(…))`),
/// absent (`Ok(None)`: the kernel or the hardware has no such thing), not visible to this process, or broken;
/// the last two are errors, told apart by [`HostError::kind`]. In a sandbox /proc and /sys are not the
/// node's, and are refused. Links are followed below the root and never out of it. Each file is read once in
/// a run.
///
/// All reads are blocking: an async collector does them in [`blocking`](Self::blocking).
#[derive(Debug, Clone)]
pub struct HostRoot {
    host: Arc<Host>,
    /// What uname(2) answers; `None` where the root is not that of the running kernel.
    uname: Option<Uname>,
    /// Whether what a sandbox shows is taken for the node's.
    trusts_sandbox: bool,
    /// The declared paths; `None` allows all.
    declared: Option<&'static [Need]>,
    /// A path that cannot be seen.
    hidden: Option<Arc<str>>,
    /// Held by whatever reads for the one that it was handed to.
    reader: Arc<()>,
}

#[derive(Debug)]
struct Host {
    roots: Roots,
    sandbox: OnceLock<Sandbox>,
    seen: Mutex<Seen>,
}

impl Host {
    fn new(roots: Roots) -> Self {
        Self { roots, sandbox: OnceLock::new(), seen: Mutex::default() }
    }
}

#[derive(Debug, Default)]
struct Seen {
    texts: BTreeMap<String, Arc<OnceLock<Read>>>,
    accesses: BTreeSet<Access>,
    undeclared: BTreeSet<String>,
}

/// The text of a file, and the path that links led to.
type Read = Result<Option<(HostText, String)>, HostError>;

/// What was looked at, for tests and for recordings of machines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// The text of a file.
    Text(String),
    /// The names in a directory.
    List(String),
    /// The target of a link.
    Link(String),
    /// Whether there is such a path.
    Exists(String),
    /// Some bytes of a binary file: where they begin, and how many they are.
    Bytes(String, u64, usize),
}

impl Access {
    /// The path.
    pub fn path(&self) -> &str {
        match self {
            Self::Text(path)
            | Self::List(path)
            | Self::Link(path)
            | Self::Exists(path)
            | Self::Bytes(path, ..) => path,
        }
    }
}

impl HostRoot {
    /// The host seen below `root`: `/` on a shell, a small root file system in tests.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self::with_files(root.clone(), root)
    }

    /// The host of a pod: /proc and /sys below `root`, and everything else below `files`, where it is
    /// mounted.
    pub fn with_files(root: impl Into<PathBuf>, files: impl Into<PathBuf>) -> Self {
        let roots = Roots { kernel: root.into(), files: files.into() };
        let uname = (roots.kernel == Path::new("/")).then(Uname::ask);
        let host = Arc::new(Host::new(roots));
        Self { host, uname, trusts_sandbox: false, declared: None, hidden: None, reader: Arc::default() }
    }

    /// The same host, whose /proc and /sys are taken for the node's even in a sandbox.
    #[must_use]
    pub fn trusting_sandbox(self) -> Self {
        Self { trusts_sandbox: true, ..self }
    }

    /// The same files, and a kernel that answers so: for tests.
    #[must_use]
    pub fn with_uname(self, uname: Uname) -> Self {
        Self { uname: Some(uname), ..self }
    }

    /// The same host, of which nothing has been read.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self { host: Arc::new(Host::new(self.host.roots.clone())), ..self.clone() }
    }

    /// The same host, of which only /proc, /sys and the declared paths may be looked at.
    #[must_use]
    pub fn restricted_to(&self, needs: &'static [Need]) -> Self {
        Self { declared: Some(needs), reader: Arc::default(), ..self.clone() }
    }

    /// Tells whether a thread still reads for the collector that this was handed to.
    pub(crate) fn reader(&self) -> Weak<()> {
        Arc::downgrade(&self.reader)
    }

    /// The same host, of which one path cannot be seen, as behind a mask of the container runtime: for tests.
    #[must_use]
    pub fn hiding(&self, path: &str) -> Self {
        Self { hidden: Some(path.into()), ..self.clone() }
    }

    /// The text of a file that must be there; an absent one is an error, too.
    pub fn read(&self, path: &str) -> Result<HostText, HostError> {
        self.text(path)?.ok_or_else(|| HostError::absent(path))
    }

    /// The text of a file; of one whose name ends in `.gz`, the text that it was made of.
    pub fn text(&self, path: &str) -> Result<Option<HostText>, HostError> {
        self.record(path, Access::Text)?;
        self.refuse_sandbox(path)?;
        let once = Arc::clone(self.seen().texts.entry(path.to_owned()).or_default());
        let read = once.get_or_init(|| {
            let read = || {
                let Place { fd, path } = self.host.roots.open(path, Last::File)?;
                let is_gzip = Path::new(&path).extension().is_some_and(|extension| extension == "gz");
                Ok((HostText::read(fd, is_gzip)?, path))
            };
            read().map(Some).or_else(|failure: Failure| failure.at(path))
        });
        let Some((text, place)) = read.clone()? else { return Ok(None) };
        self.check(&place).map(|()| Some(text)).or_else(|failure| failure.at(path))
    }

    /// The text of a file of one line, ends trimmed; a blank one is as good as none.
    pub fn line(&self, path: &str) -> Result<Option<String>, HostError> {
        let Some(text) = self.text(path)? else { return Ok(None) };
        if text.is_cut() {
            return Failure::broken("it is too long for one line").at(path);
        }
        let line = text.trim();
        Ok((!line.is_empty()).then(|| line.to_owned()))
    }

    /// The number in a file, decimal, or hexadecimal behind `0x`.
    pub fn number(&self, path: &str) -> Result<Option<u64>, HostError> {
        let Some(line) = self.line(path)? else { return Ok(None) };
        let number = match line.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => line.parse(),
        };
        number.map(Some).or_else(|_| Failure::broken("it holds no number").at(path))
    }

    /// Some bytes of a binary file, and nothing else of it; a file that ends before the last of them is
    /// broken.
    pub fn bytes(&self, path: &str, offset: u64, length: usize) -> Result<Option<Vec<u8>>, HostError> {
        self.record(path, |path| Access::Bytes(path, offset, length))?;
        self.refuse_sandbox(path)?;
        let read = || {
            let place = self.host.roots.open(path, Last::File)?;
            self.check(&place.path)?;
            text::bytes(place.fd, offset, length)
        };
        read().map(Some).or_else(|failure| failure.at(path))
    }

    /// The names in a directory, sorted.
    pub fn list(&self, path: &str) -> Result<Option<Vec<String>>, HostError> {
        self.record(path, Access::List)?;
        self.refuse_sandbox(path)?;
        let list = || {
            let place = self.host.roots.open(path, Last::Directory)?;
            self.check(&place.path)?;
            let mut names = Vec::new();
            for entry in Dir::read_from(&place.fd)? {
                let entry = entry?;
                let name = entry.file_name();
                if !walk::is_dot(name.to_bytes()) {
                    names.push(name.to_string_lossy().into_owned());
                }
            }
            names.sort();
            match walk::hidden(place.fd.as_fd(), &place.path) {
                Some(failure) => Err(failure),
                None => Ok(names),
            }
        };
        list().map(Some).or_else(|failure| failure.at(path))
    }

    /// The target of a link, as it is written in it; none for what is no link.
    pub fn link(&self, path: &str) -> Result<Option<String>, HostError> {
        self.record(path, Access::Link)?;
        self.refuse_sandbox(path)?;
        let link = || {
            let (target, place) = self.host.roots.link(path)?;
            self.check(&place).map(|()| target)
        };
        link().map(Some).or_else(|failure| failure.at(path))
    }

    /// Whether a file or directory is there.
    pub fn exists(&self, path: &str) -> Result<bool, HostError> {
        self.record(path, Access::Exists)?;
        self.refuse_sandbox(path)?;
        let open = || {
            let place = self.host.roots.open(path, Last::Any)?;
            self.check(&place.path)
        };
        open().map(Some).or_else(|failure| failure.at(path)).map(|found| found.is_some())
    }

    /// What uname(2) answers; none in a sandbox with a kernel of its own, and for a root that is not this
    /// machine's.
    pub fn uname(&self) -> Option<Uname> {
        let is_nodes = self.trusts_sandbox || !matches!(self.sandbox(), Sandbox::Kernel(_));
        self.uname.clone().filter(|_| is_nodes)
    }

    /// The boot that the node is in. `None` where it cannot be told: in a sandbox, whatever is trusted, it
    /// would be the sandbox's.
    pub fn boot_id(&self) -> Option<BootId> {
        if self.sandbox().evidence(boot::PATH).is_some() {
            return None;
        }
        let place = self.host.roots.open(boot::PATH, Last::File).ok()?;
        BootId::parse(HostText::read(place.fd, false).ok()?.trim())
    }

    /// Reads on a thread of its own, so that an async collector does not stall the others.
    ///
    /// Dropping the future abandons a read that never returns.
    pub async fn blocking<T: Send + 'static>(&self, read: impl FnOnce(&Self) -> T + Send + 'static) -> T {
        let host = self.clone();
        match tokio::task::spawn_blocking(move || read(&host)).await {
            Ok(value) => value,
            Err(error) => match error.try_into_panic() {
                Ok(payload) => std::panic::resume_unwind(payload),
                // The runtime is shutting down: nobody waits for this any more.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// All that was looked at so far, by whichever collector.
    pub fn accesses(&self) -> Vec<Access> {
        self.seen().accesses.iter().cloned().collect()
    }

    /// All paths that were looked at without being declared, by whichever collector.
    pub(super) fn undeclared(&self) -> BTreeSet<String> {
        self.seen().undeclared.clone()
    }

    fn record(&self, path: &str, access: impl FnOnce(String) -> Access) -> Result<(), HostError> {
        if !self.declares(path, HostPath::covers) || path.split('/').any(|part| part == "..") {
            self.seen().undeclared.insert(path.to_owned());
            return Err(HostError::undeclared(path));
        }
        self.seen().accesses.insert(access(path.to_owned()));
        if self.hidden.as_deref() == Some(path) {
            return Err(HostError::not_visible(path, Errno::ACCESS.into()));
        }
        Ok(())
    }

    /// Refuses what a sandbox shows in the place of the node's.
    fn refuse_sandbox(&self, path: &str) -> Result<(), HostError> {
        if self.trusts_sandbox {
            return Ok(());
        }
        match self.sandbox().evidence(path) {
            Some(evidence) => Err(HostError::of_sandbox(path, evidence)),
            None => Ok(()),
        }
    }

    /// Looked for once in a run.
    fn sandbox(&self) -> &Sandbox {
        self.host.sandbox.get_or_init(|| Sandbox::find(&self.host.roots, self.uname.as_ref()))
    }

    /// Refuses a place to which links led, and which is not mounted in a pod.
    fn check(&self, target: &str) -> Result<(), Failure> {
        let is_mounted = self.declares(target, |need, path| HostPath::directory(need.mount().0).covers(path));
        if is_mounted {
            Ok(())
        } else {
            Err(Failure::not_visible(format!("it leads to `{target}`, which is not mounted")))
        }
    }

    fn declares(&self, path: &str, covers: impl Fn(&HostPath, &str) -> bool) -> bool {
        let Some(needs) = self.declared else { return true };
        let of_kernel = ["/proc", "/sys"].iter().any(|root| HostPath::directory(root).covers(path));
        let of_host = |need: &Need| matches!(need, Need::HostPath(declared) if covers(declared, path));
        of_kernel || needs.iter().any(of_host)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.host.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
