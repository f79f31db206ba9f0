//! What CHANGELOG.md owes: the shape of Keep a Changelog, and a word on the version that is released.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use super::VERSION;

/// The kinds of changes, as Keep a Changelog has them.
const KINDS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

/// Reads that of the checkout.
pub(crate) fn check() -> Result<()> {
    let path = xtask_workspace::root().join("CHANGELOG.md");
    let text = fs::read_to_string(path).context("cannot read CHANGELOG.md")?;
    shape(&text, VERSION).context("CHANGELOG.md is not as https://keepachangelog.com/en/1.1.0/ has it")
}

/// There is a section on this version.
pub(crate) fn check_released() -> Result<()> {
    let path = xtask_workspace::root().join("CHANGELOG.md");
    let text = fs::read_to_string(path).context("cannot read CHANGELOG.md")?;
    let heading = format!("## [{VERSION}] - ");
    ensure!(text.lines().any(|line| line.starts_with(&heading)), "CHANGELOG.md has no `{heading}DATE`");
    Ok(())
}

fn shape(text: &str, version: &str) -> Result<()> {
    ensure!(text.starts_with("# Changelog\n"), "it does not begin with `# Changelog`");
    let mut versions = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            versions.push(version_of(heading)?);
        } else if let Some(kind) = line.strip_prefix("### ") {
            ensure!(!versions.is_empty(), "`{line}` is of no version");
            ensure!(KINDS.contains(&kind), "`{line}` is none of {}", KINDS.join(", "));
        }
    }
    let first = versions.first().context("it names no version")?;
    let mut sorted = versions.clone();
    sorted.sort_by_key(|version| std::cmp::Reverse(numbers(version)));
    ensure!(sorted == versions, "the newest version is not the first");
    ensure!(
        first == UNRELEASED || versions.iter().any(|it| it == version),
        "it has neither `## [{UNRELEASED}]` nor `## [{version}] - DATE`"
    );
    Ok(())
}

const UNRELEASED: &str = "Unreleased";

fn version_of(heading: &str) -> Result<String> {
    if heading == format!("[{UNRELEASED}]") {
        return Ok(UNRELEASED.to_owned());
    }
    let parts = heading.strip_prefix('[').and_then(|rest| rest.split_once("] - "));
    let Some((version, date)) = parts else { bail!("`## {heading}` is not `## [VERSION] - DATE`") };
    let is_date = date.len() == 10
        && date
            .bytes()
            .enumerate()
            .all(|(at, byte)| if [4, 7].contains(&at) { byte == b'-' } else { byte.is_ascii_digit() });
    ensure!(is_date, "`## {heading}`: `{date}` is not a date as in 2026-01-31");
    ensure!(numbers(version).len() == 3, "`## {heading}`: `{version}` is not a version as in 1.2.3");
    Ok(version.to_owned())
}

/// What is not released yet is newer than all that is.
fn numbers(version: &str) -> Vec<u64> {
    if version == UNRELEASED {
        return vec![u64::MAX];
    }
    version.split('.').map(str::parse).collect::<Result<_, _>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkouts_changelog_is_well_formed() {
        check().unwrap();
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- a\n\n## [1.2.0] - 2026-01-31\n\n## [1.1.0] - 2025-12-01\n";
        shape(good, "1.3.0").unwrap();
        let released = good.replace("## [Unreleased]\n\n### Added\n\n- a\n\n", "");
        shape(&released, "1.2.0").unwrap();
        for (text, version, message) in [
            (released.clone(), "1.3.0", "it has neither"),
            (good.replace("### Added", "### New"), "1.2.0", "`### New` is none of"),
            (good.replace("2026-01-31", "31.1.2026"), "1.2.0", "is not a date"),
            (good.replace("[1.2.0] - ", "1.2.0 "), "1.2.0", "is not `## [VERSION] - DATE`"),
            (good.replace("1.1.0", "1.9.0"), "1.2.0", "the newest version is not the first"),
            (good.replace("# Changelog", "# Changes"), "1.2.0", "it does not begin"),
        ] {
            let error = shape(&text, version).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
