//! A kernel release such as `5.15.0-1053-aws`, taken apart.

/// Where it is.
pub(crate) const PATH: &str = "/proc/sys/kernel/osrelease";

/// The parts of a release. Distributions agree on the first two numbers, and on little else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release<'a> {
    pub(crate) full: &'a str,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) patch: Option<u32>,
    pub(crate) flavor: Option<&'a str>,
}

/// Longest release that `uname` can tell.
const MAX_BYTES: usize = 64;

impl<'a> Release<'a> {
    /// Reads one printable word that starts with two numbers; anything else is no release.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let full = text.trim();
        if full.len() > MAX_BYTES || !full.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (major, rest) = number(full)?;
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        let patch = rest.strip_prefix('.').and_then(number).map(|(patch, _)| patch);
        Some(Self { full, major, minor, patch, flavor: flavor(rest) })
    }
}

/// What is left of `.0-1053-aws` or `.0-362.8.1.el9_3.x86_64` when the leading numbers are taken away.
fn flavor(mut rest: &str) -> Option<&str> {
    const SEPARATORS: [char; 4] = ['-', '.', '+', '_'];
    loop {
        rest = rest.trim_start_matches(SEPARATORS);
        let end = rest.find(SEPARATORS).unwrap_or(rest.len());
        let (word, more) = rest.split_at(end);
        if word.is_empty() {
            return None;
        }
        if !word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(rest);
        }
        rest = more;
    }
}

fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn releases_of_many_distributions_are_taken_apart() {
        for (text, numbers, flavor) in [
            ("5.15.0-1053-aws\n", (5, 15, Some(0)), Some("aws")),
            ("6.8.0-45-generic", (6, 8, Some(0)), Some("generic")),
            ("6.1.0-18-cloud-amd64", (6, 1, Some(0)), Some("cloud-amd64")),
            ("5.14.0-362.8.1.el9_3.x86_64", (5, 14, Some(0)), Some("el9_3.x86_64")),
            ("6.1.61-85.141.amzn2023.x86_64", (6, 1, Some(61)), Some("amzn2023.x86_64")),
            ("6.6.31+rpt-rpi-v8", (6, 6, Some(31)), Some("rpt-rpi-v8")),
            ("5.15.153.1-microsoft-standard-WSL2", (5, 15, Some(153)), Some("microsoft-standard-WSL2")),
            ("6.18.44-fc-v669", (6, 18, Some(44)), Some("fc-v669")),
            ("6.1.58+", (6, 1, Some(58)), None),
            ("6.12-rc3", (6, 12, None), Some("rc3")),
            ("6.6.29", (6, 6, Some(29)), None),
        ] {
            let release = Release::parse(text).unwrap();
            assert_eq!((release.major, release.minor, release.patch), numbers, "{text}");
            assert_eq!(release.flavor, flavor, "{text}");
            assert_eq!(release.full, text.trim());
        }
    }

    #[test]
    fn what_is_no_release_is_refused() {
        assert_eq!(Release::parse(&format!("6.1.0-{}", "a".repeat(MAX_BYTES))), None);
        for text in
            ["", "\n", "6", "6.", "v6.1.0", "linux 6.1", "6.1.0 evil", "6.1.0\u{1b}[31m", "9999999999.1"]
        {
            assert_eq!(Release::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|[0-9.+_-]{0,20}[a-z0-9.+_-]{0,20}") {
            if let Some(release) = Release::parse(&text) {
                prop_assert!(release.full.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(release.flavor.is_none_or(|flavor| release.full.ends_with(flavor)));
            }
        }
    }
}
