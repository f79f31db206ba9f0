//! Lists of objects, read page by page.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::api::ListParams;
use kube::core::Request;
use kube::{Client, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::trouble::Trouble;

/// How many objects are asked for at once.
const PAGE: u32 = 250;

/// A list that has more pages has no end: Kubernetes is not made for so many objects of these kinds.
const MAX_PAGES: usize = 400;

/// Some of all objects, and how to ask for more.
#[derive(Debug, Deserialize)]
struct Page<T> {
    metadata: ListMeta,
    /// An empty list may say null.
    items: Option<Vec<T>>,
}

/// All objects of a kind, in one namespace or in all.
pub(super) async fn list<K>(client: &Client, namespace: Option<&str>) -> Result<Vec<K>, Trouble>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let mut parameters = ListParams::default().limit(PAGE);
    let mut items = Vec::new();
    for _ in 0..MAX_PAGES {
        let request = Request::new(K::url_path(&(), namespace)).list(&parameters);
        let page: Page<K> = client.request(request.map_err(kube::Error::BuildRequest)?).await?;
        items.extend(page.items.into_iter().flatten());
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(items),
        }
    }
    Err(Trouble::new(
        format!("the list of {} does not end: {} objects were read", K::plural(&()), items.len()),
        "is that an API server, or a proxy that answers each request alike?",
    ))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request as HttpRequest, Response};
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
