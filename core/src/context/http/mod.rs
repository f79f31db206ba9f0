//! The seam to HTTP: small requests to metadata services. The client itself lives with the binary.

mod budget;

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

pub use self::budget::HttpBudget;
use crate::BoxFuture;

/// A client for metadata services: no proxy, no redirects, a capped body.
pub trait HttpClient: Debug + Send + Sync {
    /// Sends one request and reads the whole answer. Any status is an answer, not an error.
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>>;
}

/// One request.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: HttpMethod,
    /// An absolute `http://` address.
    pub url: String,
    /// Further header fields.
    pub headers: Vec<(&'static str, String)>,
    /// Longest time until the connection stands.
    pub connect_timeout: Duration,
    /// Longest time for the whole exchange.
    pub timeout: Duration,
    /// A longer body is an error.
    pub max_body_bytes: usize,
}

impl HttpRequest {
    /// A `GET` with the bounds that suit a link-local service: 1 s to connect, 3 s in all, 256 KiB.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(HttpMethod::Get, url)
    }

    /// A `PUT` without a body, with the same bounds: it asks for a session token.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new(HttpMethod::Put, url)
    }

    /// The same with a further header field.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn new(method: HttpMethod, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(3),
            max_body_bytes: 256 * 1024,
        }
    }
}

/// The methods that metadata services know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    /// Reads.
    Get,
    /// Asks for a session token.
    Put,
}

/// A whole answer. The body may carry secrets: it is never logged, and only the needed fields are decoded.
#[derive(Clone)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The header fields, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// An answer without a header field.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// The same with a further header field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// The first value of a header field, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the service says that another try may succeed: it has too much to do, or has failed itself.
    pub fn is_passing(&self) -> bool {
        matches!(self.status, 429 | 500..=599)
    }
}

impl Debug for HttpResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpResponse {{ status: {}, body: {} bytes }}", self.status, self.body.len())
    }
}

/// Why there was no whole answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address is not an `http://` address.
    #[error("`{url}` is not an http:// address")]
    Address {
        /// The address as given.
        url: String,
    },
    /// No connection.
    #[error("cannot connect")]
    Connect(#[source] Box<dyn Error + Send + Sync>),
    /// The answer took too long, or the connection did.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke or the answer is not HTTP.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// The body is longer than the request allows.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// The bound of the request.
        limit: usize,
    },
}

impl HttpError {
    /// Whether another try may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Timeout | Self::Broken(_) => true,
            Self::Address { .. } | Self::TooLong { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_answer_does_not_show_its_body() {
        let answer = HttpResponse::new(200, "secret").with_header("Set-Cookie", "secret");
        assert_eq!(format!("{answer:?}"), "HttpResponse { status: 200, body: 6 bytes }");
    }

    #[test]
    fn only_what_may_pass_is_retryable() {
        let cause = || "broken".into();
        let errors = [
            (HttpError::Connect(cause()), true),
            (HttpError::Timeout, true),
            (HttpError::Broken(cause()), true),
            (HttpError::TooLong { limit: 1 }, false),
            (HttpError::Address { url: "ftp://".to_owned() }, false),
        ];
        for (error, retryable) in errors {
            assert_eq!(error.is_retryable(), retryable, "{error}");
        }
    }
}
