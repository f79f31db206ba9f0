//! The large tasks: programs of their own, which cargo builds and starts.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

/// Arguments for another program, `--help` among them.
#[derive(Debug, Args)]
pub(crate) struct Forwarded {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    arguments: Vec<OsString>,
}

/// A program with large tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    /// What links collectors and manifests.
    Generate,
    /// What links the test harness too.
    Cluster,
    /// What makes a release.
    Dist,
    /// What links none of ours, and runs the binary beside other programs.
    Compare,
}

impl Program {
    /// Cargo, with what builds and starts it for a task.
    ///
    /// Named by its binary and not by its package: with one package cargo would pick other features, and
    /// compile the dependencies again. It runs in the folder of the caller, since arguments name files from
    /// there.
    pub(crate) fn cargo(self, task: &str) -> Command {
        let binary = match self {
            Self::Generate => "xtask-generate",
            Self::Cluster => "xtask-cluster",
            Self::Dist => "xtask-dist",
            Self::Compare => "xtask-compare",
        };
        let mut cargo = xtask_workspace::cargo_here();
        cargo.args(["run", "--bin", binary, "--manifest-path"]);
        cargo.arg(xtask_workspace::root().join("Cargo.toml")).args(["--", task]);
        cargo
    }
}

impl Forwarded {
    /// Becomes the other program, which so gets the signals of the terminal. Returns only when it cannot.
    pub(crate) fn to(&self, program: Program, task: &str) -> Result<()> {
        let error = program.cargo(task).args(&self.arguments).exec();
        Err(error).context("cannot start cargo")
    }
}
