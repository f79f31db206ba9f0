//! The client: the library's layers on a connection of our own, since the library's waits for
//! acknowledgements.

use std::time::Duration;

use http::{Request, Response, Uri};
use hyper::body::{Body as HttpBody, Bytes};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt};
use kube::{Client, Config, Error};
use tokio::task::spawn_blocking;
use tower::{BoxError, Service, ServiceBuilder};

use super::preconnected::Preconnected;
use super::token_file::TokenFile;
use super::{ClusterError, answers, credentials};

/// An API server that says nothing for this long is silent.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client with bounds that sends each request once: the caller decides about another try.
pub fn client(config: Config) -> Result<Client, ClusterError> {
    let plugin = plugin(&config);
    connector(&config)
        .and_then(|connector| build(config, connector, answers::MAX_BYTES))
        .map_err(|error| ClusterError::setup(&error, plugin.as_deref()))
}

/// The same for who asks for lists, whose pages are long.
fn listing_client(config: Config) -> Result<Client, ClusterError> {
    let plugin = plugin(&config);
    connector(&config)
        .and_then(|connector| build(config, connector, answers::MAX_LIST_BYTES))
        .map_err(|error| ClusterError::setup(&error, plugin.as_deref()))
}

/// The same, with its first connection under way for a request that comes later.
///
/// A connection is no request: until then nothing is sent but the handshake. Needs a runtime.
pub fn connecting_client(config: Config) -> Result<Client, ClusterError> {
    let address = config.cluster_url.clone();
    let plugin = plugin(&config);
    connector(&config)
        .and_then(|connector| build(config, Preconnected::start(connector, address), answers::MAX_BYTES))
        .map_err(|error| ClusterError::setup(&error, plugin.as_deref()))
}

/// The same, on a thread of its own where a credential plugin is waited for: it would block this one, and
/// with it every timer of the runtime.
pub async fn client_off_thread(config: Config) -> Result<Client, ClusterError> {
    if has_credential_plugin(&config) {
        return spawn_blocking(|| client(config)).await.expect("it does not panic");
    }
    client(config)
}

/// The same for who asks for lists.
pub async fn listing_client_off_thread(config: Config) -> Result<Client, ClusterError> {
    if has_credential_plugin(&config) {
        return spawn_blocking(|| listing_client(config)).await.expect("it does not panic");
    }
    listing_client(config)
}

/// Whether a program outside fetches the credentials. The client library waits for it on the calling thread.
pub fn has_credential_plugin(config: &Config) -> bool {
    config.auth_info.exec.is_some() || config.auth_info.auth_provider.is_some()
}

/// The program that gives the credentials. Its arguments may be some themselves.
pub fn plugin(config: &Config) -> Option<String> {
    config.auth_info.exec.as_ref()?.command.clone()
}

/// Opens connections: TCP, and TLS as the configuration has it.
trait Connector:
    Service<Uri, Response: Stream, Future: Send + Unpin + 'static, Error = BoxError>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<C> Connector for C where
    C: Service<Uri, Response: Stream, Future: Send + Unpin + 'static, Error = BoxError>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// An open connection.
trait Stream: Connection + hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static {}

impl<S> Stream for S where S: Connection + hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static {}

/// Connects within bounds.
fn connector(config: &Config) -> Result<impl Connector, Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // The request follows the end of the handshake at once. Without this the kernel keeps it back until that
    // is acknowledged, which takes the other side up to 40 ms.
    tcp.set_nodelay(true);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_read_timeout(Some(READ_TIMEOUT));
    connector.set_write_timeout(Some(READ_TIMEOUT));
    // The pause between two tries is no silence of the server.
    connector.set_reset_reader_on_write(true);
    Ok(connector)
}

/// The layers around each request.
fn build(mut config: Config, connector: impl Connector, max_bytes: usize) -> Result<Client, Error> {
    let token_file = TokenFile::take(&mut config.auth_info);
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new())
        .http1_max_buf_size(answers::MAX_HEAD_BYTES)
        .build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(credentials::without_panic(|| config.auth_layer())?)
        .option_layer(token_file)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(bounded(service, max_bytes))
}

/// The client on a transport: what it asks and what it takes for an answer is the same on each.
pub fn over<T, B>(transport: T) -> Client
where
    T: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>> + Send + 'static,
    T::Future: Send + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    bounded(transport, answers::MAX_BYTES)
}

fn bounded<T, B>(transport: T, max_bytes: usize) -> Client
where
    T: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>> + Send + 'static,
    T::Future: Send + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let service = ServiceBuilder::new()
        .map_request(without_empty_parameter)
        .and_then(move |answer| answers::bounded(answer, max_bytes))
        .service(transport);
    // Whoever asks for an object in a namespace names the namespace.
    Client::new(service, "default")
}

/// The client library begins each query with an empty parameter: `?&fieldManager=`.
fn without_empty_parameter(mut request: Request<Body>) -> Request<Body> {
    let plain = request.uri().to_string().replacen("?&", "?", 1);
    if let Ok(plain) = plain.parse() {
        *request.uri_mut() = plain;
    }
    request
}
