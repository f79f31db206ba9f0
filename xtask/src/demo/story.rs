//! What happens in the cluster, a line each, in the order in which it happens.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::stream::{BoxStream, select_all};
use futures_util::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use node_annotator_core::{Prefix, PrivilegeClass};
use node_annotator_deploy::Installation;
use node_annotator_tests::Cluster;
use node_annotator_tests::kubelet::events::{Events, What};

/// Something is wrong with this machine if a part of the demo takes longer.
const PATIENCE: Duration = Duration::from_mins(1);

/// The seconds since the demo began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Tells something, with its time.
    pub(super) fn note(self, text: &str) {
        println!("{:>6.1} s  {text}", self.0.elapsed().as_secs_f64());
    }
}

/// The narrator. It remembers what it has told, so that each thing is told once.
pub(super) struct Story<'a> {
    clock: Clock,
    changes: BoxStream<'a, watcher::Result<Change>>,
    prefix: Prefix,
    /// Pods that exist.
    pods: BTreeSet<String>,
    /// Node and label of each done mark that was told.
    done: BTreeSet<(String, String)>,
    /// Pods that went and done marks that came in the part that is told now.
    gone: usize,
    marked: usize,
}

/// Something that changed.
enum Change {
    Pod(Box<watcher::Event<Pod>>),
    Node(Box<watcher::Event<Node>>),
    Container(String),
}

impl<'a> Story<'a> {
    /// A story that has not begun: nothing is watched before it is told.
    pub(super) fn new(cluster: &'a Cluster, clock: Clock) -> Self {
        let namespace = Installation::default().namespace(PrivilegeClass::Restricted);
        let pods = watcher(Api::namespaced(cluster.client(), &namespace), watcher::Config::default());
        let nodes = watcher(Api::all(cluster.client()), watcher::Config::default());
        let changes = select_all([
            pods.default_backoff().map_ok(|event| Change::Pod(Box::new(event))).boxed(),
            nodes.default_backoff().map_ok(|event| Change::Node(Box::new(event))).boxed(),
            containers(cluster.events()).map(Ok).boxed(),
        ]);
        Self {
            clock,
            changes: changes.boxed(),
            prefix: Prefix::default(),
            pods: BTreeSet::new(),
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
                self.tell_change(change.context("cannot watch the cluster")?);
            }
            anyhow::Ok(())
        };
        let told = tokio::time::timeout(PATIENCE, telling).await;
        told.with_context(|| format!("waited {PATIENCE:?} for {runs} pods to run and to go away"))?
    }

    fn tell_change(&mut self, change: Change) {
        match change {
            Change::Pod(event) => self.tell_pod(*event),
            Change::Node(event) => {
                if let watcher::Event::Apply(node) | watcher::Event::InitApply(node) = *event {
                    self.tell_node(&node);
                }
            }
            Change::Container(text) => self.clock.note(&text),
        }
    }

    fn tell_pod(&mut self, event: watcher::Event<Pod>) {
        match event {
            watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                let name = pod.name_any();
                if self.pods.insert(name.clone()) {
                    self.clock.note(&format!("pod   {name} created by the DaemonSet controller"));
                }
            }
            watcher::Event::Delete(pod) => {
                self.pods.remove(&pod.name_any());
                self.gone += 1;
                self.clock.note(&format!("pod   {} is gone", pod.name_any()));
            }
            watcher::Event::Init | watcher::Event::InitDone => {}
        }
    }

    fn tell_node(&mut self, node: &Node) {
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
                self.clock.note(&format!("node  {name} has {} = {value} ({facts} facts)", mark.1));
            }
        }
        self.done.retain(|mark| mark.0 != name || labels.contains(mark));
    }
}

/// Whether an annotation is a fact of the collector with this done label.
fn belongs_to(annotation: &str, label: &str) -> bool {
    annotation.strip_prefix(label).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What happens to the containers, in words.
fn containers(events: &Events) -> impl futures_util::Stream<Item = Change> + '_ {
    let start = (events.subscribe(), 0);
    futures_util::stream::unfold(start, move |(mut changes, mut told)| async move {
        loop {
            if let Some(event) = events.since(told).first() {
                told += 1;
                let what = match &event.what {
                    What::Started { restart: 0, .. } => "starts node-annotator".to_owned(),
                    What::Terminating => "is asked to end (SIGTERM)".to_owned(),
                    What::Exited { exit, .. } => format!("ended with exit code {}", exit.code),
                    What::Removed => continue,
                    other => format!("{other:?}"),
                };
                return Some((Change::Container(format!("pod   {} {what}", event.pod)), (changes, told)));
            }
            changes.changed().await.ok()?;
        }
    })
}
