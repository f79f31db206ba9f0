//! What went wrong, and what to do about it.

use std::borrow::Cow;
use std::fmt;

/// A failure in words for the operator.
///
/// Lower case without a full stop, values in backticks. Both are a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What went wrong, with its causes.
    pub what: String,
    /// What to do about it, unless `what` says so itself.
    pub hint: Option<Cow<'static, str>>,
}

impl Trouble {
    /// A trouble, and what to do about it.
    pub fn new(what: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), hint: Some(hint.into()) }
    }

    /// A trouble whose text says what to do.
    pub fn plain(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), hint: None }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Trouble {}
