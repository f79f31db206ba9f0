//! How a collector fails.

use std::error::Error;
use std::fmt;

use crate::context::{HostError, HttpError, ResolveError};

/// A failure of a collector, as it is written on the Node.
///
/// The text must be the same each time the same thing goes wrong: no times, counters, ports or addresses
/// picked at random, or a failing node would change its Node object at every try.
#[derive(Debug)]
pub struct CollectError {
    /// `None` says what the source says.
    message: Option<String>,
    hint: Option<String>,
    retryable: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl CollectError {
    /// A failure that another try will not mend: lower case, no full stop.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), hint: None, retryable: false, source: None }
    }

    /// Says what the operator can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Marks the failure as one that may pass: the runner tries again within the collector's timeout.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Keeps the cause; its text follows the message behind a colon.
    #[must_use]
    pub fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Whether another try may succeed.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The evidence, if it failed since what it needs is that of a sandbox and not the node's.
    pub fn sandbox(&self) -> Option<String> {
        let mut cause: Option<&(dyn Error + 'static)> = self.source.as_deref().map(|source| source as _);
        while let Some(error) = cause {
            if let Some(evidence) = error.downcast_ref::<HostError>().and_then(HostError::sandbox) {
                return Some(evidence);
            }
            cause = error.source();
        }
        None
    }

    /// The message and all its causes, joined by colons.
    pub fn chain(&self) -> String {
        chain(self)
    }

    fn of(source: impl Error + Send + Sync + 'static, retryable: bool) -> Self {
        Self { message: None, hint: None, retryable, source: Some(Box::new(source)) }
    }
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.message, &self.source) {
            (Some(message), _) => f.write_str(message),
            (None, Some(source)) => source.fmt(f),
            (None, None) => Ok(()),
        }
    }
}

impl Error for CollectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        if self.message.is_some() { Some(source) } else { source.source() }
    }
}

/// An error and all its causes, joined by colons. A cause that its parent already quotes is not repeated.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if text != more && !text.ends_with(&format!(": {more}")) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

impl From<HostError> for CollectError {
    fn from(error: HostError) -> Self {
        Self::of(error, false)
    }
}

impl From<HttpError> for CollectError {
    fn from(error: HttpError) -> Self {
        let retryable = error.is_retryable();
        Self::of(error, retryable)
    }
}

impl From<ResolveError> for CollectError {
    fn from(error: ResolveError) -> Self {
        let retryable = error.is_retryable();
        Self::of(error, retryable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_each_cause_once() {
        let cause = std::io::Error::other("disk on fire");
        let error = CollectError::from(HostError::broken("/proc/cpuinfo", cause));
        assert_eq!(error.chain(), "cannot read `/proc/cpuinfo`: disk on fire");
        assert!(!error.is_retryable());
        let quoted =
            CollectError::new("no answer: it timed out").because(std::io::Error::other("it timed out"));
        assert_eq!(quoted.chain(), "no answer: it timed out");
        let number = CollectError::new("status 15").because(std::io::Error::other("5"));
        assert_eq!(number.chain(), "status 15: 5");
    }

    #[test]
    fn a_timeout_of_http_may_pass() {
        let error = CollectError::from(HttpError::Timeout).with_hint("look at the firewall");
        assert!(error.is_retryable());
        assert_eq!(error.chain(), "no answer in time");
        assert_eq!(error.hint(), Some("look at the firewall"));
    }
}
