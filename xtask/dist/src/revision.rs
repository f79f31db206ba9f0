//! The commit of the checkout, as git tells it.

use std::process::Command;

/// What a release is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// The whole commit.
    pub(crate) commit: String,
    /// When it was made, in UTC: the time of everything that is made from it.
    pub(crate) time: String,
    /// Whether files differ from the commit.
    pub(crate) is_modified: bool,
}

impl Revision {
    /// That of the checkout; nothing where there is no git, or sources without it.
    pub(crate) fn of_checkout() -> Option<Self> {
        let shown = git(&["log", "-1", "--format=%H %cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ"])?;
        let (commit, time) = shown.trim().split_once(' ')?;
        let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
        Some(Self { commit: commit.to_owned(), time: time.to_owned(), is_modified: !changes.is_empty() })
    }

    /// As `--version` names it.
    pub(crate) fn short(&self) -> String {
        let commit = self.commit.get(..12).unwrap_or(&self.commit);
        if self.is_modified { format!("{commit}-modified") } else { commit.to_owned() }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.args(arguments).current_dir(xtask_workspace::root()).env("TZ", "UTC");
    let output = git.output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_is_said() {
        let commit = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d".to_owned();
        let revision = Revision { commit, time: String::new(), is_modified: false };
        assert_eq!(revision.short(), "1a2b3c4d5e6f");
        assert_eq!(Revision { is_modified: true, ..revision }.short(), "1a2b3c4d5e6f-modified");
    }
}
