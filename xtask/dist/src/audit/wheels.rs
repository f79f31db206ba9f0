//! Programs that are on Python's registry ready-made: to compile them takes minutes, to fetch them seconds.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use xtask_workspace::target_folder;

/// Each with its version.
const WHEELS: [(&str, &str); 2] = [("typos", "1.52.0"), ("zizmor", "1.32.0")];

/// A program, fetched once into the target folder.
pub(super) fn program(name: &str) -> Result<Command> {
    let version = WHEELS.iter().find(|(wheel, _)| *wheel == name).map(|(_, version)| *version);
    let version = version.with_context(|| format!("{name} is not pinned"))?;
    let folder = target_folder().join("wheels").join(format!("{name}-{version}"));
    let path = folder.join("bin").join(name);
    if !path.is_file() {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        eprintln!("fetching {name} {version} with pip");
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--root-user-action=ignore",
            "--no-deps",
            "--only-binary=:all:",
        ]);
        pip.arg("--target").arg(&folder).arg(format!("{name}=={version}")).stdin(Stdio::null());
        let status = pip.status().context("cannot start python3\nhint: install Python with pip")?;
        ensure!(status.success(), "pip cannot fetch {name} {version}\nhint: install Python with pip");
        ensure!(path.is_file(), "the wheel of {name} {version} has no program");
    }
    Ok(Command::new(path))
}
