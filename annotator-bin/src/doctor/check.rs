//! What is checked, and what became of it.

use node_annotator_core::fact::clean;
use serde::Serialize;

use crate::publish::PublishError;

/// Longest part of a text that may come from the cluster.
const MAX_TEXT_BYTES: usize = 2048;

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It holds, and there is something to look at.
    Warn,
    /// It does not hold.
    Fail,
    /// It was not or could not be looked at: nothing is proven.
    #[default]
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

/// One thing that must hold. It is skipped until the opposite is shown.
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
    pub(super) fn new(name: &'static str, namespace: Option<&str>) -> Self {
        Self {
            name,
            namespace: namespace.map(str::to_owned),
            verdict: Verdict::default(),
            finding: "not checked".to_owned(),
            hint: Some("see the checks before it, which say why".to_owned()),
        }
    }

    /// The check with what became of it.
    pub(super) fn concluded(self, outcome: Outcome) -> Self {
        let Conclusion { verdict, finding, hint } = outcome.unwrap_or_else(|unproven| Conclusion {
            verdict: Verdict::Skip,
            finding: unproven.reason,
            hint: Some(unproven.hint),
        });
        let text = |text: String| clean(&text, MAX_TEXT_BYTES);
        Self { verdict, finding: text(finding), hint: hint.map(text), ..self }
    }
}

/// What a check comes to, unless it could not be made.
pub(super) type Outcome = Result<Conclusion, Unproven>;

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conclusion {
    pub(super) verdict: Verdict,
    pub(super) finding: String,
    pub(super) hint: Option<String>,
}

impl Conclusion {
    pub(super) fn pass(finding: impl Into<String>) -> Self {
        Self { verdict: Verdict::Pass, finding: finding.into(), hint: None }
    }

    pub(super) fn warn(finding: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, finding: finding.into(), hint: Some(hint.into()) }
    }

    pub(super) fn fail(finding: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, finding: finding.into(), hint: Some(hint.into()) }
    }
}

/// Why a check could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unproven {
    pub(super) reason: String,
    pub(super) hint: String,
}

impl Unproven {
    pub(super) fn new(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: hint.into() }
    }
}

impl From<kube::Error> for Unproven {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 403 => {
                Self::new(format!("not allowed: {}", status.message), ADMINISTRATOR)
            }
            kube::Error::Api(status) if status.code != 401 => {
                let reason = format!("the API server says {}: {}", status.code, status.message);
                Self::new(reason, "run it again; if it stays so, look at the API server's own health")
            }
            _ => {
                let error = PublishError::from_client(&error, "");
                Self::new(error.to_string(), error.hint())
            }
        }
    }
}

/// Whose rights are needed.
pub(super) const ADMINISTRATOR: &str =
    "run it with the rights of a cluster administrator: `kubectl auth can-i '*' '*'` must say yes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_nobody_made_is_skipped() {
        let check = Check::new("policy", None);
        assert_eq!((check.verdict, check.finding.as_str()), (Verdict::Skip, "not checked"));
        let failed = check.clone().concluded(Err(Unproven::new("no nodes", "add one")));
        assert_eq!((failed.verdict, failed.hint.as_deref()), (Verdict::Skip, Some("add one")));
    }

    #[test]
    fn texts_of_the_cluster_move_no_cursor() {
        let outcome = Ok(Conclusion::fail("denied\u{1b}[2J by\n'x'", "look"));
        assert_eq!(Check::new("policy", None).concluded(outcome).finding, "denied [2J by 'x'");
    }

    #[test]
    fn words_are_those_of_json() {
        for verdict in Verdict::ALL {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
        }
    }
}
