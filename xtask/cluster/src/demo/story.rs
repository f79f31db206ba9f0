//! What happens in the cluster, a line each, in the order in which it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::stream::{BoxStream, select_all};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use node_annotator_core::{Prefix, PrivilegeClass};
use node_annotator_deploy::Installation;
use node_annotator_tests::Cluster;
use node_annotator_tests::kubelet::events::{Events, What};

use super::screen::Screen;

/// Something is wrong with this machine if a part of the demo takes longer.
const PATIENCE: Duration = Duration::from_mins(1);

/// The narrator. It remembers what it has told, so that each thing is told once.
pub(super) struct Story<'a> {
    screen: &'a Screen,
    changes: BoxStream<'a, watcher::Result<Change>>,
    prefix: Prefix,
    /// Pods that exist.
    pods: BTreeMap<String, Told>,
    /// Node and label of each done mark that was told.
    done: BTreeSet<(String, String)>,
    /// Pods that went and done marks that came in the part that is told now.
    gone: usize,
    marked: usize,
}

/// What was told of a pod.
#[derive(Debug, Default)]
struct Told {
    scheduled: bool,
    deleted: bool,
}

/// Something that changed.
enum Change {
    Pod(Box<watcher::Event<Pod>>),
    Node(Box<watcher::Event<Node>>),
    /// What a kubelet did to a pod's container.
    Container {
        pod: String,
        text: String,
    },
}

impl<'a> Story<'a> {
    /// A story that has not begun: nothing is watched before it is told.
    pub(super) fn new(cluster: &'a Cluster, screen: &'a Screen) -> Self {
        let namespace = Installation::default().namespace(PrivilegeClass::Restricted);
        let everything = watcher::Config::default;
        let pods = watcher(Api::namespaced(cluster.client(), &namespace), everything());
        let nodes = watcher(Api::all(cluster.client()), everything());
        let events = watcher(Api::<Event>::namespaced(cluster.client(), &namespace), everything());
        let changes = select_all([
            pods.default_backoff().map_ok(|event| Change::Pod(Box::new(event))).boxed(),
            nodes.default_backoff().map_ok(|event| Change::Node(Box::new(event))).boxed(),
            events
                .default_backoff()
                .try_filter_map(async |event| Ok(containers_on_real_nodes(event)))
                .boxed(),
            containers_on_simulated_nodes(cluster.events()).map(Ok).boxed(),
        ]);
        Self {
            screen,
            changes: changes.boxed(),
            prefix: Prefix::default(),
            pods: BTreeMap::new(),
            done: BTreeSet::new(),
            gone: 0,
            marked: 0,
        }
    }

    /// Tells what happens until this many pods have come and gone, each leaving a done mark.
    pub(super) async fn tell(&mut self, runs: usize) -> Result<()> {
        (self.gone, self.marked) = (0, 0);
        let telling = async {
            while self.gone < runs || self.marked < runs || !self.pods.is_empty() {
                let change = self.changes.next().await.context("nothing is watched any more")?;
                self.tell_change(change.context("cannot watch the cluster")?)?;
            }
            anyhow::Ok(())
        };
        let told = tokio::time::timeout(PATIENCE, telling).await;
        told.with_context(|| format!("waited {PATIENCE:?} for {runs} pods to run and to go away"))?
    }

    fn tell_change(&mut self, change: Change) -> Result<()> {
        match change {
            Change::Pod(event) => self.tell_pod(*event),
            Change::Node(event) => match *event {
                watcher::Event::Apply(node) | watcher::Event::InitApply(node) => self.tell_node(&node),
                _ => Ok(()),
            },
            // Events may come late.
            Change::Container { pod, .. } if !self.pods.contains_key(&pod) => Ok(()),
            Change::Container { pod, text } => self.screen.note(&format!("pod   {pod} {text}")),
        }
    }

    fn tell_pod(&mut self, event: watcher::Event<Pod>) -> Result<()> {
        match event {
            watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                let name = pod.name_any();
                let told = self.pods.entry(name.clone()).or_default();
                let node = pod.spec.and_then(|spec| spec.node_name);
                if let Some(node) = node.filter(|_| !told.scheduled) {
                    told.scheduled = true;
                    self.screen.note(&format!("pod   {name} was scheduled on {node}"))?;
                }
                if pod.metadata.deletion_timestamp.is_some() && !told.deleted {
                    told.deleted = true;
                    self.screen.note(&format!("pod   {name} was deleted by the DaemonSet controller"))?;
                }
                Ok(())
            }
            watcher::Event::Delete(pod) => {
                self.pods.remove(&pod.name_any());
                self.gone += 1;
                self.screen.note(&format!("pod   {} is gone", pod.name_any()))
            }
            watcher::Event::Init | watcher::Event::InitDone => Ok(()),
        }
    }

    fn tell_node(&mut self, node: &Node) -> Result<()> {
        let name = node.name_any();
        let start = self.prefix.key_start();
        let labels: BTreeSet<_> = node
            .labels()
            .keys()
            .filter(|key| key.starts_with(&start))
            .map(|key| (name.clone(), key.clone()))
            .collect();
        for mark in &labels {
            if self.done.insert(mark.clone()) {
                self.marked += 1;
                let facts = node.annotations().keys().filter(|key| belongs_to(key, &mark.1)).count();
                let value = node.annotations().get(&mark.1).map_or("not applicable", String::as_str);
                self.screen.note_facts(&format!("node  {name} has {} = {value} ({facts} facts)", mark.1))?;
            }
        }
        self.done.retain(|mark| mark.0 != name || labels.contains(mark));
        Ok(())
    }
}

/// Whether an annotation is a fact of the collector with this done label.
fn belongs_to(annotation: &str, label: &str) -> bool {
    annotation.strip_prefix(label).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What a real kubelet reports: each start, and whatever it warns of.
fn containers_on_real_nodes(event: watcher::Event<Event>) -> Option<Change> {
    let (watcher::Event::Apply(event) | watcher::Event::InitApply(event)) = event else { return None };
    let is_kubelets = event.source.is_some_and(|source| source.component.as_deref() == Some("kubelet"));
    let text = match event.reason.as_deref() {
        // It tells so when ours has long written the Node.
        Some("Started") => "was started, the kubelet reports".to_owned(),
        _ if event.type_.as_deref() == Some("Warning") => event.message.unwrap_or_default(),
        _ => return None,
    };
    is_kubelets.then(|| Change::Container { pod: event.involved_object.name.unwrap_or_default(), text })
}

/// The same of the simulated kubelet, which makes no objects of it.
fn containers_on_simulated_nodes(events: &Events) -> impl Stream<Item = Change> + '_ {
    let start = (events.subscribe(), 0);
    futures_util::stream::unfold(start, move |(mut changes, mut told)| async move {
        loop {
            if let Some(event) = events.since(told).first() {
                told += 1;
                let text = match &event.what {
                    What::Started { .. } => "was started".to_owned(),
                    What::NotStarted { error } => format!("cannot start: {error}"),
                    What::Exited { exit, message } if exit.code != 0 => {
                        format!("ended with exit code {}: {}", exit.code, message.trim_end())
                    }
                    _ => continue,
                };
                return Some((Change::Container { pod: event.pod.clone(), text }, (changes, told)));
            }
            changes.changed().await.ok()?;
        }
    })
}
