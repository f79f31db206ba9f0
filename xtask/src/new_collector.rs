//! `cargo xtask new-collector`: the files of a collector that compiles, passes its tests, and waits to be
//! filled.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

/// A collector that compiles, with the names below.
const TEMPLATE: &str = include_str!("../templates/example.rs");
const TEMPLATE_NAME: &str = "example-name";
const TEMPLATE_CONSTANT: &str = "EXAMPLE_NAME";
const TEMPLATE_PATH: &str = "/sys/kernel/example";

/// The recorded machine that gets the file which the collector reads.
const MACHINE: &str = "intel-xeon";

/// What stands in that file until somebody writes what a machine has there; the template has the same.
const EXAMPLE: &str = "example";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Its name, in kebab case
    name: String,
    /// The first file that it reads, below /proc or /sys
    #[arg(long, value_name = "PATH", default_value = TEMPLATE_PATH)]
    reads: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let written = write(xtask_workspace::root(), options)?;
    for path in written {
        eprintln!("written: {path}");
    }
    let name = &options.name;
    eprintln!(
        "next: say what it collects and how, put what machines show into collectors/fixtures, cargo xtask try {name}"
    );
    Ok(())
}

/// Writes the files, and returns their paths in the workspace.
fn write(root: &Path, Options { name, reads }: &Options) -> Result<Vec<String>> {
    let module = module_name(name)?;
    ensure!(
        is_readable(reads),
        "a collector cannot read `{reads}` without declaring it\n\
         hint: begin with a file below /proc or /sys; `HostPath` of node-annotator-core declares others"
    );
    let folder = root.join("collectors/src");
    let source = format!("collectors/src/{module}.rs");
    if folder.join(&module).exists() || root.join(&source).exists() {
        bail!("there is a collector `{name}` already\nhint: cargo xtask try {name}");
    }
    let fixture = format!("collectors/fixtures/{MACHINE}{reads}");
    let mut written = vec![source.clone(), "collectors/src/lib.rs".to_owned()];
    let lib = folder.join("lib.rs");
    let text = fs::read_to_string(&lib).with_context(|| format!("cannot read `{}`", lib.display()))?;
    let text = with_module(&text, &module)?;
    // What other collectors read from that machine stays.
    if !root.join(&fixture).exists() {
        write_file(&root.join(&fixture), &format!("{EXAMPLE}\n"))?;
        written.push(fixture);
    }
    let code = TEMPLATE
        .replace(TEMPLATE_NAME, name)
        .replace(TEMPLATE_CONSTANT, &module.to_uppercase())
        .replace(TEMPLATE_PATH, reads);
    write_file(&root.join(source), &code)?;
    write_file(&lib, &text)?;
    Ok(written)
}

/// The name of the module for a collector's name in kebab case.
fn module_name(name: &str) -> Result<String> {
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    ensure!(
        name.split('-').all(is_word) && name.starts_with(|c: char| c.is_ascii_lowercase()),
        "`{name}` is not in kebab case\nhint: lower case letters, digits and hyphens, such as cpu-model"
    );
    Ok(name.replace('-', "_"))
}

fn is_readable(path: &str) -> bool {
    let below = path.strip_prefix("/proc/").or_else(|| path.strip_prefix("/sys/"));
    below.is_some_and(|rest| rest.split('/').all(|part| !["", ".", ".."].contains(&part)))
}

/// The text of `lib.rs` with one more module, in order of name among those that are there.
fn with_module(text: &str, module: &str) -> Result<String> {
    let line = format!("pub mod {module};");
    let mut lines: Vec<_> = text.lines().collect();
    let mut modules = lines.iter().enumerate().filter(|(_, line)| line.starts_with("pub mod "));
    let before = modules.rfind(|(_, other)| **other < line.as_str());
    let first = lines.iter().position(|line| line.starts_with("pub mod "));
    let place = before.map(|(place, _)| place + 1).or(first);
    lines.insert(place.context("collectors/src/lib.rs names no module")?, &line);
    Ok(lines.join("\n") + "\n")
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(name: &str, reads: &str) -> Options {
        Options { name: name.to_owned(), reads: reads.to_owned() }
    }

    #[test]
    fn a_module_is_added_in_order() {
        let text = "//! Doc.\n\npub mod cpu_model;\npub mod kernel;\n\nmod source;\n";
        for (module, expected) in [
            ("board", "//! Doc.\n\npub mod board;\npub mod cpu_model;\npub mod kernel;\n\nmod source;\n"),
            (
                "hugepages",
                "//! Doc.\n\npub mod cpu_model;\npub mod hugepages;\npub mod kernel;\n\nmod source;\n",
            ),
            ("virt", "//! Doc.\n\npub mod cpu_model;\npub mod kernel;\npub mod virt;\n\nmod source;\n"),
        ] {
            assert_eq!(with_module(text, module).unwrap(), expected);
        }
        assert!(with_module("//! Doc.\n", "virt").is_err());
    }

    #[test]
    fn bad_names_and_paths_are_refused_before_anything_is_written() {
        let nowhere = Path::new("/nonexistent");
        for name in ["Rack", "rack_unit", "-rack", "rack-", "1u", ""] {
            let error = write(nowhere, &options(name, "/sys/a")).unwrap_err().to_string();
            assert!(error.contains("is not in kebab case"), "{error}");
        }
        for path in ["/etc/rack", "/sys", "/sys/", "/proc/../etc/rack", "sys/a"] {
            let error = write(nowhere, &options("rack", path)).unwrap_err().to_string();
            assert!(error.contains("without declaring it"), "{error}");
        }
        let error = write(xtask_workspace::root(), &options("kernel", "/sys/a")).unwrap_err().to_string();
        assert_eq!(error, "there is a collector `kernel` already\nhint: cargo xtask try kernel");
    }
}
