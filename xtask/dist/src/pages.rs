//! What comes with a binary: licences, man pages, completions.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A file of an archive.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) contents: Vec<u8>,
}

impl File {
    pub(crate) fn new(path: impl Into<String>, mode: u32, contents: Vec<u8>) -> Self {
        Self { path: path.into(), mode, contents }
    }
}

/// Who is completed for, and the name of the file where it is looked for.
const COMPLETIONS: [(&str, &str); 6] = [
    ("bash", "node-annotator.bash"),
    ("elvish", "node-annotator.elv"),
    ("fish", "node-annotator.fish"),
    ("kubectl", "kubectl_complete-node_annotator"),
    ("powershell", "_node-annotator.ps1"),
    ("zsh", "_node-annotator"),
];

/// What lies at the top of the checkout.
const TEXTS: [&str; 4] = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// All files that come with the binary; this one prints the completions.
pub(crate) fn files(binary: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for name in TEXTS {
        let contents =
            fs::read(xtask_workspace::root().join(name)).with_context(|| format!("cannot read {name}"))?;
        files.push(File::new(name, 0o644, contents));
    }
    for (shell, name) in COMPLETIONS {
        let output =
            Command::new(binary).args(["completions", shell]).output().context("cannot start the binary")?;
        ensure!(output.status.success(), "{}: completions {shell}: {}", binary.display(), output.status);
        let mode = if shell == "kubectl" { 0o755 } else { 0o644 };
        files.push(File::new(format!("completions/{name}"), mode, output.stdout));
    }
    files.extend(man_pages()?);
    Ok(files)
}

/// A page for each command that help shows.
pub(crate) fn man_pages() -> Result<Vec<File>> {
    let folder = tempfile::tempdir().context("cannot make a folder for temporary files")?;
    clap_mangen::generate_to(node_annotator::command(), folder.path()).context("cannot write man pages")?;
    let mut files = Vec::new();
    for entry in folder.path().read_dir().context("cannot list man pages")? {
        let entry = entry.context("cannot list man pages")?;
        let contents = fs::read(entry.path()).context("cannot read a man page")?;
        files.push(File::new(format!("man/{}", entry.file_name().to_string_lossy()), 0o644, contents));
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page() {
        let pages = man_pages().unwrap();
        let text = |name: &str| {
            let page = pages.iter().find(|page| page.path == format!("man/{name}.1"));
            String::from_utf8(page.unwrap_or_else(|| panic!("no page {name}")).contents.clone()).unwrap()
        };
        assert!(text("node-annotator").contains("node\\-annotator\\-status(1)"));
        for command in node_annotator::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let page = text(&format!("node-annotator-{}", command.get_name()));
            assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
        }
        assert!(text("node-annotator-status").contains("max\\-age"));
    }
}
