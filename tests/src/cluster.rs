//! The one thing that tests, demo and bench ask for: a cluster that is there, and gone afterwards.

mod objects;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use kube::Client;

use crate::audit::{AuditLog, Request};
use crate::binaries::{Binaries, Tool};
use crate::control_plane::{ControlPlane, ControlPlaneOptions};
use crate::guardian::{Guardian, KEEP_VARIABLE};
use crate::kubelet::events::Events;
use crate::kubelet::runtime::Runtime;
use crate::kubelet::{Backoff, Kubelet, NodeSpec, Process, Server};
use crate::ports::random;
use crate::wait;

/// What may differ between clusters.
#[derive(Clone, Debug)]
pub struct Options {
    /// The servers.
    pub control_plane: ControlPlaneOptions,
    /// The pauses before a container is restarted.
    pub backoff: Backoff,
    /// What a container without a command runs; the binary under test by default.
    pub entrypoint: Option<PathBuf>,
    /// How containers are run; as processes by default.
    pub runtime: Option<Arc<dyn Runtime>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            control_plane: ControlPlaneOptions::default(),
            backoff: Backoff::QUICK,
            entrypoint: None,
            runtime: None,
        }
    }
}

/// A control plane with nodes. Everything that belongs to it ends when it is dropped, and when this process
/// ends.
pub struct Cluster {
    // In the order in which they have to go.
    kubelet: Kubelet,
    control_plane: ControlPlane,
    audit: AuditLog,
    guardian: Guardian,
}

impl Cluster {
    /// Starts one without nodes; builds the servers when they have never been built.
    pub async fn start(options: Options) -> Result<Self> {
        Self::start_in(Guardian::start()?, options).await
    }

    /// As [`Cluster::start`], with files that were put into the guardian's folder before.
    pub async fn start_in(guardian: Guardian, options: Options) -> Result<Self> {
        let minor = options.control_plane.kubernetes.clone();
        let obtain = move || Binaries::obtain(minor.as_deref(), &Tool::CONTROL_PLANE);
        let binaries = tokio::task::spawn_blocking(obtain).await.context("the build panicked")??;
        let control_plane = ControlPlane::start(&guardian, binaries, options.control_plane).await?;
        let server = Server {
            address: control_plane.server(),
            certificate_authority: control_plane.certificate_authority(),
        };
        let runtime =
            options.runtime.unwrap_or_else(|| Arc::new(Process::new(guardian.group(), options.entrypoint)));
        let folder = guardian.folder().join("pods");
        let client = control_plane.kubelet_client().await?;
        let kubelet = Kubelet::start(client, server, folder, runtime, options.backoff);
        let audit = AuditLog::new(control_plane.audit_log());
        Ok(Self { kubelet, control_plane, audit, guardian })
    }

    /// A client with an administrator's rights.
    pub fn client(&self) -> Client {
        self.control_plane.client().clone()
    }

    /// A client of whoever has this token.
    pub async fn client_with_token(&self, token: &str) -> Result<Client> {
        self.control_plane.client_with_token(token).await
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.control_plane.kubeconfig()
    }

    /// The folder for everything that belongs to it; a test may put its files there as well.
    pub fn folder(&self) -> &Path {
        self.guardian.folder()
    }

    /// The process group of all its processes.
    pub fn process_group(&self) -> i32 {
        self.guardian.group()
    }

    /// The servers.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The kubelet of the simulated nodes.
    pub fn kubelet(&self) -> &Kubelet {
        &self.kubelet
    }

    /// What happened to containers on simulated nodes.
    pub fn events(&self) -> &Events {
        self.kubelet.events()
    }

    /// Adds a simulated node, ready from the start.
    pub async fn add_node(&self, spec: NodeSpec) -> Result<Node> {
        self.kubelet.add_node(spec).await
    }

    /// Adds many at once; stops at the first that fails.
    pub async fn add_nodes(&self, specs: impl IntoIterator<Item = NodeSpec>) -> Result<()> {
        let additions = specs.into_iter().map(|spec| self.kubelet.add_node(spec));
        // The kubelet bounds what is under way.
        futures_util::future::try_join_all(additions).await.map(drop)
    }

    /// Takes a node away, with all that runs on it.
    pub async fn delete_node(&self, name: &str) -> Result<()> {
        self.kubelet.delete_node(name).await
    }

    /// Takes the API server away as a crash does.
    pub fn stop_api_server(&self) {
        self.control_plane.stop_api_server();
    }

    /// Brings the API server back where it was, and returns when it serves.
    pub async fn start_api_server(&self) -> Result<()> {
        self.control_plane.start_api_server().await
    }

    /// The API server's audit log, as far as it is written.
    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// All requests until now that `filter` picks, told by the API server.
    ///
    /// The server logs a request after it was answered: this makes one of its own, and waits until that is in
    /// the log.
    pub async fn requests(&self, filter: impl FnMut(&Request) -> bool) -> Result<Vec<Request>> {
        let marker = format!("/version?marker={:016x}", random());
        let request = http::Request::get(&marker).body(Vec::new()).context("cannot build a request")?;
        self.control_plane.client().request_text(request).await.context("cannot mark the audit log")?;
        wait::until("the audit log to catch up", async || {
            let found = self.audit.requests(|request| request.uri == marker)?;
            if found.is_empty() { Err(anyhow::anyhow!("no marker in it")) } else { Ok(()) }
        })
        .await?;
        self.audit.requests(filter)
    }

    /// All requests of the product under test until now.
    pub async fn annotator_requests(&self) -> Result<Vec<Request>> {
        self.requests(Request::is_annotators).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a test failed; {}\nhint: {KEEP_VARIABLE}=1 keeps all logs", self.events().tail());
        }
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("folder", &self.folder()).finish_non_exhaustive()
    }
}
