//! `go build` with progress: a spinner on a terminal, a line per program elsewhere.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::modules::{Modules, stamp_path};
use super::{Tool, go, packages};

/// How a program is built.
#[derive(Debug, Hash)]
pub(super) struct Flags {
    cgo: &'static str,
    tags: &'static str,
    linker: String,
}

/// The same for as many programs as possible, so that they share Go's build cache.
pub(super) fn flags(tool: Tool, version: &str) -> Flags {
    match tool {
        // Enters namespaces before Go's own threads start, and filters system calls: both in C.
        Tool::Runc => {
            Flags { cgo: "1", tags: "seccomp,netgo,osusergo", linker: "-s -w -extldflags -static".to_owned() }
        }
        // Rules need none of the clouds in which Prometheus finds what it scrapes.
        Tool::Promtool => Flags { cgo: "0", tags: "remove_all_sd", linker: "-s -w".to_owned() },
        _ if version.is_empty() => {
            Flags { cgo: "0", tags: "no_btrfs,no_devmapper,no_zfs", linker: "-s -w".to_owned() }
        }
        _ => Flags { cgo: "0", tags: "", linker: format!("-s -w {}", version_flags(version)) },
    }
}

/// Without the version the server takes itself for v0.0.0, and its feature gates are wrong.
fn version_flags(version: &str) -> String {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let package = "k8s.io/component-base/version";
    format!("-X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}")
}

pub(super) fn build(modules: &Modules, bin: &Path, tools: &[Tool]) -> Result<()> {
    if tools.is_empty() {
        return Ok(());
    }
    go()?;
    if tools.contains(&Tool::Runc) {
        packages::ensure_for_runc()?;
    }
    let names: Vec<_> = tools.iter().map(|tool| tool.name()).collect();
    eprintln!("building {} ({}): minutes, once", modules.title, names.join(", "));
    for tool in tools {
        let start = Instant::now();
        build_one(modules, bin, *tool).with_context(|| format!("cannot build {}", tool.name()))?;
        fs::write(stamp_path(bin, *tool), modules.stamp(*tool)).context("cannot write the stamp")?;
        eprintln!("built {} in {} s", tool.name(), start.elapsed().as_secs());
    }
    Ok(())
}

fn build_one(modules: &Modules, bin: &Path, tool: Tool) -> Result<()> {
    let progress = spinner(tool.name());
    // Not in place: a program that somebody runs cannot be overwritten, but it can be replaced.
    let output = bin.join(format!(".{}.new", tool.name()));
    let Flags { cgo, tags, linker } = flags(tool, &modules.version);
    let mut child = go()?
        .args(["build", "-v", "-trimpath", "-buildvcs=false", "-tags", tags, "-ldflags", &linker, "-o"])
        .arg(&output)
        .arg(tool.package())
        .env("CGO_ENABLED", cgo)
        .current_dir(&modules.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run go build")?;
    let mut tail = VecDeque::new();
    let mut packages = 0_u32;
    if let Some(stderr) = child.stderr.take() {
        // `-v` prints each package as it is compiled, before any error.
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            packages += 1;
            progress.set_message(format!("{packages} packages, {line}"));
            tail.push_back(line);
            if tail.len() > 20 {
                tail.pop_front();
            }
        }
    }
    let status = child.wait().context("cannot wait for go build")?;
    progress.finish_and_clear();
    if !status.success() {
        bail!("go build: {status}\n{}", tail.make_contiguous().join("\n"));
    }
    fs::rename(&output, bin.join(tool.name())).context("cannot put the program in place")
}

/// Draws nothing when stderr is no terminal.
fn spinner(name: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {prefix}: {elapsed} {wide_msg}");
    let spinner = ProgressBar::new_spinner().with_prefix(name);
    if let Ok(style) = style {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_stamped() {
        let flags = flags(Tool::ApiServer, "v1.36.3").linker;
        assert!(flags.contains("version.gitVersion=v1.36.3 "), "{flags}");
        assert!(flags.contains("version.gitMajor=1 "), "{flags}");
        assert!(flags.ends_with("version.gitMinor=36"), "{flags}");
    }
}
