//! The pages that people read, and the commands in them.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::root;

/// A page in Markdown.
#[derive(Debug)]
pub struct Page {
    /// Its path below the root of the checkout.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// A block of commands, as a shell takes them.
#[derive(Debug, PartialEq, Eq)]
pub struct Commands {
    /// The number of its first line in the page.
    pub line: usize,
    /// Its lines.
    pub text: String,
    /// Why no test runs it, where none does: ` ```sh not-run="why" `.
    pub not_run: Option<String>,
}

/// Where pages are: folders that are searched, the root without those below it.
const FOLDERS: [&str; 8] = [
    "",
    "docs",
    "docs/recipes",
    "deploy/helm",
    "deploy/helm/node-annotator",
    "deploy/kustomize",
    ".github",
    "collectors/examples/out-of-tree",
];

/// All pages, in the order of their paths.
///
/// # Errors
///
/// When a folder or a page cannot be read.
pub fn pages() -> io::Result<Vec<Page>> {
    let mut pages = Vec::new();
    for folder in FOLDERS.map(|folder| root().join(folder)).iter().filter(|folder| folder.is_dir()) {
        for entry in folder.read_dir()? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path)?;
                pages.push(Page { path: path.strip_prefix(root()).unwrap_or(&path).to_owned(), text });
            }
        }
    }
    pages.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(pages)
}

impl Page {
    /// The folder that its links start from.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new(""))
    }

    /// Its lines, each with whether it is in a block of code.
    pub fn lines(&self) -> impl Iterator<Item = (&str, bool)> {
        let mut is_code = false;
        self.text.lines().map(move |line| {
            let is_fence = line.trim_start().starts_with("```");
            let in_block = is_code || is_fence;
            is_code ^= is_fence;
            (line, in_block)
        })
    }

    /// Its blocks of commands.
    ///
    /// # Errors
    ///
    /// What is wrong with the mark of a block.
    pub fn commands(&self) -> Result<Vec<Commands>, String> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let Some(mark) = line.trim_start().strip_prefix("```") else { continue };
            let text: Vec<_> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| !line.trim_start().starts_with("```"))
                .collect();
            let (language, mark) = mark.split_once(' ').unwrap_or((mark, ""));
            match language {
                "sh" => {}
                "bash" | "shell" | "console" => {
                    return Err(format!(
                        "{}:{}: commands are in a block `sh`",
                        self.path.display(),
                        index + 1
                    ));
                }
                _ => continue,
            }
            let reason = mark.strip_prefix("not-run=\"").and_then(|rest| rest.strip_suffix('"'));
            if !mark.is_empty() && reason.is_none_or(|reason| reason.trim().is_empty()) {
                let wanted = "a block that is not run says `not-run=\"why\"`";
                return Err(format!("{}:{}: {wanted}", self.path.display(), index + 1));
            }
            let not_run = reason.map(str::to_owned);
            blocks.push(Commands { line: index + 2, text: text.join("\n"), not_run });
        }
        Ok(blocks)
    }
}

/// The path without `..`, as a link means it.
#[must_use]
pub fn resolved(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, component| {
        match component {
            Component::ParentDir => drop(path.pop()),
            component => path.push(component),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: "docs/page.md".into(), text: text.to_owned() }
    }

    #[test]
    fn commands_are_in_blocks_of_sh() {
        let page = page(
            "# a\n```sh\none\n  two\n```\n```yaml\nx: 1\n```\n- b\n\n  ```sh not-run=\"later\"\n  three\n  ```\n",
        );
        let found = page.commands().unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], Commands { line: 3, text: "one\n  two".to_owned(), not_run: None });
        assert_eq!(found[1].not_run.as_deref(), Some("later"));
        let code: Vec<_> = page.lines().filter(|(_, is_code)| !is_code).map(|(line, _)| line).collect();
        assert_eq!(code, ["# a", "- b", ""]);
    }

    #[test]
    fn a_block_that_is_not_run_has_a_reason() {
        for mark in ["sh not-run", "sh not-run=\"\"", "sh no-run=\"x\"", "bash", "console"] {
            let error = page(&format!("```{mark}\nx\n```\n")).commands().unwrap_err();
            assert!(error.starts_with("docs/page.md:1: "), "{error}");
        }
    }

    #[test]
    fn readme_is_among_the_pages() {
        let pages = pages().unwrap();
        assert!(pages.iter().any(|page| page.path == Path::new("README.md")));
        assert!(pages.iter().any(|page| page.path == Path::new("docs/recipes/README.md")));
    }
}
