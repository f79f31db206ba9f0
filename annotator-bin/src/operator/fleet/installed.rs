//! What is installed in the cluster: the DaemonSets, what they want, and how their pods are getting on.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Event as K8sEvent, Namespace, Pod as K8sPod};
use kube::Resource;
use kube::api::GetParams;
use kube::core::{PartialObjectMeta, Request};
use node_annotator_core::{Prefix, Registry};
use node_annotator_deploy::Installation;

use super::demand::{Demand, Mark};
use super::node::Node;
use super::pods::{Event, FAILED_CREATE, Pod, refusals};
use crate::cluster::Reason;
use crate::operator::lists::{Form, Query, Reader};
use crate::trouble::Trouble;

/// An installation as it is in the cluster.
#[derive(Debug)]
pub(crate) struct Installed {
    installation: Installation,
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
    /// Its container runs, and nothing has asked for its end.
    is_running: bool,
}

/// Whether events are read, which tell why pods could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Events {
    /// For those who show it.
    Read,
    /// For those who do not: it takes a right less.
    LeftOut,
}

/// Why a pod that is there would not run a collector again whose labels are taken away now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// All that it runs has come to its end, and it goes as soon as its controller has seen that. Without the
    /// labels it would stay, and run nothing.
    Leaving,
    /// It tries others of its collectors again.
    Trying,
}

impl Installed {
    /// Reads it. Where there is no DaemonSet, nothing can be told.
    pub(crate) async fn read(
        reader: &Reader,
        installation: &Installation,
        prefix: &Prefix,
        registry: &Registry,
        events: Events,
    ) -> Result<Self, Trouble> {
        let mut found = Self {
            installation: installation.clone(),
            prefix: prefix.clone(),
            registry: registry.clone(),
            demands: Vec::new(),
            pods: BTreeMap::new(),
            refused: BTreeMap::new(),
        };
        for namespace in installation.namespaces_of_runs() {
            found.read_namespace(reader, &namespace, events).await?;
        }
        if found.demands.is_empty() {
            return Err(Trouble::new(
                format!("no DaemonSet in the namespace `{installation}` is keyed on labels under `{prefix}`"),
                "is it installed with another --namespace or --prefix? `node-annotator manifests` prints what to apply",
            ));
        }
        Ok(found)
    }

    async fn read_namespace(
        &mut self,
        reader: &Reader,
        namespace: &str,
        events: Events,
    ) -> Result<(), Trouble> {
        let sets = match reader.list::<DaemonSet>(Some(namespace)).await {
            Ok(sets) => sets,
            // In a namespace that is not there nobody can be given a right.
            Err(_) if !exists(reader, namespace).await => return Ok(()),
            Err(trouble) => return Err(trouble),
        };
        let demands: Vec<_> = sets.iter().filter_map(|set| Demand::read(set, &self.prefix)).collect();
        if demands.is_empty() {
            return Ok(());
        }
        read_pods(reader, namespace, &mut self.pods).await?;
        if events == Events::Read {
            self.read_refusals(reader, namespace, &demands).await?;
        }
        self.demands.extend(demands);
        Ok(())
    }

    async fn read_refusals(
        &mut self,
        reader: &Reader,
        namespace: &str,
        demands: &[Demand],
    ) -> Result<(), Trouble> {
        let fields = format!("reason={FAILED_CREATE}");
        let query = Query { namespace: Some(namespace), fields: Some(&fields), ..Query::default() };
        let mut events = Vec::new();
        reader.visit::<K8sEvent, Event>(query, Form::Whole, |event| events.push(event)).await?;
        for demand in demands {
            if let Some((text, _)) =
                refusals(&events, Some(&demand.name)).iter().max_by_key(|(_, count)| **count)
            {
                self.refused.insert(demand.full_name(), (*text).to_owned());
            }
        }
        Ok(())
    }

    /// Reads again which pods are there.
    pub(crate) async fn refresh_pods(&mut self, reader: &Reader) -> Result<(), Trouble> {
        let mut pods = BTreeMap::new();
        for namespace in self.installation.namespaces_of_runs() {
            if self.demands.iter().any(|demand| demand.namespace == namespace) {
                read_pods(reader, &namespace, &mut pods).await?;
            }
        }
        self.pods = pods;
        Ok(())
    }

    /// Why a collector would not run again on a node, were its labels taken away now.
    pub(crate) fn hold(&self, node: &Node, collector: &str) -> Option<Hold> {
        let is_due = |demand: &Demand| demand.rules.values().any(|rule| rule.mark(node) == Mark::Due);
        let held = self.running(node.name(), collector);
        held.map(|demand| if is_due(demand) { Hold::Trying } else { Hold::Leaving })
            .max_by_key(|hold| *hold == Hold::Trying)
    }

    /// The DaemonSets that run a collector, and have a pod on a node that is running.
    pub(crate) fn running(&self, node: &str, collector: &str) -> impl Iterator<Item = &Demand> {
        let is_running = move |demand: &&Demand| {
            let pod = self.pods.get(&(node.to_owned(), demand.full_name()));
            demand.rules.contains_key(collector) && pod.is_some_and(|pod| pod.is_running)
        };
        self.demands.iter().filter(is_running)
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

async fn read_pods(
    reader: &Reader,
    namespace: &str,
    pods: &mut BTreeMap<(String, String), AtWork>,
) -> Result<(), Trouble> {
    let of_namespace = Query { namespace: Some(namespace), ..Query::default() };
    let take = |pod: Pod| {
        let (Some(node), Some(set)) = (pod.node(), pod.daemon_set()) else { return };
        let at_work = AtWork { trouble: pod.trouble(), is_running: pod.is_running() };
        pods.insert((node.to_owned(), format!("{namespace}/{set}")), at_work);
    };
    reader.visit::<K8sPod, Pod>(of_namespace, Form::Whole, take).await.map(drop)
}

/// Whether a namespace is there; it counts as that where nobody says that it is not.
async fn exists(reader: &Reader, namespace: &str) -> bool {
    let request = Request::new(Namespace::url_path(&(), None));
    let found = reader
        .ask::<PartialObjectMeta<Namespace>>(request.get_metadata(namespace, &GetParams::default()))
        .await;
    !found.is_err_and(|error| error.reason() == Reason::NotFound)
}
