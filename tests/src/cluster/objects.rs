//! Putting objects into a cluster, and waiting for what becomes of them.

use std::fmt::Debug;

use anyhow::{Context, Result, anyhow};
use futures_util::StreamExt as _;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::runtime::watcher::watch_object;
use kube::{Api, ResourceExt as _, discovery};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Cluster;
use crate::wait;

const FIELD_MANAGER: &str = "scenario";

/// So many objects are made at once.
const AT_ONCE: usize = 50;

impl Cluster {
    /// Applies all documents of a YAML text, in their order, as an administrator would with kubectl.
    pub async fn apply_yaml(&self, text: &str) -> Result<Vec<DynamicObject>> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| anyhow!("{error}"))?;
        let mut applied = Vec::new();
        for document in documents.into_iter().filter(|document| !document.is_null()) {
            applied.push(self.apply(&document).await?);
        }
        Ok(applied)
    }

    /// Applies one object of any kind.
    pub async fn apply(&self, object: &impl Serialize) -> Result<DynamicObject> {
        let object: DynamicObject = serde_json::from_value(serde_json::to_value(object)?)?;
        let types = object.types.as_ref().context("an object without apiVersion and kind")?;
        let what = format!("{} `{}`", types.kind, object.name_any());
        let kind = GroupVersionKind::try_from(types).with_context(|| what.clone())?;
        let (resource, capabilities) = discovery::pinned_kind(&self.client(), &kind)
            .await
            .with_context(|| format!("unknown kind: {what}"))?;
        let api = if capabilities.scope == discovery::Scope::Cluster {
            Api::all_with(self.client(), &resource)
        } else {
            let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
            Api::namespaced_with(self.client(), &namespace, &resource)
        };
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let applied = api.patch(&object.name_any(), &parameters, &Patch::Apply(&object)).await;
        applied.with_context(|| format!("cannot apply {what}"))
    }

    /// Makes Nodes without a machine behind them: labels, annotations and a status, and nothing that runs.
    pub async fn create_nodes(&self, nodes: impl IntoIterator<Item = Node>) -> Result<()> {
        let api: Api<Node> = Api::all(self.client());
        let parameters = PostParams::default();
        let created = nodes.into_iter().map(|node| {
            let (api, parameters) = (&api, &parameters);
            async move { api.create(parameters, &node).await }
        });
        let mut created = futures_util::stream::iter(created).buffer_unordered(AT_ONCE);
        while let Some(node) = created.next().await {
            node.context("cannot make a node")?;
        }
        Ok(())
    }

    /// Reads a Node.
    pub async fn node(&self, name: &str) -> Result<Node> {
        Ok(Api::all(self.client()).get(name).await?)
    }

    /// Sets a label of a node; `None` takes it away.
    pub async fn label_node(&self, name: &str, key: &str, value: Option<&str>) -> Result<Node> {
        let patch = json!({"metadata": {"labels": {key: value}}});
        let nodes: Api<Node> = Api::all(self.client());
        Ok(nodes.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?)
    }

    /// The pods of a namespace.
    pub async fn pods(&self, namespace: &str) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client(), namespace);
        Ok(pods.list(&ListParams::default()).await?.items)
    }

    /// Watches a Node until `check` is content with it; see [`Cluster::wait_for_object`].
    pub async fn wait_for_node<T>(
        &self,
        name: &str,
        what: &str,
        mut check: impl FnMut(&Node) -> Result<T, String>,
    ) -> Result<T> {
        let absent = || Err("no such node".to_owned());
        self.wait_for_object(Api::all(self.client()), name, what, |node| node.map_or_else(absent, &mut check))
            .await
    }

    /// Watches a `DaemonSet` until its controller has seen its last change, wants no pod and has none.
    pub async fn wait_until_done(&self, namespace: &str, daemon_set: &str) -> Result<DaemonSet> {
        let api: Api<DaemonSet> = Api::namespaced(self.client(), namespace);
        let what = "the DaemonSet to want no pod";
        self.wait_for_object(api, daemon_set, what, |set| {
            let set = set.ok_or("no such DaemonSet")?;
            let status = set.status.as_ref().ok_or("no status")?;
            let done = status.observed_generation == set.metadata.generation
                && status.desired_number_scheduled == 0
                && status.current_number_scheduled == 0
                && status.number_misscheduled == 0;
            if done { Ok(set.clone()) } else { Err(serde_json::to_string(status).unwrap_or_default()) }
        })
        .await
    }

    /// Watches one object (`None` while it is absent) until `check` is content with it.
    ///
    /// `Err` tells what is still missing, and is quoted when the deadline passes.
    pub async fn wait_for_object<K, T>(
        &self,
        api: Api<K>,
        name: &str,
        what: &str,
        mut check: impl FnMut(Option<&K>) -> Result<T, String>,
    ) -> Result<T>
    where
        K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let mut seen = "nothing".to_owned();
        let found = tokio::time::timeout(wait::DEADLINE, async {
            let mut changes = watch_object(api, name).boxed();
            while let Some(change) = changes.next().await {
                match change {
                    Ok(object) => match check(object.as_ref()) {
                        Ok(found) => return Some(found),
                        Err(missing) => seen = missing,
                    },
                    Err(error) => {
                        seen = error.to_string();
                        tokio::time::sleep(wait::INTERVAL).await;
                    }
                }
            }
            None
        });
        let found = found.await.ok().flatten();
        found.with_context(|| format!("waited {:?} for {what} (`{name}`); last seen: {seen}", wait::DEADLINE))
    }
}
