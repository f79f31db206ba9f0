//! Lists of objects, read page by page.

use std::io;
use std::pin::pin;
use std::time::Duration;

use futures_util::AsyncBufReadExt as _;
use http::Request as HttpRequest;
use kube::api::{GetParams, ListParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::items::Items;
use crate::cluster::{ClusterError, Reason};
use crate::trouble::Trouble;

/// How many objects are asked for at once.
const PAGE: u32 = 500;

/// A list that has more pages has no end: Kubernetes is not made for so many objects of these kinds.
const MAX_PAGES: usize = 400;

/// How much of each object is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// All of it.
    Whole,
    /// Its metadata.
    Metadata,
}

/// Which objects of a kind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Query<'a> {
    /// The namespace; all of them where none is named.
    pub(crate) namespace: Option<&'a str>,
    /// A selector of labels.
    pub(crate) labels: Option<&'a str>,
    /// A selector of fields.
    pub(crate) fields: Option<&'a str>,
}

/// Makes the requests of a command that reads.
#[derive(Clone)]
pub(crate) struct Reader {
    client: Client,
    /// How long each answer may take as a whole.
    timeout: Option<Duration>,
}

impl Reader {
    /// With a client for lists.
    pub(crate) fn new(client: Client, timeout: Option<Duration>) -> Self {
        Self { client, timeout }
    }

    /// The client that makes the requests.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request, and decodes the answer.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        request: Result<HttpRequest<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, ClusterError> {
        let mut bytes = Vec::new();
        let take = &mut |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        self.receive(request, take).await?;
        // Objects are large to decode, and their decoders for values are there: others for text would
        // double them.
        let value = serde_json::from_slice::<Value>(&bytes).and_then(serde_json::from_value);
        value.map_err(|error| ClusterError::from(&kube::Error::SerdeError(error)))
    }

    /// An object, if there is one, decoded to what `T` names.
    pub(crate) async fn get<K, T>(&self, namespace: Option<&str>, name: &str) -> Result<Option<T>, Trouble>
    where
        K: Resource<DynamicType = ()>,
        T: DeserializeOwned,
    {
        let path = Request::new(K::url_path(&(), namespace));
        match self.ask(path.get(name, &GetParams::default())).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.reason() == Reason::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Hands over each object of a query, page by page, in order of name. Returns the resource
    /// version of the list, from which a watch goes on.
    ///
    /// An object is decoded to what `T` names as soon as it has come, and no more of it is kept.
    pub(crate) async fn visit<K, T>(
        &self,
        query: Query<'_>,
        form: Form,
        mut take: impl FnMut(T),
    ) -> Result<String, Trouble>
    where
        K: Resource<DynamicType = ()>,
        T: DeserializeOwned,
    {
        let take = &mut |item: &[u8]| serde_json::from_slice(item).map(&mut take);
        let path = Request::new(K::url_path(&(), query.namespace));
        self.visit_pages(&path, query, form, &K::plural(&()), take).await
    }

    /// The same of any kind: it is compiled once.
    async fn visit_pages(
        &self,
        path: &Request,
        query: Query<'_>,
        form: Form,
        kind: &str,
        take: &mut dyn FnMut(&[u8]) -> serde_json::Result<()>,
    ) -> Result<String, Trouble> {
        let mut parameters = ListParams::default().limit(PAGE);
        parameters.label_selector = query.labels.map(str::to_owned);
        parameters.field_selector = query.fields.map(str::to_owned);
        let mut count = 0;
        for _ in 0..MAX_PAGES {
            let request = match form {
                Form::Whole => path.list(&parameters),
                Form::Metadata => path.list_metadata(&parameters),
            };
            let mut items = Items::default();
            let take = &mut |item: &[u8]| {
                count += 1;
                take(item)
            };
            self.receive(request, &mut |piece: &[u8]| items.read(piece, take)).await?;
            let metadata =
                items.metadata().map_err(|error| ClusterError::from(&kube::Error::SerdeError(error)))?;
            match metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(metadata.resource_version.unwrap_or_default()),
            }
        }
        Err(Trouble::new(
            format!("the list of {kind} does not end: {count} objects were read"),
            "is that an API server, or a proxy that answers each request alike?",
        ))
    }

    /// Sends a request, and hands over the answer piece by piece.
    async fn receive(
        &self,
        request: Result<HttpRequest<Vec<u8>>, kube::core::request::Error>,
        take: &mut dyn FnMut(&[u8]) -> serde_json::Result<()>,
    ) -> Result<(), ClusterError> {
        let request = request.map_err(|error| ClusterError::from(&kube::Error::BuildRequest(error)))?;
        let answer = receive(&self.client, request, take);
        let answer = match self.timeout {
            None => answer.await,
            Some(time) => timeout(time, answer).await.map_err(|_| ClusterError::silent_for(time))?,
        };
        answer.map_err(|error| ClusterError::from(&error))
    }

    /// All objects of a kind, in one namespace or in all.
    pub(crate) async fn list<K>(&self, namespace: Option<&str>) -> Result<Vec<K>, Trouble>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let mut items = Vec::new();
        let query = Query { namespace, ..Query::default() };
        let decode = |item: Value| items.push(serde_json::from_value(item));
        self.visit::<K, Value>(query, Form::Whole, decode).await?;
        let items: Result<_, _> = items.into_iter().collect();
        items.map_err(|error| kube::Error::SerdeError(error).into())
    }
}

/// All objects of a kind, in one namespace or in all.
pub(crate) async fn list<K>(client: &Client, namespace: Option<&str>) -> Result<Vec<K>, Trouble>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    Reader::new(client.clone(), None).list(namespace).await
}

async fn receive(
    client: &Client,
    request: HttpRequest<Vec<u8>>,
    take: &mut dyn FnMut(&[u8]) -> serde_json::Result<()>,
) -> Result<(), kube::Error> {
    let mut answer = pin!(client.request_stream(request).await?);
    loop {
        let piece = answer.fill_buf().await.map_err(cause)?;
        let length = piece.len();
        if length == 0 {
            return Ok(());
        }
        take(piece).map_err(kube::Error::SerdeError)?;
        answer.consume_unpin(length);
    }
}

/// What the client has wrapped for the sake of the stream.
fn cause(error: io::Error) -> kube::Error {
    error.downcast().unwrap_or_else(|other| kube::Error::Service(other.into()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Response;
    use k8s_openapi::api::apps::v1::DaemonSet;
    use kube::client::Body;
    use tower::service_fn;

    use super::*;

    /// A server that answers every list so.
    fn answering(page: &'static str) -> Client {
        let service = service_fn(move |_: HttpRequest<Body>| async move {
            Ok::<_, Infallible>(Response::new(Body::from(page.as_bytes().to_vec())))
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn a_list_without_an_end_ends() {
        let one = answering(r#"{"metadata": {}, "items": [{"metadata": {"name": "one"}}]}"#);
        assert_eq!(list::<DaemonSet>(&one, None).await.unwrap().len(), 1);
        let more =
            answering(r#"{"metadata": {"continue": "more"}, "items": [{"metadata": {"name": "one"}}]}"#);
        let trouble = list::<DaemonSet>(&more, None).await.unwrap_err();
        assert!(trouble.what.contains("daemonsets does not end: 400 objects"), "{trouble:?}");
    }

    #[tokio::test]
    async fn an_empty_list_may_say_null() {
        let none = answering(r#"{"metadata": {}, "items": null}"#);
        assert!(list::<DaemonSet>(&none, None).await.unwrap().is_empty());
    }
}
