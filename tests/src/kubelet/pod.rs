//! One pod from its binding to the deletion of its object: token, containers, status, end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Container, Pod, ServiceAccount};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::container::{Role, Supervised, stop_asked};
use super::environment::Addresses;
use super::events::{Event, What};
use super::node::SimulatedNode;
use super::status::{self, State};
use super::{Shared, Wish};
use crate::control_plane::kubeconfig;

/// Where a pod expects its token: the mount tells whether it wants one.
const TOKEN_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// What a token lives for that nobody asked a time for.
const DEFAULT_TOKEN_SECONDS: u64 = 3600;
const RETRY: Duration = Duration::from_millis(250);

/// A pod, while it is simulated.
struct Simulated {
    shared: Arc<Shared>,
    node: Arc<SimulatedNode>,
    pod: Arc<Pod>,
    uid: String,
    addresses: Addresses,
    started: Timestamp,
    wish: watch::Receiver<Wish>,
}

/// What has to be written in the end, however long it takes.
enum Write {
    LastStatus(Vec<State>),
    Deletion,
}

/// Returns when nothing is left to be done for the pod.
pub(super) async fn run(
    shared: Arc<Shared>,
    node: Arc<SimulatedNode>,
    pod: Arc<Pod>,
    wish: watch::Receiver<Wish>,
) {
    let host = node.address.clone();
    let in_host_network = pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true);
    let address = if in_host_network { host.clone() } else { shared.next_address([10, 128]) };
    let addresses = Addresses { host, pod: address };
    let uid = pod.uid().unwrap_or_default();
    let simulated = Simulated { shared, node, pod, uid, addresses, started: Timestamp::now(), wish };
    simulated.run().await;
}

impl Simulated {
    async fn run(mut self) {
        let mut wish = self.wish.clone();
        let kubeconfig = tokio::select! {
            kubeconfig = self.prepare() => Some(kubeconfig),
            () = stop_asked(&mut wish) => None,
        };
        let containers = self.containers();
        let states = containers.iter().map(|(role, container)| {
            let image = container.image.as_deref().unwrap_or_default();
            State::new(&container.name, image, *role != Role::Main)
        });
        let states = watch::Sender::new(states.collect::<Vec<_>>());
        if let Some(kubeconfig) = kubeconfig {
            tokio::select! {
                () = self.run_containers(containers, kubeconfig, &states) => {}
                // Neither ends first.
                () = self.report(states.subscribe()) => {}
                () = self.renew_token() => {}
            }
            let states = states.borrow().clone();
            self.persist(Write::LastStatus(states)).await;
        }
        // A pod that ended by itself stays until somebody deletes it.
        stop_asked(&mut self.wish).await;
        self.persist(Write::Deletion).await;
        self.record_removal();
    }

    /// In the order in which they start.
    fn containers(&self) -> Vec<(Role, Container)> {
        let spec = self.pod.spec.as_ref();
        let init = spec.iter().flat_map(|spec| spec.init_containers.iter().flatten()).map(|container| {
            let is_sidecar = container.restart_policy.as_deref() == Some("Always");
            (if is_sidecar { Role::Sidecar } else { Role::Init }, container.clone())
        });
        let main = spec.iter().flat_map(|spec| &spec.containers).map(|it| (Role::Main, it.clone()));
        init.chain(main).collect()
    }

