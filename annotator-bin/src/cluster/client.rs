//! The client: the library's layers on a connection of our own, since the library's waits for
//! acknowledgements.

use std::time::Duration;

use http::Uri;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt};
use kube::{Client, Config, Error};
use tower::{BoxError, Service, ServiceBuilder};

use super::ClusterError;
use super::preconnected::Preconnected;

/// An API server that says nothing for this long is silent.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client with bounds that sends each request once: the caller decides about another try.
pub fn client(config: Config) -> Result<Client, ClusterError> {
    connector(&config)
        .and_then(|connector| build(config, connector))
        .map_err(|error| ClusterError::setup(&error))
}

/// The same, with its first connection under way for a request that comes later.
///
/// A connection is no request: until then nothing is sent but the handshake. Needs a runtime.
pub fn connecting_client(config: Config) -> Result<Client, ClusterError> {
    let address = config.cluster_url.clone();
    connector(&config)
        .and_then(|connector| build(config, Preconnected::start(connector, address)))
        .map_err(|error| ClusterError::setup(&error))
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
    if let Some(proxy) = &config.proxy_url {
        return Err(Error::ProxyProtocolDisabled {
            proxy_url: Box::new(proxy.clone()),
            protocol_feature: "kube/http-proxy",
        });
    }
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
fn build(config: Config, connector: impl Connector) -> Result<Client, Error> {
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}
