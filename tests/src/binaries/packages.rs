//! What the build of runc needs of the machine: a C compiler, and the library that filters system calls.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// On Debian and what descends from it.
const PACKAGES: [&str; 3] = ["gcc", "libseccomp-dev", "pkg-config"];

/// Finds them, or installs them where that is possible: as root, with apt.
pub(super) fn ensure_for_runc() -> Result<()> {
    if succeeds("pkg-config", &["--exists", "libseccomp"]) && succeeds("gcc", &["--version"]) {
        return Ok(());
    }
    let names = PACKAGES.join(" ");
    if !rustix::process::geteuid().is_root() || !Path::new("/usr/bin/apt-get").exists() {
        bail!("runc is built with gcc, pkg-config and the headers of libseccomp\nhint: install {names}");
    }
    eprintln!("installing what runc is built with: apt-get install {names}");
    // A fresh machine knows no packages until it has asked for their list.
    if !apt(&["install", "--yes", "--no-install-recommends"], &PACKAGES)? {
        ensure!(apt(&["update"], &[])?, "apt-get update failed");
        ensure!(apt(&["install", "--yes", "--no-install-recommends"], &PACKAGES)?, "cannot install {names}");
    }
    Ok(())
}

fn apt(arguments: &[&str], packages: &[&str]) -> Result<bool> {
    let status = Command::new("apt-get")
        .arg("--quiet=2")
        .args(arguments)
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    Ok(status.context("cannot run apt-get")?.success())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
