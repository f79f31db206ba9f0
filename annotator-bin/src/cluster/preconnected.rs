//! A connection that is opened before it is needed.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Uri;
use node_annotator_core::BoxFuture;
use tokio::task::JoinHandle;
use tower::{BoxError, Service, ServiceExt};

/// Hands out the connection that was started early, once; further calls get a new one.
///
/// One that could not be opened is tried again: on a node that starts, the network may have come up
/// meanwhile. One that the server closed meanwhile (an API server waits 32 s for a request) fails the first
/// request, and the next try gets a new one.
pub(super) struct Preconnected<C: Service<Uri>> {
    connector: C,
    first: Arc<Mutex<Option<Started<C>>>>,
}

type Started<C> = JoinHandle<Result<<C as Service<Uri>>::Response, BoxError>>;

impl<C> Preconnected<C>
where
    C: Service<Uri, Error = BoxError> + Clone + Send + 'static,
    C::Response: Send,
    C::Future: Send,
{
    /// Starts to connect, as a task of the current runtime.
    pub(super) fn start(connector: C, address: Uri) -> Self {
        let first = tokio::spawn(connector.clone().oneshot(address));
        Self { connector, first: Arc::new(Mutex::new(Some(first))) }
    }
}

impl<C: Service<Uri> + Clone> Clone for Preconnected<C> {
    fn clone(&self) -> Self {
        Self { connector: self.connector.clone(), first: Arc::clone(&self.first) }
    }
}

impl<C> Service<Uri> for Preconnected<C>
where
    C: Service<Uri, Error = BoxError> + Clone + Send + 'static,
    C::Response: Send,
    C::Future: Send,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<C::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let connector = self.connector.clone();
        Box::pin(async move {
            if let Some(started) = first
                && let Ok(Ok(connection)) = started.await
            {
                return Ok(connection);
            }
            connector.oneshot(address).await
        })
    }
}
