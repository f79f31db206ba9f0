//! A simulated kubelet for any number of nodes: one watch for all of them, and one task per pod.
//!
//! It does for a pod what a kubelet does as far as a run can tell: a pod-bound token that is renewed, the
//! Downward API, starting in order, restarting with back-off, status, SIGTERM, and deleting the pod object at
//! the end. Of volumes there are those of a pod alone (`emptyDir`), as folders. Not simulated: images, other
//! volumes, probes and resource limits.

mod container;
mod environment;
pub mod events;
mod in_process;
mod node;
mod pod;
mod process;
pub mod runtime;
mod status;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

pub use container::Backoff;
pub use in_process::InProcess;
pub use node::{BeforeStart, NodeSpec};
pub use process::Process;

use events::Events;
use node::SimulatedNode;
use runtime::{Runtime, Stop, Stopper};

/// How many requests are under way at once, however many nodes there are.
const CONCURRENT_REQUESTS: usize = 64;
const WATCH_RETRY: Duration = Duration::from_millis(200);
/// How long a container may take whose pod was deleted by force.
const FORCED_GRACE: Duration = Duration::from_secs(2);

/// Where the API server is, for the kubeconfig of each pod.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) certificate_authority: PathBuf,
}

/// The kubelet of all simulated nodes. Their containers are killed when it is dropped.
#[derive(Debug)]
pub struct Kubelet {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    client: Client,
    requests: Semaphore,
    server: Server,
    folder: PathBuf,
    runtime: Arc<dyn Runtime>,
    backoff: Backoff,
    events: Events,
    nodes: Mutex<HashMap<String, Arc<SimulatedNode>>>,
    addresses: AtomicU32,
    /// By the pod's uid.
    pods: Mutex<HashMap<String, PodHandle>>,
    /// By the pod's uid and the container's name.
    running: Mutex<HashMap<(String, String), (String, Stopper)>>,
}

/// A pod that the watch has shown and whose end it has not: news of it may come after its task ended, and
/// start no other.
#[derive(Debug)]
struct PodHandle {
    node: String,
    wish: watch::Sender<Wish>,
    task_ended: bool,
    end_seen: bool,
}

/// What is wanted of a pod.
#[derive(Clone, Copy, Debug)]
struct Wish {
    /// To end, within this time.
    stop: Option<Duration>,
    /// Whether there still is an object to write a status to.
    object_exists: bool,
}

impl Kubelet {
    /// Starts to watch pods, in a task of the current runtime.
    pub(crate) fn start(
        client: Client,
        server: Server,
        folder: PathBuf,
        runtime: Arc<dyn Runtime>,
        backoff: Backoff,
    ) -> Self {
        let shared = Arc::new(Shared {
            client,
            requests: Semaphore::new(CONCURRENT_REQUESTS),
            server,
            folder,
            runtime,
            backoff,
            events: Events::default(),
            nodes: Mutex::default(),
            addresses: AtomicU32::new(1),
            pods: Mutex::default(),
            running: Mutex::default(),
        });
        let task = tokio::spawn(shared.clone().watch_pods());
        Self { shared, task }
    }

    /// What happened to containers.
    pub fn events(&self) -> &Events {
        &self.shared.events
    }

    /// Sends SIGKILL to the containers that run on a node, as the kernel does when memory is short; returns
    /// their number.
    pub fn kill_containers(&self, node: &str) -> usize {
        let running = locked(&self.shared.running);
        let stoppers: Vec<_> = running.values().filter(|(its_node, _)| its_node == node).collect();
        for (_, stopper) in &stoppers {
            stopper(Stop::Kill);
        }
        stoppers.len()
    }

    /// The folder with what a container wrote: `<restart>.stdout`, `<restart>.stderr`,
    /// `<restart>.termination-message`.
    pub fn container_folder(&self, pod_uid: &str, container: &str) -> PathBuf {
        self.shared.folder.join(pod_uid).join(container)
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        // The tasks of the pods end with it, and their containers with them.
        self.task.abort();
    }
}

