//! Our own program, where the containers of other images find it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;

/// Copies this program. A copy that is running is not written to: the new one takes its place.
pub fn copy(to: &Path) -> anyhow::Result<()> {
    let copied = || -> io::Result<()> {
        let staged = to.with_extension("new");
        fs::copy("/proc/self/exe", &staged)?;
        // For whoever the other containers run as.
        fs::set_permissions(&staged, fs::Permissions::from_mode(0o755))?;
        fs::rename(&staged, to)
    };
    copied().with_context(|| format!("cannot copy this program to `{}`", to.display()))
}
