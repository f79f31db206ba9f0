//! HTTP for metadata services: HTTP/1.1 in the clear, no proxy, no redirects, a capped body.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use node_annotator_core::BoxFuture;
use node_annotator_core::context::{
    HttpClient, HttpError, HttpMethod, HttpRequest, HttpResponse, ResolveError, Resolver,
};
use node_annotator_core::error::chain;
use tower::Service;

/// The client behind the collectors' context.
///
/// It never reads proxy variables: a metadata service is link-local, and a proxy would answer for another
/// machine.
#[derive(Debug)]
pub struct MetadataClient {
    resolver: Arc<dyn Resolver>,
}

impl MetadataClient {
    /// A client that resolves host names with `resolver`.
    pub fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver }
    }
}

impl HttpClient for MetadataClient {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        Box::pin(async move {
            let timeout = request.timeout;
            tokio::time::timeout(timeout, exchange(Arc::clone(&self.resolver), request))
                .await
                .unwrap_or(Err(HttpError::Timeout))
        })
    }
}

async fn exchange(resolver: Arc<dyn Resolver>, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let HttpRequest { method, url, headers, connect_timeout, timeout: _, max_body_bytes } = request;
    let uri = address(&url).ok_or_else(|| HttpError::Address { url: without_secrets(&url) })?;
    let method = match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Put => Method::PUT,
    };
    let mut builder = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    let request = builder
        .body(Empty::<hyper::body::Bytes>::new())
        .map_err(|error| HttpError::Broken(Box::new(error)))?;

    let mut connector = HttpConnector::new_with_resolver(ByResolver(resolver));
    connector.set_connect_timeout(Some(connect_timeout));
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let response = client.request(request).await.map_err(|error| {
        // The layers of the client would only make the text longer that ends up on the Node.
        let cause = error.source().map_or_else(|| error.to_string(), chain);
        if error.is_connect() { HttpError::Connect(cause.into()) } else { HttpError::Broken(cause.into()) }
    })?;

    let status = response.status().as_u16();
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        // What is no text is worth nothing to a collector.
        value.to_str().ok().map(|value| (name.as_str().to_owned(), value.to_owned()))
    };
    let headers = response.headers().iter().filter_map(header).collect();
    let body = Limited::new(response.into_body(), max_body_bytes).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            HttpError::TooLong { limit: max_body_bytes }
        } else {
            HttpError::Broken(error)
        }
    })?;
    Ok(HttpResponse { status, headers, body: body.to_bytes().to_vec() })
}

/// An address in the clear. One with user information is none: no metadata service asks for a password, and
/// the layers of the client would log it.
fn address(url: &str) -> Option<Uri> {
    // A password with a slash would end the authority before the at sign.
    let place = url.split(['?', '#']).next().unwrap_or_default();
    let uri: Uri = url.parse().ok()?;
    (uri.scheme_str() == Some("http") && uri.host().is_some() && !place.contains('@')).then_some(uri)
}

/// What may be shown of an address that is refused: neither user information nor a query.
fn without_secrets(url: &str) -> String {
    let (path, query) = url.split_once(['?', '#']).map_or((url, ""), |(path, _)| (path, "?..."));
    let (scheme, rest) = path.split_once("://").map_or(("", path), |(scheme, rest)| (scheme, rest));
    let slashes = if scheme.is_empty() { "" } else { "://" };
    // A password may have slashes and at signs of its own.
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("...@", rest));
    format!("{scheme}{slashes}{user}{rest}{query}")
}

/// Resolves host names for the connector.
#[derive(Debug, Clone)]
struct ByResolver(Arc<dyn Resolver>);

impl Service<Name> for ByResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = BoxFuture<'static, Result<Self::Response, ResolveError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            // The connector puts the port in.
            Ok(addresses
                .into_iter()
                .map(|address| SocketAddr::new(address, 0))
                .collect::<Vec<_>>()
                .into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_refused_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("https://user:CANARY@meta.example/v1?token=CANARY", "https://...@meta.example/v1?..."),
            ("http://user:CANARY@meta.example/v1", "http://...@meta.example/v1"),
            ("http://user:CAN/ARY@CANARY@meta.example", "http://...@meta.example"),
            ("user:CANARY@meta.example", "...@meta.example"),
            ("ftp://meta.example/#CANARY", "ftp://meta.example/?..."),
            ("nonsense", "nonsense"),
        ] {
            assert!(address(url).is_none(), "{url}");
            assert_eq!(without_secrets(url), shown);
        }
        assert!(address("http://169.254.169.254/v1?token=x").is_some());
    }
}
