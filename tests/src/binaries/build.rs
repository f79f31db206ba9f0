//! `go build` with progress: a spinner on a terminal, a line per program elsewhere.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Modules, Tool, go, stamp_path};

/// The same for all programs, so that they share Go's build cache.
///
/// Without the version the server takes itself for v0.0.0, and its feature gates are wrong.
pub(super) fn linker_flags(version: &str) -> String {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let package = "k8s.io/component-base/version";
    format!(
        "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    )
}

pub(super) fn build(modules: &Modules, bin: &Path, tools: &[Tool]) -> Result<()> {
    if tools.is_empty() {
        return Ok(());
    }
    go()?;
    let names: Vec<_> = tools.iter().map(|tool| tool.name()).collect();
    eprintln!("building Kubernetes {} ({}): minutes, once", modules.version, names.join(", "));
    for tool in tools {
        let start = Instant::now();
        build_one(modules, bin, *tool).with_context(|| format!("cannot build {}", tool.name()))?;
        fs::write(stamp_path(bin, *tool), &modules.stamp).context("cannot write the stamp")?;
        eprintln!("built {} in {} s", tool.name(), start.elapsed().as_secs());
    }
    Ok(())
}

fn build_one(modules: &Modules, bin: &Path, tool: Tool) -> Result<()> {
    let progress = spinner(tool.name());
    // Not in place: a program that somebody runs cannot be overwritten, but it can be replaced.
    let output = bin.join(format!(".{}.new", tool.name()));
    let mut child = go()?
        .args([
            "build",
            "-v",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            &linker_flags(&modules.version),
            "-o",
        ])
        .arg(&output)
        .arg(tool.package())
        .env("CGO_ENABLED", "0")
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
        let flags = linker_flags("v1.36.3");
        assert!(flags.contains("version.gitVersion=v1.36.3 "), "{flags}");
        assert!(flags.contains("version.gitMajor=1 "), "{flags}");
        assert!(flags.ends_with("version.gitMinor=36"), "{flags}");
    }
}
