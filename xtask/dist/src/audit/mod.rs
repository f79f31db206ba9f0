//! `cargo xtask audit`: what independent programs find in the repository: spelling, workflows, licences,
//! advisories, dependencies that nothing uses, changes that break who depends on the crates.

#[cfg(test)]
mod forms;
mod wheels;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use node_annotator_tests::binaries::{Binaries, Tool};
use xtask_workspace::{cargo, root};

use crate::packages::PUBLISHED;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to look at [default: all that needs no network, as far as the programs for it are there]
    checks: Vec<Check>,
    /// Everything; what is not installed fails, as in the workflow `audit`
    #[arg(long, conflicts_with = "checks")]
    all: bool,
    /// The commit, branch or tag that `semver` compares with
    #[arg(long, value_name = "REVISION", default_value = "main")]
    baseline: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Check {
    /// Workflows, with actionlint
    Workflows,
    /// What workflows may do, with zizmor
    WorkflowSecurity,
    /// Words, with typos
    Spelling,
    /// Licences and sources of dependencies, with cargo-deny
    Licenses,
    /// Known vulnerabilities of dependencies, with cargo-deny; it fetches their list
    Advisories,
    /// Dependencies that nothing uses, with cargo-shear
    Unused,
    /// What breaks who depends on the published crates, with cargo-semver-checks
    Semver,
}

impl Check {
    /// Those that need what cargo's registry has alone.
    const BY_DEFAULT: [Self; 5] =
        [Self::Workflows, Self::WorkflowSecurity, Self::Spelling, Self::Licenses, Self::Unused];

    fn run(self, options: &Options) -> Result<()> {
        match self {
            Self::Workflows => {
                let binaries = Binaries::obtain(None, &[Tool::Actionlint])?;
                // Scripts in workflows are one command each: shellcheck has nothing to find.
                passes(Command::new(binaries.path(Tool::Actionlint)).args(["-shellcheck=", "-pyflakes="]))
            }
            Self::WorkflowSecurity => {
                let mut zizmor = wheels::program("zizmor")?;
                passes(zizmor.args(["--offline", "--quiet", "--persona=pedantic", ".github"]))
            }
            Self::Spelling => passes(wheels::program("typos")?.args(["--config", "typos.toml"])),
            Self::Licenses => {
                passes(cargo().args(["deny", "--workspace", "check", "bans", "licenses", "sources"]))
            }
            Self::Advisories => passes(cargo().args(["deny", "--workspace", "check", "advisories"])),
            Self::Unused => passes(cargo().args(["shear", "--deny-warnings"])),
            Self::Semver => {
                let mut semver = cargo();
                semver.args(["semver-checks", "--baseline-rev", &options.baseline]);
                passes(semver.args(PUBLISHED.iter().flat_map(|name| ["--package", name])))
            }
        }
    }

    /// Sees to the program that it runs, or says what to do about it. What is a subcommand of cargo people
    /// install by themselves.
    fn prepare(self) -> Result<()> {
        let subcommand = match self {
            Self::Workflows => return Ok(()),
            Self::WorkflowSecurity => return wheels::program("zizmor").map(drop),
            Self::Spelling => return wheels::program("typos").map(drop),
            Self::Licenses | Self::Advisories => "deny",
            Self::Unused => "shear",
            Self::Semver => "semver-checks",
        };
        let hint = format!("cargo install --locked cargo-{subcommand}");
        ensure!(is_installed(subcommand), "cargo-{subcommand} is not installed\nhint: {hint}");
        Ok(())
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let checks = match options {
        Options { all: true, .. } => Check::value_variants(),
        Options { checks, .. } if checks.is_empty() => &Check::BY_DEFAULT,
        Options { checks, .. } => checks,
    };
    let is_asked_for = options.all || !options.checks.is_empty();
    let mut failed = Vec::new();
    for check in checks {
        let name = check.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        if let Err(error) = check.prepare() {
            if is_asked_for {
                return Err(error.context(name));
            }
            eprintln!("left out: {name}: {error:#}");
            continue;
        }
        eprintln!("looking at {name}");
        if let Err(error) = check.run(options) {
            eprintln!("{name}: {error:#}");
            failed.push(name);
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("found something: {}", failed.join(", ")) }
}

fn is_installed(subcommand: &str) -> bool {
    let mut cargo = cargo();
    cargo.args([subcommand, "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    cargo.status().is_ok_and(|status| status.success())
}

fn passes(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_owned();
    let program = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let status = command.current_dir(root()).stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot start {program}"))?;
    if status.success() { Ok(()) } else { bail!("{program}: {status}") }
}
