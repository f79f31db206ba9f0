//! What the kernel says of itself by a system call, where it has no files for it.

/// The answer of uname(2). The node's name is left out: in a pod it is the pod's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uname {
    /// The release, as `uname -r` prints it.
    pub release: String,
    /// Build number, options and date, as `uname -v` prints them.
    pub version: String,
}

impl Uname {
    /// Asks the running kernel.
    pub(super) fn ask() -> Self {
        let uname = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().trim().to_owned();
        Self { release: text(uname.release()), version: text(uname.version()) }
    }
}
