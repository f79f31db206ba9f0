//! What an API server answers, within bounds, and with what its header says about a failure.

use http::header::RETRY_AFTER;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes};
use kube::Error;
use kube::core::Status;
use kube::core::response::StatusDetails;
use tower::BoxError;

/// Longest body. A Node takes 1.5 MiB at most, and an error may quote it with escapes; a captive portal or a
/// broken load balancer may send anything.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Longest body where lists and watches are asked for: a page of 500 Nodes, each with the names of its
/// images, takes 5 to 15 MiB.
pub(super) const MAX_LIST_BYTES: usize = 64 * 1024 * 1024;

/// Longest head, status line and all header lines together.
pub(super) const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Bounds the body. A failure whose header has `Retry-After` becomes the error here: the client library drops
/// the header, and an overloaded API server sends nothing else than a line of text.
pub(super) async fn bounded<B>(
    response: Response<B>,
    max_bytes: usize,
) -> Result<Response<Limited<B>>, BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let code = response.status();
    let pause = retry_after(response.headers());
    let response = response.map(|body| Limited::new(body, max_bytes));
    let Some(pause) = pause.filter(|_| code.is_client_error() || code.is_server_error()) else {
        return Ok(response);
    };
    let body = response.into_body().collect().await?.to_bytes();
    let mut status: Status = serde_json::from_slice(&body).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(&body);
        Status::failure(text.trim(), NO_STATUS).with_code(code.as_u16())
    });
    let details = status.details.get_or_insert_with(no_details);
    // What the API server wrote into its own answer is nearer than what a proxy puts before it.
    if details.retry_after_seconds == 0 {
        details.retry_after_seconds = pause;
    }
    Err(Error::Api(status.boxed()).into())
}

/// The client library gives this reason to an answer that is no Status.
pub(super) const NO_STATUS: &str = "Failed to parse error data";

fn no_details() -> StatusDetails {
    StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    }
}

/// Seconds. API servers send no dates.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}
