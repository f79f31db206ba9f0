//! The seam to HTTP: small requests to metadata services. The client itself lives with the binary.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

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
        Self {
            method: HttpMethod::Get,
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
    /// The body.
    pub body: Vec<u8>,
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
        let answer = HttpResponse { status: 200, body: b"secret".to_vec() };
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
