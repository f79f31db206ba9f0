//! The token in a file, as a pod has it: the kubelet replaces it long before it expires.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use kube::Error;
use kube::client::{AuthError, Body};
use kube::config::AuthInfo;
use node_annotator_core::BoxFuture;
use tokio::task::spawn_blocking;
use tower::{BoxError, Layer, Service, ServiceExt};

/// Sends the file's token with each request. It is read for each, since the client library keeps one for a
/// minute, and sends what is around it, too.
#[derive(Debug, Clone)]
pub(super) struct TokenFile(Arc<Path>);

impl TokenFile {
    /// Takes the file out of what the client library is to authenticate with, if it is what it would use.
    pub(super) fn take(user: &mut AuthInfo) -> Option<Self> {
        let AuthInfo { token, username, password, auth_provider, .. } = &user;
        let stronger =
            token.is_some() || auth_provider.is_some() || (username.is_some() && password.is_some());
        let path = user.token_file.take_if(|_| !stronger)?;
        user.exec = None;
        Some(Self(Path::new(&path).into()))
    }

    async fn header(&self) -> Result<HeaderValue, Error> {
        let path = Arc::clone(&self.0);
        // A read may hang.
        let read = spawn_blocking(move || fs::read_to_string(path)).await.map_err(io::Error::other);
        let token = read.and_then(|token| token).and_then(|token| match token.trim() {
            "" => Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty")),
            token => Ok(format!("Bearer {token}")),
        });
        let token =
            token.map_err(|error| Error::Auth(AuthError::ReadTokenFile(error, PathBuf::from(&*self.0))))?;
        let mut header = HeaderValue::try_from(token)
            .map_err(|error| Error::Auth(AuthError::InvalidBearerToken(error)))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl<S> Layer<S> for TokenFile {
    type Service = WithToken<S>;

    fn layer(&self, inner: S) -> WithToken<S> {
        WithToken { file: self.clone(), inner }
    }
}

/// A service whose requests carry the token.
#[derive(Debug, Clone)]
pub(super) struct WithToken<S> {
    file: TokenFile,
    inner: S,
}

impl<S, B> Service<Request<Body>> for WithToken<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
    B: Send,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<B>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Self { file, inner } = self.clone();
        Box::pin(async move {
            let token = file.header().await?;
            request.headers_mut().insert(AUTHORIZATION, token.clone());
            let (parts, body) = request.into_parts();
            let again = body.try_clone().map(|body| Request::from_parts(parts.clone(), body));
            let answer = inner.clone().oneshot(Request::from_parts(parts, body)).await?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            // It may have been replaced between the read and the answer.
            match (again, file.header().await) {
                (Some(mut again), Ok(fresh)) if fresh != token => {
                    again.headers_mut().insert(AUTHORIZATION, fresh);
                    inner.oneshot(again).await
                }
                _ => Ok(answer),
            }
        })
    }
}
