//! What became of a check.

use node_annotator_core::fact::clean;
use serde::Serialize;

use crate::trouble::Trouble;

/// Longest part of a text that may come from the cluster.
const MAX_TEXT_BYTES: usize = 2048;

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It holds, and there is something to look at.
    Warn,
    /// It does not hold.
    Fail,
    /// It was not or could not be looked at: nothing is proven.
    Skip,
}

impl Verdict {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Warn, Self::Fail, Self::Skip];

    /// The word that is printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
            Self::Skip => "SKIP",
        }
    }
}

/// One thing that must hold, and whether it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The stable name of what is checked, such as `policy-bound`.
    pub name: &'static str,
    /// The namespace it is about; nothing when it is about the cluster.
    pub namespace: Option<String>,
    /// What became of it.
    pub verdict: Verdict,
    /// What was found, or why nothing was.
    pub finding: String,
    /// What to do about it; nothing when it passed.
    pub hint: Option<String>,
}

impl Check {
    /// A check that came to this.
    pub(super) fn new(name: &'static str, namespace: Option<&str>, outcome: Outcome) -> Self {
        let (verdict, finding, hint) = match outcome {
            Ok(Conclusion::Pass(finding)) => (Verdict::Pass, finding, None),
            Ok(Conclusion::Warn(Trouble { what, hint })) => (Verdict::Warn, what, hint),
            Ok(Conclusion::Fail(Trouble { what, hint })) => (Verdict::Fail, what, hint),
            Err(Trouble { what, hint }) => (Verdict::Skip, what, hint),
        };
        Self {
            name,
            namespace: namespace.map(str::to_owned),
            verdict,
            finding: clean(&finding, MAX_TEXT_BYTES),
            hint: hint.map(|hint| clean(&hint, MAX_TEXT_BYTES)),
        }
    }

    /// A check that was not made, since one before it could not be.
    pub(super) fn not_made(name: &'static str, namespace: Option<&str>) -> Self {
        Self::new(
            name,
            namespace,
            Err(Trouble::new("not checked", "see the checks before it, which say why")),
        )
    }
}

/// What a check comes to, or why it could not be made.
pub(super) type Outcome = Result<Conclusion, Trouble>;

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// It holds; with what was found.
    Pass(String),
    /// It holds, and there is something to look at.
    Warn(Trouble),
    /// It does not hold.
    Fail(Trouble),
}

impl Conclusion {
    pub(super) fn pass(finding: impl Into<String>) -> Self {
        Self::Pass(finding.into())
    }

    pub(super) fn warn(finding: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Warn(Trouble::new(finding, hint.into()))
    }

    pub(super) fn fail(finding: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Fail(Trouble::new(finding, hint.into()))
    }
}

#[cfg(test)]
impl Conclusion {
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Pass(_) => Verdict::Pass,
            Self::Warn(_) => Verdict::Warn,
            Self::Fail(_) => Verdict::Fail,
        }
    }

    pub(super) fn finding(&self) -> &str {
        match self {
            Self::Pass(finding) => finding,
            Self::Warn(trouble) | Self::Fail(trouble) => &trouble.what,
        }
    }

    pub(super) fn hint(&self) -> Option<&str> {
        match self {
            Self::Pass(_) => None,
            Self::Warn(trouble) | Self::Fail(trouble) => trouble.hint.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_nobody_made_is_skipped() {
        let check = Check::not_made("policy", None);
        assert_eq!((check.verdict, check.finding.as_str()), (Verdict::Skip, "not checked"));
        let failed = Check::new("policy", None, Err(Trouble::new("no nodes", "add one")));
        assert_eq!((failed.verdict, failed.hint.as_deref()), (Verdict::Skip, Some("add one")));
    }

    #[test]
    fn texts_of_the_cluster_move_no_cursor() {
        let outcome = Ok(Conclusion::fail("denied\u{1b}[2J by\n'x'", "look"));
        assert_eq!(Check::new("policy", None, outcome).finding, "denied [2J by 'x'");
    }

    #[test]
    fn words_are_those_of_json() {
        for verdict in Verdict::ALL {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
        }
    }
}
