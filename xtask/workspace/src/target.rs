//! What the binary is built for: the machines of nodes and of operators.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// Where a release runs: nodes are Linux, and so are the shells of many operators.
pub const RELEASED: [&str; 4] =
    ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-apple-darwin", "aarch64-apple-darwin"];

/// A target of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    /// A target by its triple.
    pub fn new(triple: &str) -> Self {
        Self(triple.to_owned())
    }

    /// The one that the compiler runs on.
    pub fn host() -> Result<Self> {
        let text = rustc(&["-vV"])?;
        let host = text.lines().find_map(|line| line.strip_prefix("host: "));
        Ok(Self(host.context("rustc does not tell its host")?.to_owned()))
    }

    /// Its triple.
    pub fn triple(&self) -> &str {
        &self.0
    }

    /// Whether nodes run on it.
    pub fn is_linux(&self) -> bool {
        self.0.contains("-linux-")
    }

    /// Its operating system and architecture, as Kubernetes and images name them.
    pub fn of_kubernetes(&self) -> (&'static str, &'static str) {
        let os = if self.is_linux() { "linux" } else { "darwin" };
        (os, if self.architecture() == "aarch64" { "arm64" } else { "amd64" })
    }

    /// What is missing here to build for it, and how to get it.
    pub fn missing(&self) -> Result<Option<String>> {
        let host = Self::host()?;
        if *self == host {
            return Ok(None);
        }
        let triple = &self.0;
        if !self.is_linux() && host.is_linux() {
            return Ok(Some("Apple's SDK is on macOS alone: run it there".to_owned()));
        }
        let library = rustc(&["--print", "target-libdir", "--target", triple])?;
        if !Path::new(library.trim()).is_dir() {
            return Ok(Some(format!("the target is not installed: rustup target add {triple}")));
        }
        Ok(match self.linker() {
            Some((_, linker)) if !starts(&linker) => Some(format!(
                "the linker `{linker}` is not there: apt-get install gcc-{0}-linux-gnu libc6-dev-{1}-cross",
                self.architecture(),
                if self.architecture() == "aarch64" { "arm64" } else { "amd64" }
            )),
            _ => None,
        })
    }

    /// The variable by which cargo finds the linker of another architecture of Linux, and its name in Debian.
    /// The compiler for the C and assembly in dependencies has the same name, and is found by that.
    pub(crate) fn linker(&self) -> Option<(String, String)> {
        if !self.is_linux() || Self::host().is_ok_and(|host| host == *self) {
            return None;
        }
        let variable = format!("CARGO_TARGET_{}_LINKER", self.0.to_uppercase().replace('-', "_"));
        let linker = env::var(&variable).unwrap_or_else(|_| format!("{}-linux-gnu-gcc", self.architecture()));
        Some((variable, linker))
    }

    pub(crate) fn flags(&self) -> Vec<OsString> {
        if !self.is_linux() {
            return Vec::new();
        }
        vec![
            OsString::from("-Ctarget-feature=+crt-static"),
            // A program that may lie anywhere in memory has 16,000 addresses to adjust at its start: 8 kB
            // instead of 390. A linker that does not know how warns, and leaves them as they are.
            OsString::from("-Clink-arg=-Wl,-z,pack-relative-relocs"),
        ]
    }

    fn architecture(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    // In the checkout: its file names the toolchain.
    let output = Command::new(rustc).args(arguments).current_dir(crate::root()).output();
    String::from_utf8(output.context("cannot run rustc")?.stdout).context("rustc printed no UTF-8")
}

fn starts(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_what_to_do() {
        let host = Target::host().unwrap();
        assert_eq!(host.missing().unwrap(), None);
        let absent = Target::new("riscv64gc-unknown-linux-gnu").missing().unwrap();
        assert_eq!(
            absent.as_deref(),
            Some("the target is not installed: rustup target add riscv64gc-unknown-linux-gnu")
        );
        if host.is_linux() {
            let apple = Target::new("aarch64-apple-darwin").missing().unwrap().unwrap();
            assert!(apple.ends_with("run it there"), "{apple}");
        }
    }

    #[test]
    fn only_another_architecture_needs_another_linker() {
        assert_eq!(Target::host().unwrap().linker(), None);
        let (variable, _) = Target::new("riscv64gc-unknown-linux-gnu").linker().unwrap();
        assert_eq!(variable, "CARGO_TARGET_RISCV64GC_UNKNOWN_LINUX_GNU_LINKER");
    }
}