    /// Returns when none of them will be started again.
    async fn run_containers(
        &self,
        containers: Vec<(Role, Container)>,
        kubeconfig: Option<PathBuf>,
        states: &watch::Sender<Vec<State>>,
    ) {
        let mut tasks = JoinSet::new();
        for (index, (role, container)) in containers.into_iter().enumerate() {
            let has_token = container.volume_mounts.iter().flatten().any(|it| it.mount_path == TOKEN_MOUNT);
            let supervised = Supervised {
                shared: self.shared.clone(),
                node: self.node.clone(),
                pod: self.pod.clone(),
                container,
                role,
                index,
                addresses: self.addresses.clone(),
                kubeconfig: kubeconfig.clone().filter(|_| has_token),
                states: states.clone(),
                wish: self.wish.clone(),
            };
            match role {
                Role::Init => supervised.run().await,
                Role::Main => drop(tasks.spawn(supervised.run())),
                Role::Sidecar => {
                    tasks.spawn(supervised.run());
                    let mut shown = states.subscribe();
                    let mut wish = self.wish.clone();
                    tokio::select! {
                        _ = shown.wait_for(|states| states[index].has_started()) => {}
                        () = stop_asked(&mut wish) => {}
                    }
                }
            }
            if self.wish.borrow().stop.is_some() {
                break;
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Fetches a token and writes a kubeconfig around it, as often as it takes; `None` when the pod wants no
    /// token.
    async fn prepare(&self) -> Option<PathBuf> {
        let spec = self.pod.spec.as_ref()?;
        let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
        let mut mounts = containers.flat_map(|container| container.volume_mounts.iter().flatten());
        if !mounts.any(|mount| mount.mount_path == TOKEN_MOUNT) {
            return None;
        }
        loop {
            match self.fetch_token().await {
                Ok(path) => return Some(path),
                Err(error) => tracing::debug!("no token for pod {}: {error:#}", self.pod.name_any()),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Writes a new token when four fifths of the old one's time are over, as a kubelet does.
    async fn renew_token(&self) {
        let lifetime = self.token_seconds().and_then(|seconds| u64::try_from(seconds).ok());
        let lifetime = Duration::from_secs(lifetime.unwrap_or(DEFAULT_TOKEN_SECONDS));
        loop {
            tokio::time::sleep(lifetime * 4 / 5).await;
            self.prepare().await;
        }
    }

    async fn fetch_token(&self) -> Result<PathBuf> {
        let namespace = self.pod.namespace().unwrap_or_default();
        let account = self.pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
        let bound = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: self.pod.metadata.name.clone(),
            uid: Some(self.uid.clone()),
        };
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: Vec::new(),
                bound_object_ref: Some(bound),
                expiration_seconds: self.token_seconds(),
            },
            ..TokenRequest::default()
        };
        let answer = {
            let _permit = self.shared.requests.acquire().await;
            let accounts: Api<ServiceAccount> = Api::namespaced(self.shared.client.clone(), &namespace);
            let account = account.as_deref().unwrap_or("default");
            accounts.create_token_request(account, &PostParams::default(), &request).await?
        };
        let token = answer.status.context("no token in the answer")?.token;
        let folder = self.shared.folder.join(&self.uid);
        write_kubeconfig(&folder, &self.shared, &token)
    }

    /// As long as the volume asks for that was made for the token.
    fn token_seconds(&self) -> Option<i64> {
        let volumes = self.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let mut sources =
            volumes.flat_map(|volume| volume.projected.iter()).flat_map(|it| it.sources.iter().flatten());
        sources.find_map(|source| source.service_account_token.as_ref()?.expiration_seconds)
    }

    /// Writes the status at each change. What changes while a write is under way is written together.
    async fn report(&self, mut states: watch::Receiver<Vec<State>>) {
        states.mark_changed();
        while states.changed().await.is_ok() {
            let shown = states.borrow_and_update().clone();
            if let Err(error) = self.write_status(&shown, false).await {
                tracing::debug!("no status for pod {}: {error}", self.pod.name_any());
                if !is_final(&error) {
                    tokio::time::sleep(RETRY).await;
                    states.mark_changed();
                }
            }
        }
        std::future::pending::<()>().await;
    }

    async fn write_status(&self, states: &[State], ended: bool) -> kube::Result<()> {
        let patch = status::patch(&self.uid, &self.addresses, self.started, states, ended);
        let _permit = self.shared.requests.acquire().await;
        let patch = Patch::Strategic(patch);
        self.pods().patch_status(&self.pod.name_any(), &PatchParams::default(), &patch).await.map(drop)
    }

    async fn delete(&self) -> kube::Result<()> {
        let preconditions = Preconditions { uid: Some(self.uid.clone()), resource_version: None };
        let parameters = DeleteParams::default().grace_period(0).preconditions(preconditions);
        let _permit = self.shared.requests.acquire().await;
        self.pods().delete(&self.pod.name_any(), &parameters).await.map(drop)
    }

    /// Repeats a write until it succeeds or cannot succeed any more; does nothing when there is no object.
    async fn persist(&self, write: Write) {
        while self.wish.borrow().object_exists {
            let result = match &write {
                Write::LastStatus(states) => self.write_status(states, true).await,
                Write::Deletion => self.delete().await,
            };
            match result {
                Err(error) if !is_final(&error) => tokio::time::sleep(RETRY).await,
                _ => return,
            }
        }
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.shared.client.clone(), &self.pod.namespace().unwrap_or_default())
    }

    fn record_removal(&self) {
        self.shared.events.record(Event {
            at: Timestamp::now(),
            node: self.node.name.clone(),
            namespace: self.pod.namespace().unwrap_or_default(),
            pod: self.pod.name_any(),
            pod_uid: self.uid.clone(),
            container: String::new(),
            what: What::Removed,
        });
    }
}

/// Gone (404), or another object by now (409).
fn is_final(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 404 | 409))
}

fn write_kubeconfig(folder: &Path, shared: &Shared, token: &str) -> Result<PathBuf> {
    let (token_file, path) = (folder.join("token"), folder.join("kubeconfig"));
    let user = json!({ "tokenFile": token_file });
    let text = kubeconfig(&shared.server.address, &shared.server.certificate_authority, &user);
    fs::create_dir_all(folder).context("cannot create the pod's folder")?;
    // In one step: a run may be reading the token before.
    let fresh = folder.join("token.new");
    fs::write(&fresh, token)
        .and_then(|()| fs::rename(&fresh, &token_file))
        .context("cannot write the pod's token")?;
    fs::write(&path, text).context("cannot write the pod's kubeconfig")?;
    Ok(path)
}
