//! The binary under test, where cargo puts it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Names the binary under test when it is not the one in the target folder.
const ANNOTATOR_VARIABLE: &str = "NODE_ANNOTATOR_BINARY";

/// The `node-annotator` that was built with the running executable, or the one that the variable
/// `NODE_ANNOTATOR_BINARY` names.
pub fn annotator_binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os(ANNOTATOR_VARIABLE).map(PathBuf::from) {
        if !path.is_file() {
            bail!("{ANNOTATOR_VARIABLE} names no file: `{}`", path.display());
        }
        return Ok(path);
    }
    let executable = env::current_exe().context("cannot tell the running executable's path")?;
    let folder = profile_folder(&executable);
    let path = folder.join("node-annotator");
    if !path.is_file() {
        let release = if folder.ends_with("release") { " --release" } else { "" };
        bail!("no such file: `{}`\nhint: cargo build --bin node-annotator{release}", path.display());
    }
    Ok(path)
}

/// `target/debug` of `target/debug/xtask` as well as of `target/debug/deps/scenarios-0123`.
fn profile_folder(executable: &Path) -> &Path {
    let folder = executable.parent().unwrap_or(executable);
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_executables_lie_one_folder_deeper() {
        assert_eq!(profile_folder(Path::new("/t/debug/xtask")), Path::new("/t/debug"));
        assert_eq!(profile_folder(Path::new("/t/debug/deps/scenarios-0123")), Path::new("/t/debug"));
    }
}
