//! A real control plane on loopback: etcd, API server, controller manager and scheduler.

pub(crate) mod component;
mod files;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use rustix::process::Signal;

use crate::binaries::{Binaries, Tool};
use crate::guardian::Guardian;
use crate::ports::Port;
use crate::wait;

use component::Component;
pub(crate) use files::kubeconfig;
use files::{Files, User};

const ATTEMPTS: u32 = 4;
const START_DEADLINE: Duration = Duration::from_mins(2);

/// What may differ between control planes.
#[derive(Clone, Debug, Default)]
pub struct ControlPlaneOptions {
    /// Minor version such as `1.36`; the environment's or the newest by default.
    pub kubernetes: Option<String>,
    /// Further arguments for the API server.
    pub api_server_args: Vec<String>,
    /// Further arguments for the controller manager.
    pub controller_manager_args: Vec<String>,
}

/// A running control plane. Ends when dropped.
pub struct ControlPlane {
    // Clients first, the store last.
    _scheduler: Component,
    controller_manager: Component,
    api_server: Mutex<Option<Component>>,
    _etcd: Component,
    launch: Launch,
    client: Client,
}

/// All that is needed to start the servers, and the API server once more.
#[derive(Debug)]
struct Launch {
    binaries: Binaries,
    files: Files,
    options: ControlPlaneOptions,
    group: i32,
    etcd_port: Port,
    api_port: Port,
}

impl ControlPlane {
    /// Starts all servers in the guardian's folder and group, and returns when they serve.
    pub async fn start(
        guardian: &Guardian,
        binaries: Binaries,
        options: ControlPlaneOptions,
    ) -> Result<Self> {
        for attempt in 1.. {
            let folder = guardian.folder().join(format!("control-plane-{attempt}"));
            let launch = Launch {
                binaries: binaries.clone(),
                files: Files::write(&folder)?,
                options: options.clone(),
                group: guardian.group(),
                etcd_port: Port::reserve()?,
                api_port: Port::reserve()?,
            };
            match launch.start().await {
                Err(error)
                    if attempt < ATTEMPTS && format!("{error:#}").contains("address already in use") =>
                {
                    tracing::info!("a port was taken by somebody else, trying others");
                }
                result => return result,
            }
        }
        unreachable!("the last attempt returns")
    }

    /// A client with an administrator's rights.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A client with an administrator's rights that the audit log shows as the kubelet's.
    pub(crate) async fn kubelet_client(&self) -> Result<Client> {
        connect(&self.launch.files.kubeconfig(User::Kubelet)).await
    }

    /// A client of whoever has this token.
    pub async fn client_with_token(&self, token: &str) -> Result<Client> {
        let authority = self.launch.files.certificate_authority();
        let text = kubeconfig(&self.server(), &authority, &serde_json::json!({ "token": token }));
        client(Kubeconfig::from_yaml(&text).map_err(|error| anyhow!(error))?).await
    }

    /// A client of an administrator who acts as somebody else, in these groups and no other.
    pub async fn client_as(&self, user: &str, groups: &[&str]) -> Result<Client> {
        let mut read = Kubeconfig::read_from(self.kubeconfig()).map_err(|error| anyhow!(error))?;
        for entry in &mut read.auth_infos {
            if let Some(info) = &mut entry.auth_info {
                info.impersonate = Some(user.to_owned());
                info.impersonate_groups = Some(groups.iter().map(|group| (*group).to_owned()).collect());
            }
        }
        client(read).await
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.launch.files.kubeconfig(User::Admin)
    }

    /// `https://127.0.0.1:<port>`.
    pub fn server(&self) -> String {
        self.launch.server()
    }

    /// The certificate by which the server is verified.
    pub fn certificate_authority(&self) -> PathBuf {
        self.launch.files.certificate_authority()
    }

    /// The API server's audit log, one JSON object a line.
    pub fn audit_log(&self) -> PathBuf {
        self.launch.files.audit_log()
    }

    /// Takes the API server away as a crash does. Does nothing when it is away.
    pub fn stop_api_server(&self) {
        drop(self.api_server().take());
    }

    /// Starts the API server again, on the same port, and returns when it serves.
    pub async fn start_api_server(&self) -> Result<()> {
        if self.api_server().is_none() {
            let mut api_server = self.launch.api_server()?;
            self.launch.wait_until_ready(&mut api_server).await?;
            *self.api_server() = Some(api_server);
        }
        Ok(())
    }

    /// Stops all controllers where they are, until [`Self::resume_controllers`].
    pub fn pause_controllers(&self) -> Result<()> {
        self.controller_manager.signal(Signal::STOP)
    }

    /// Lets the controllers go on.
    pub fn resume_controllers(&self) -> Result<()> {
        self.controller_manager.signal(Signal::CONT)
    }

