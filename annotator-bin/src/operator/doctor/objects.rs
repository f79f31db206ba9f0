//! DaemonSets, pods and grants, of which only these fields are looked at, and lists of them.
//!
//! Decoding them whole, with every kind of volume, probe and term, would be a twentieth of the program.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::NodeSelector;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
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

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct DaemonSet {
    pub(super) metadata: ObjectMeta,
    pub(super) spec: Option<DaemonSetSpec>,
    pub(super) status: Option<DaemonSetStatus>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct DaemonSetSpec {
    pub(super) template: PodTemplate,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PodTemplate {
    pub(super) spec: Option<PodSpec>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    pub(super) node_selector: Option<BTreeMap<String, String>>,
    pub(super) affinity: Option<Affinity>,
    #[serde(default)]
    pub(super) containers: Vec<Container>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) args: Option<Vec<String>>,
    pub(super) env: Option<Vec<Variable>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Affinity {
    pub(super) node_affinity: Option<NodeAffinity>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeAffinity {
    pub(super) required_during_scheduling_ignored_during_execution: Option<NodeSelector>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DaemonSetStatus {
    pub(super) desired_number_scheduled: i32,
    pub(super) current_number_scheduled: i32,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Pod {
    pub(super) metadata: ObjectMeta,
    pub(super) status: Option<PodStatus>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodStatus {
    pub(super) conditions: Option<Vec<PodCondition>>,
    pub(super) container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PodCondition {
    #[serde(rename = "type")]
    pub(super) type_: String,
    pub(super) status: String,
    pub(super) message: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerStatus {
    pub(super) state: Option<ContainerState>,
    pub(super) last_state: Option<ContainerState>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ContainerState {
    pub(super) waiting: Option<ContainerStateWaiting>,
    pub(super) terminated: Option<ContainerStateTerminated>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ContainerStateWaiting {
    pub(super) reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerStateTerminated {
    pub(super) exit_code: i32,
}

/// Any object.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Metadata {
    pub(super) metadata: ObjectMeta,
}

/// A `Role` or `ClusterRole`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Role {
    pub(super) metadata: ObjectMeta,
    pub(super) rules: Option<Vec<PolicyRule>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PolicyRule {
    pub(super) api_groups: Vec<String>,
    pub(super) resources: Vec<String>,
    pub(super) resource_names: Vec<String>,
    pub(super) verbs: Vec<String>,
}

/// A `RoleBinding` or `ClusterRoleBinding`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoleBinding {
    pub(super) metadata: ObjectMeta,
    pub(super) role_ref: RoleRef,
    pub(super) subjects: Option<Vec<Subject>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RoleRef {
    pub(super) kind: String,
    pub(super) name: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Subject {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
}

/// Some of all objects, and how to ask for more.
#[derive(Debug, Deserialize)]
struct Page<T> {
    metadata: ListMeta,
    /// A list of metadata without any says null.
    items: Option<Vec<T>>,
}

/// All objects of the kind `K`, page by page, in one namespace or in all.
pub(super) async fn list<K, T>(client: &Client, namespace: Option<&str>) -> Result<Vec<T>, Trouble>
where
    K: Resource<DynamicType = ()>,
    T: DeserializeOwned,
{
    pages(client, &K::plural(&()), |parameters| Request::new(K::url_path(&(), namespace)).list(parameters))
        .await
}

/// The metadata of all objects of the kind `K`, page by page.
pub(super) async fn list_metadata<K>(client: &Client) -> Result<Vec<Metadata>, Trouble>
where
    K: Resource<DynamicType = ()>,
{
    pages(client, &K::plural(&()), |parameters| {
        Request::new(K::url_path(&(), None)).list_metadata(parameters)
    })
    .await
}

async fn pages<T: DeserializeOwned>(
    client: &Client,
    plural: &str,
    list: impl Fn(&ListParams) -> Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Vec<T>, Trouble> {
    let mut parameters = ListParams::default().limit(PAGE);
    let mut items = Vec::new();
    for _ in 0..MAX_PAGES {
        let request = list(&parameters);
        let page: Page<T> = client.request(request.map_err(kube::Error::BuildRequest)?).await?;
        items.extend(page.items.into_iter().flatten());
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(items),
        }
    }
    Err(Trouble::new(
        format!("the list of {plural} does not end: {} objects were read", items.len()),
        "is that an API server, or a proxy that answers each request alike?",
    ))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request as HttpRequest, Response};
    use k8s_openapi::api::apps::v1::DaemonSet as ApiDaemonSet;
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;

    /// A server that answers every list with one object, and with this way to ask for more.
    fn answering(token: Option<&'static str>) -> Client {
        let service = service_fn(move |_: HttpRequest<Body>| async move {
            let page = json!({
                "metadata": { "continue": token },
                "items": [{ "metadata": { "name": "one" } }],
            });
            Ok::<_, Infallible>(Response::new(Body::from(page.to_string().into_bytes())))
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn a_list_without_an_end_ends() {
        let once = list::<ApiDaemonSet, DaemonSet>(&answering(None), None).await.unwrap();
        assert_eq!(once.len(), 1);
        let trouble = list::<ApiDaemonSet, DaemonSet>(&answering(Some("more")), None).await.unwrap_err();
        assert!(trouble.what.contains("daemonsets does not end: 400 objects"), "{trouble:?}");
    }
}
