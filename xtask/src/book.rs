//! `cargo xtask book`: the pages of `docs` as a book, by mdBook.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use xtask_workspace::documents::resolved;
use xtask_workspace::{cargo, root, target_folder};

use crate::step;

/// Which mdBook, as a crate.
const VERSION: &str = "0.5.4";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where the repository can be read, such as `https://example.com/node-annotator/blob/main`: links to
    /// what is not in the book lead there, and into this checkout without it
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let target = target_folder();
    let mdbook = mdbook(&target.join("tools"))?;
    let source = target.join("book-source");
    if source.exists() {
        fs::remove_dir_all(&source).with_context(|| format!("cannot remove `{}`", source.display()))?;
    }
    // From a page of the book, which lies beside its source.
    let repository = options.repository.as_deref().unwrap_or("../..").trim_end_matches('/');
    copy(Path::new("docs"), &source, repository)?;
    let book = target.join("book");
    let status = Command::new(mdbook).arg("build").arg("--dest-dir").arg(&book).arg(&source).status();
    ensure!(
        status.context("cannot start mdBook")?.success(),
        "mdBook did not make the book; it says why above"
    );
    eprintln!("written: {}", book.join("index.html").display());
    Ok(())
}

/// The program, built the first time.
fn mdbook(tools: &Path) -> Result<PathBuf> {
    let program = tools.join("bin/mdbook");
    let has_it = Command::new(&program).arg("--version").output();
    if has_it
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == format!("mdbook v{VERSION}"))
    {
        return Ok(program);
    }
    let mut install = cargo();
    install.args(["install", "mdbook", "--locked", "--version", VERSION]);
    install.args(["--no-default-features", "--features", "search", "--root"]).arg(tools);
    step::run("mdBook", &mut install)?;
    Ok(program)
}

/// Copies a folder of the checkout, and turns the links of its pages.
fn copy(folder: &Path, to: &Path, repository: &str) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in
        root().join(folder).read_dir().with_context(|| format!("cannot read `{}`", folder.display()))?
    {
        let entry = entry?;
        let (from, to) = (folder.join(entry.file_name()), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&from, &to, repository)?;
        } else if from.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(root().join(&from))?;
            fs::write(to, turned(&text, folder, repository))?;
        } else {
            fs::copy(root().join(&from), to)?;
        }
    }
    Ok(())
}

/// The text of a page whose links to files outside of the book lead into the repository.
fn turned(text: &str, folder: &Path, repository: &str) -> String {
    let mut turned = String::new();
    let mut rest = text;
    while let Some((before, link_and_rest)) = rest.split_once("](../") {
        let (link, after) = link_and_rest.split_once(')').unwrap_or((link_and_rest, ""));
        let target = resolved(&folder.join("..").join(link));
        let link = if target.starts_with("docs") {
            format!("../{link}")
        } else {
            // Pages below a folder of the book lie as much deeper.
            let up = if repository.contains("://") { 0 } else { folder.components().count() - 1 };
            format!("{}{repository}/{}", "../".repeat(up), target.display())
        };
        turned.extend([before, "](", &link, ")"]);
        rest = after;
    }
    turned + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_book_lead_into_the_repository() {
        let text = "[a](fleet.md#x) [b](../deploy/rbac) [c](../SECURITY.md)";
        assert_eq!(
            turned(text, Path::new("docs"), "https://example.com/main"),
            "[a](fleet.md#x) [b](https://example.com/main/deploy/rbac) [c](https://example.com/main/SECURITY.md)"
        );
        assert_eq!(turned("[b](../deploy/rbac)", Path::new("docs"), "../.."), "[b](../../deploy/rbac)");
        let text = "[a](../once.md) [b](../../deploy/rbac)";
        assert_eq!(
            turned(text, Path::new("docs/recipes"), "../.."),
            "[a](../once.md) [b](../../../deploy/rbac)"
        );
    }
}