    fn api_server(&self) -> MutexGuard<'_, Option<Component>> {
        self.api_server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Launch {
    async fn start(self) -> Result<ControlPlane> {
        let mut etcd = self.etcd()?;
        etcd.wait_for_port(self.etcd_port.number(), START_DEADLINE).await?;
        let mut api_server = self.api_server()?;
        let client = self.wait_until_ready(&mut api_server).await?;
        let mut controller_manager = self.controller_manager()?;
        let mut scheduler = self.scheduler()?;

        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
        let found = wait::until_within(START_DEADLINE, "the default service account", async || {
            if let Some(failure) = controller_manager.failure().or_else(|| scheduler.failure()) {
                return Ok(Err(failure));
            }
            accounts.get("default").await.map(|_| Ok(()))
        });
        found.await.with_context(|| controller_manager.log_tail())??;
        Ok(ControlPlane {
            _scheduler: scheduler,
            controller_manager,
            api_server: Mutex::new(Some(api_server)),
            _etcd: etcd,
            launch: self,
            client,
        })
    }

    fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port.number())
    }

    /// Returns the administrator's client, since the kubeconfigs can be written no earlier: the server makes
    /// its certificate.
    async fn wait_until_ready(&self, api_server: &mut Component) -> Result<Client> {
        api_server.wait_for_port(self.api_port.number(), START_DEADLINE).await?;
        self.files.write_kubeconfigs(&self.server())?;
        let client = connect(&self.files.kubeconfig(User::Admin)).await?;
        let ready = wait::until_within(START_DEADLINE, "the API server to be ready", async || {
            if let Some(failure) = api_server.failure() {
                return Ok(Err(failure));
            }
            let request = http::Request::get("/readyz").body(Vec::new()).map_err(anyhow::Error::from)?;
            client.request_text(request).await.map(|_| Ok(())).map_err(anyhow::Error::from)
        });
        ready.await.with_context(|| api_server.log_tail())??;
        Ok(client)
    }

    fn etcd(&self) -> Result<Component> {
        let client = format!("http://127.0.0.1:{}", self.etcd_port.number());
        // The only member talks to no peer: any port will do.
        let peer = "http://127.0.0.1:0";
        let args = [
            format!("--data-dir={}", self.files.path("etcd").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        self.component(Tool::Etcd, args)
    }

    fn api_server(&self) -> Result<Component> {
        let file = |name: &str| self.files.path(name).display().to_string();
        let mut args = vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port.number()),
            format!("--secure-port={}", self.api_port.number()),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            // Loopback is refused as an endpoint of the service `kubernetes`, which nothing here needs.
            "--endpoint-reconciler-type=none".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            format!("--cert-dir={}", file(files::CERTIFICATES)),
            format!("--service-account-key-file={}", file(files::ACCOUNT_PUBLIC_KEY)),
            format!("--service-account-signing-key-file={}", file(files::ACCOUNT_KEY)),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--token-auth-file={}", file(files::TOKENS)),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--allow-privileged=true".to_owned(),
            format!("--audit-policy-file={}", file(files::AUDIT_POLICY)),
            format!("--audit-log-path={}", self.files.audit_log().display()),
            // In MB: it is never rotated, since it is read from its beginning.
            "--audit-log-maxsize=100000".to_owned(),
        ];
        args.extend_from_slice(&self.options.api_server_args);
        self.component(Tool::ApiServer, args)
    }

    fn controller_manager(&self) -> Result<Component> {
        let mut args = vec![
            format!("--kubeconfig={}", self.files.kubeconfig(User::ControllerManager).display()),
            format!("--service-account-private-key-file={}", self.files.path(files::ACCOUNT_KEY).display()),
            format!("--root-ca-file={}", self.files.certificate_authority().display()),
            "--leader-elect=false".to_owned(),
            // Serves nothing: there is no port to be taken.
            "--secure-port=0".to_owned(),
            // Simulated nodes send no heartbeats: with the usual 50 s they would all be tainted as
            // unreachable.
            "--node-monitor-grace-period=24h".to_owned(),
            // 20 and 30 by default, at which pods for a thousand nodes come slowly.
            "--kube-api-qps=300".to_owned(),
            "--kube-api-burst=300".to_owned(),
        ];
        args.extend_from_slice(&self.options.controller_manager_args);
        self.component(Tool::ControllerManager, args)
    }

    fn scheduler(&self) -> Result<Component> {
        let args = [
            format!("--kubeconfig={}", self.files.kubeconfig(User::Scheduler).display()),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
            "--kube-api-qps=300".to_owned(),
            "--kube-api-burst=300".to_owned(),
        ];
        self.component(Tool::Scheduler, args)
    }

    fn component(&self, tool: Tool, args: impl IntoIterator<Item = String>) -> Result<Component> {
        let log = self.files.path(&format!("{}.log", tool.name()));
        Component::start(tool.name(), &self.binaries.path(tool), args, self.group, log)
    }
}

async fn connect(kubeconfig: &Path) -> Result<Client> {
    let read = Kubeconfig::read_from(kubeconfig).map_err(|error| anyhow!(error));
    client(read.with_context(|| format!("cannot read `{}`", kubeconfig.display()))?)
        .await
        .with_context(|| format!("unusable kubeconfig: `{}`", kubeconfig.display()))
}

async fn client(kubeconfig: Kubeconfig) -> Result<Client> {
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| anyhow!(error))?;
    // A proxy in the environment must not see loopback, whatever it excludes.
    config.proxy_url = None;
    Client::try_from(config).context("cannot make a client")
}
