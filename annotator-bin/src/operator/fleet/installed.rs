//! What is installed in the cluster: the DaemonSets, what they want, and how their pods are getting on.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Event as K8sEvent, Pod as K8sPod};
use node_annotator_core::{Prefix, PrivilegeClass, Registry};
use node_annotator_deploy::Installation;

use super::demand::Demand;
use super::node::Node;
use super::pods::{Event, FAILED_CREATE, Pod, refusals};
use crate::operator::lists::{Form, Query, Reader};
use crate::trouble::Trouble;

/// An installation as it is in the cluster.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(super) prefix: Prefix,
    pub(super) registry: Registry,
    pub(super) demands: Vec<Demand>,
    /// By the name of the node, and then the namespace and the name of the DaemonSet.
    pods: BTreeMap<(String, String), AtWork>,
    /// Why pods of a DaemonSet were not made, by its namespace and its name.
    refused: BTreeMap<String, String>,
}

/// A pod that is there.
#[derive(Debug)]
pub(super) struct AtWork {
    /// Why it does not get done.
    pub(super) trouble: Option<String>,
}

impl Installed {
    /// Reads it. Where there is no DaemonSet, nothing can be told.
    pub(crate) async fn read(
        reader: &Reader,
        installation: &Installation,
        prefix: &Prefix,
        registry: &Registry,
    ) -> Result<Self, Trouble> {
        let mut found = Self {
            prefix: prefix.clone(),
            registry: registry.clone(),
            demands: Vec::new(),
            pods: BTreeMap::new(),
            refused: BTreeMap::new(),
        };
        for class in [PrivilegeClass::Restricted, PrivilegeClass::Privileged] {
            found.read_namespace(reader, &installation.namespace(class)).await?;
        }
        if found.demands.is_empty() {
            return Err(Trouble::new(
                format!("no DaemonSet in the namespace `{installation}` is keyed on labels under `{prefix}`"),
                "is it installed with another --namespace or --prefix? `node-annotator manifests` prints what to apply",
            ));
        }
        Ok(found)
    }

    async fn read_namespace(&mut self, reader: &Reader, namespace: &str) -> Result<(), Trouble> {
        let sets = reader.list::<DaemonSet>(Some(namespace)).await?;
        let demands: Vec<_> = sets.iter().filter_map(|set| Demand::read(set, &self.prefix)).collect();
        if demands.is_empty() {
            return Ok(());
        }
        let of_namespace = Query { namespace: Some(namespace), ..Query::default() };
        let pods = |pod: Pod| {
            let (Some(node), Some(set)) = (pod.node(), pod.daemon_set()) else { return };
            self.pods
                .insert((node.to_owned(), format!("{namespace}/{set}")), AtWork { trouble: pod.trouble() });
        };
        reader.visit::<K8sPod, Pod>(of_namespace, Form::Whole, pods).await?;
        let fields = format!("reason={FAILED_CREATE}");
        let query = Query { fields: Some(&fields), ..of_namespace };
        let mut events = Vec::new();
        reader.visit::<K8sEvent, Event>(query, Form::Whole, |event| events.push(event)).await?;
        for demand in &demands {
            if let Some((text, _)) =
                refusals(&events, Some(&demand.name)).iter().max_by_key(|(_, count)| **count)
            {
                self.refused.insert(demand.full_name(), (*text).to_owned());
            }
        }
        self.demands.extend(demands);
        Ok(())
    }

    /// The collectors that any DaemonSet runs, in order of name.
    pub(crate) fn collectors(&self) -> BTreeSet<&str> {
        self.demands.iter().flat_map(|demand| demand.rules.keys().map(String::as_str)).collect()
    }

    /// Whether labels of Node Feature Discovery are published.
    pub(crate) fn has_nfd(&self) -> bool {
        self.demands.iter().any(|demand| demand.has_nfd)
    }

    /// The domain that all keys begin with.
    pub(crate) fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    pub(super) fn pod(&self, demand: &Demand, node: &Node) -> Option<&AtWork> {
        self.pods.get(&(node.name().to_owned(), demand.full_name()))
    }

    /// Why no pod of a DaemonSet could be made. Events are kept for an hour: it may be over by now.
    pub(super) fn refusal(&self, demand: &Demand) -> Option<&str> {
        self.refused.get(&demand.full_name()).map(String::as_str)
    }
}
