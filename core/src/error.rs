//! How a collector fails.

use std::error::Error;
use std::fmt;

use crate::context::{HostError, HostErrorKind, HttpError, ResolveError};

/// Longest text of a failure, of a hint, and of the reason why facts are not applicable, in bytes.
pub const MAX_ERROR_BYTES: usize = 512;

/// Whether waiting may mend a failure: by it a run decides how long it tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// It may pass, such as that of a service that does not answer.
    Passing,
    /// There was an answer of another shape: a proxy or a half-started agent gives one while a node boots.
    Malformed,
    /// It does not pass by waiting: the host does not permit it, or it is a defect.
    Lasting,
}

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
    /// `None` is what the source makes of it.
    kind: Option<FailureKind>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl CollectError {
    /// A failure that another try at once will not mend: lower case, no full stop.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), hint: None, retryable: false, kind: None, source: None }
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

    /// Says that there was an answer, of another shape than it should have: waiting may mend it, and not for
    /// long.
    #[must_use]
    pub fn malformed(mut self) -> Self {
        self.kind = Some(FailureKind::Malformed);
        self
    }

    /// Says that waiting will not mend it, such as a setting that makes no sense, or a defect.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.kind = Some(FailureKind::Lasting);
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

    /// Whether waiting may mend it: as it was said, else by its causes.
    pub fn kind(&self) -> FailureKind {
        self.kind.or_else(|| self.causes().find_map(kind_of_cause)).unwrap_or(FailureKind::Passing)
    }

    /// The evidence, if it failed since what it needs is that of a sandbox and not the node's.
    pub fn sandbox(&self) -> Option<String> {
        self.causes().find_map(|error| error.downcast_ref::<HostError>().and_then(HostError::sandbox))
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        let first = self.source.as_deref().map(|source| source as &(dyn Error + 'static));
        std::iter::successors(first, |error| (*error).source())
    }

    /// The message and all its causes, joined by colons.
    pub fn chain(&self) -> String {
        chain(self)
    }

    fn of(source: impl Error + Send + Sync + 'static, retryable: bool) -> Self {
        Self { message: None, hint: None, retryable, kind: None, source: Some(Box::new(source)) }
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

/// What an error of the host or the network says of itself.
fn kind_of_cause(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    if let Some(error) = error.downcast_ref::<HostError>() {
        return match error.kind() {
            HostErrorKind::NotVisible | HostErrorKind::Undeclared => Some(FailureKind::Lasting),
            HostErrorKind::Absent | HostErrorKind::Broken | HostErrorKind::OfSandbox => None,
        };
    }
    match error.downcast_ref::<HttpError>()? {
        HttpError::Address { .. } => Some(FailureKind::Lasting),
        HttpError::TooLong { .. } => Some(FailureKind::Malformed),
        HttpError::Connect(_) | HttpError::Timeout | HttpError::Broken(_) => None,
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
    fn what_waiting_does_not_mend_is_told_by_the_causes() {
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let wrapped = CollectError::new("no vendor").because(HostError::not_visible("/sys/a", denied()));
        assert_eq!(wrapped.kind(), FailureKind::Lasting);
        assert_eq!(CollectError::from(HostError::broken("/a", denied())).kind(), FailureKind::Passing);
        assert_eq!(CollectError::from(HostError::absent("/a")).kind(), FailureKind::Passing);
        assert_eq!(CollectError::from(HttpError::TooLong { limit: 1 }).kind(), FailureKind::Malformed);
        let address = HttpError::Address { url: "ftp://".to_owned() };
        assert_eq!(CollectError::from(address).kind(), FailureKind::Lasting);
        assert_eq!(CollectError::from(HttpError::Timeout).kind(), FailureKind::Passing);
        assert_eq!(CollectError::new("half of it").kind(), FailureKind::Passing);
        assert_eq!(CollectError::from(HttpError::Timeout).malformed().kind(), FailureKind::Malformed);
    }

    #[test]
    fn a_timeout_of_http_may_pass() {
        let error = CollectError::from(HttpError::Timeout).with_hint("look at the firewall");
        assert!(error.is_retryable());
        assert_eq!(error.chain(), "no answer in time");
        assert_eq!(error.hint(), Some("look at the firewall"));
    }
}