impl Shared {
    async fn watch_pods(self: Arc<Self>) {
        let config = watcher::Config::default().fields("spec.nodeName!=");
        let mut changes = watcher::watcher(Api::<Pod>::all(self.client.clone()), config).boxed();
        let mut tasks = JoinSet::new();
        let mut listed = HashSet::new();
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    Some(Ok(watcher::Event::Apply(pod))) => self.see(&mut tasks, pod),
                    Some(Ok(watcher::Event::Delete(pod))) => self.forget(&pod.uid().unwrap_or_default()),
                    Some(Ok(watcher::Event::Init)) => listed.clear(),
                    Some(Ok(watcher::Event::InitApply(pod))) => {
                        listed.extend(pod.uid());
                        self.see(&mut tasks, pod);
                    }
                    Some(Ok(watcher::Event::InitDone)) => {
                        let known: Vec<_> = locked(&self.pods).keys().cloned().collect();
                        known.iter().filter(|uid| !listed.contains(*uid)).for_each(|uid| self.forget(uid));
                    }
                    Some(Err(error)) => {
                        tracing::debug!("cannot watch pods: {error}");
                        tokio::time::sleep(WATCH_RETRY).await;
                    }
                    None => return,
                },
                Some(ended) = tasks.join_next() => match ended {
                    Ok(uid) => self.update(&uid, |pod| pod.task_ended = true),
                    Err(error) => tracing::error!("the simulation of a pod failed: {error}"),
                },
            }
        }
    }

    /// A pod that is bound to a node: ours or somebody else's, new or known.
    fn see(self: &Arc<Self>, tasks: &mut JoinSet<String>, pod: Pod) {
        let Some(uid) = pod.uid() else { return };
        let spec = pod.spec.as_ref();
        let stop = pod.metadata.deletion_timestamp.as_ref().map(|_| {
            let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
            Duration::from_secs(seconds.try_into().unwrap_or(0))
        });
        let wish = Wish { stop, object_exists: true };
        let mut pods = locked(&self.pods);
        if let Some(known) = pods.get(&uid) {
            known.wish.send_if_modified(|old| {
                // A removed node's pods are gone, whatever news of them is still under way.
                let differs = old.object_exists && old.stop != wish.stop;
                let wish = if old.object_exists { wish } else { *old };
                *old = wish;
                differs
            });
            return;
        }
        let name = spec.and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        let Some(node) = locked(&self.nodes).get(name).cloned() else { return };
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        if matches!(phase, Some("Succeeded" | "Failed")) && stop.is_none() {
            return;
        }
        let (sender, receiver) = watch::channel(wish);
        pods.insert(
            uid.clone(),
            PodHandle { node: name.to_owned(), wish: sender, task_ended: false, end_seen: false },
        );
        let shared = self.clone();
        tasks.spawn(async move {
            pod::run(shared, node, Arc::new(pod), receiver).await;
            uid
        });
    }

    /// A pod whose object is gone: deleted by force, or on a removed node.
    fn forget(&self, uid: &str) {
        self.update(uid, |pod| {
            pod.end_seen = true;
            pod.wish.send_modify(|wish| {
                wish.object_exists = false;
                wish.stop.get_or_insert(FORCED_GRACE);
            });
        });
    }

    fn update(&self, uid: &str, change: impl FnOnce(&mut PodHandle)) {
        let mut pods = locked(&self.pods);
        let Some(pod) = pods.get_mut(uid) else { return };
        change(pod);
        if pod.task_ended && pod.end_seen {
            pods.remove(uid);
        }
    }

    fn next_address(&self, network: [u8; 2]) -> String {
        let [_, _, high, low] = self.addresses.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        format!("{}.{}.{high}.{low}", network[0], network[1])
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("folder", &self.folder).finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
