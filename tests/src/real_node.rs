//! Real nodes: kubelet, containerd and runc, each in private namespaces, on the control plane of a
//! [`Cluster`].
//!
//! The servers stay on the machine's loopback, where they always are. A node has its own mounts, network,
//! processes, host name and cgroups. Its network has no way out but those that this process holds open: from
//! `10.96.0.1:443` on the node to the API server, and from the API server to kubelets and pods. The machine's
//! settings can only be read in there.
//!
//! Needs Linux and root; [`unavailable`] says what else is missing. Not real: there is no `kube-proxy` (the
//! one service that a run needs is an address of the node), and no network between nodes.

mod authority;
mod cgroup;
mod configuration;
mod dns;
mod namespaces;
mod network;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};
use node_annotator_image::{Image, Program};
use serde_json::json;
use tokio::net::UnixStream;

use crate::binaries::{Binaries, Tool};
use crate::cluster::{Cluster, Options};
use crate::control_plane::kubeconfig;
use crate::guardian::Guardian;
use crate::ports::random;
use crate::wait;

use authority::{Authority, write_private};
use cgroup::Version;
pub use configuration::KubeletSettings;
use configuration::{CONTAINERD_SOCKET, SANDBOX_IMAGE};
use dns::{NameServer, Zone};
use namespaces::{Daemon, Init, Namespaces};
use network::{Egress, Forward, Networks, network_of};

/// The address of the service `kubernetes`: the first of those for services.
const API_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// Under this address, whatever a test wants its pods to reach.
pub const SERVICE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 20);

/// Why there can be no real node here; `None` when there can.
pub fn unavailable() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("a real node needs Linux".to_owned());
    }
    if !rustix::process::geteuid().is_root() {
        return Some("a real node needs root: it makes mounts, network interfaces and cgroups".to_owned());
    }
    for program in ["ip", "mount", "nsenter", "unshare"] {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
            return Some(format!("a real node needs `{program}`: install util-linux and iproute2"));
        }
    }
    namespaces::probe().err()
}

/// A cluster with room for real nodes; simulated ones may be beside them.
pub struct RealCluster {
    _egress: Egress,
    shared: Arc<Shared>,
    cluster: Cluster,
}

/// What all nodes of a cluster need.
struct Shared {
    binaries: Binaries,
    authority: Authority,
    folder: PathBuf,
    group: i32,
    api_server: SocketAddr,
    certificate: PathBuf,
    client: Client,
    networks: Networks,
    zone: Zone,
}

impl RealCluster {
    /// Starts the control plane; builds what has never been built.
    pub async fn start(mut options: Options) -> Result<Self> {
        let minor = options.control_plane.kubernetes.clone();
        let tools: Vec<_> = Tool::CONTROL_PLANE.into_iter().chain(Tool::NODE).collect();
        let obtain = move || Binaries::obtain(minor.as_deref(), &tools);
        let binaries = tokio::task::spawn_blocking(obtain).await.context("the build panicked")??;
        let guardian = Guardian::start()?;
        let authority = Authority::write(guardian.folder().join("authority"))?;
        options.control_plane.api_server_args.splice(0..0, authority.api_server_args());
        let networks = Networks::default();
        let egress = Egress::start(&authority.socket(), networks.clone())?;
        let cluster = Cluster::start_in(guardian, options).await?;
        let server = cluster.control_plane().server();
        let api_server = server.trim_start_matches("https://").parse();
        let shared = Shared {
            binaries,
            authority,
            folder: cluster.folder().to_owned(),
            group: cluster.process_group(),
            api_server: api_server.with_context(|| format!("not an address: `{server}`"))?,
            certificate: cluster.control_plane().certificate_authority(),
            client: cluster.client(),
            networks,
            zone: Zone::default(),
        };
        Ok(Self { _egress: egress, shared: Arc::new(shared), cluster })
    }

    /// The control plane, and everything that can be done with it.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Adds a node, and returns when it is ready. Its images are those of the archives.
    pub async fn add_node(&self, name: &str, archives: &[PathBuf]) -> Result<RealNode> {
        let mut node = RealNode::prepare(self.shared.clone(), name, archives)?;
        node.power_on().await?;
        Ok(node)
    }

    /// Lets pods on all nodes find an address by a name.
    pub fn add_name(&self, name: &str, address: Ipv4Addr) {
        let mut zone = self.shared.zone.lock().unwrap_or_else(PoisonError::into_inner);
        zone.insert(name.to_owned(), address);
    }
}

impl std::fmt::Debug for RealCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RealCluster").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// One node. Everything in it ends when it is dropped, and when this process ends.
pub struct RealNode {
    running: Option<Running>,
    shared: Arc<Shared>,
    name: String,
    address: Ipv4Addr,
    /// What lasts over a reboot.
    storage: PathBuf,
    kubelet: KubeletSettings,
    archives: Vec<PathBuf>,
}

/// In the order in which it has to go.
#[derive(Debug)]
struct Running {
    forwards: Vec<Forward>,
    _name_server: NameServer,
    kubelet: Option<Daemon>,
    containerd: Option<Daemon>,
    namespaces: Namespaces,
}

impl RealNode {
    fn prepare(shared: Arc<Shared>, name: &str, archives: &[PathBuf]) -> Result<Self> {
        let address = {
            let mut networks = shared.networks.lock().unwrap_or_else(PoisonError::into_inner);
            let third = (0..=u8::MAX).find(|third| !networks.contains_key(&[10, 77, *third]));
            let address = Ipv4Addr::new(10, 77, third.context("there are too many nodes")?, 1);
            networks.insert(network_of(address), 0);
            address
        };
        let storage = shared.folder.join(format!("real-{name}"));
        let node = Self {
            running: None,
            shared,
            name: name.to_owned(),
            address,
            storage,
            kubelet: KubeletSettings::default(),
            archives: archives.to_vec(),
        };
        node.write_files()?;
        Ok(node)
    }

    fn write_files(&self) -> Result<()> {
        for folder in ["containerd", "kubelet", "network"] {
            let folder = self.storage.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        }
        let user = format!("system:node:{}", self.name);
        let (certificate, key) = self.shared.authority.sign(&self.name, &user, "system:nodes")?;
        let kubeconfig = kubeconfig(
            &format!("https://{API_ADDRESS}"),
            &self.shared.certificate,
            &json!({"client-certificate": certificate, "client-key": key}),
        );
        let [a, b, c] = network_of(self.address);
        let network = configuration::network(&format!("{a}.{b}.{c}.0/24"), &self.address.to_string());
        let containerd = configuration::containerd(
            self.shared.binaries.node_folder(),
            &self.storage.join("network"),
            snapshotter(&self.storage)?,
        );
        let idle = Program::read(self.shared.binaries.path(Tool::Idle))?;
        let sandbox = Image::new(SANDBOX_IMAGE)?.pack(&[idle])?.archive()?;
        fs::write(self.storage.join("sandbox.tar"), sandbox).context("cannot write an image")?;
        write_private(&self.storage.join("kubeconfig"), &kubeconfig)?;
        write_private(&self.storage.join("network/pods.conflist"), &network.to_string())?;
        write_private(&self.storage.join("containerd.toml"), &containerd)?;
        write_private(&self.storage.join("resolv.conf"), &format!("nameserver {NAME_SERVER}\n"))
    }

    /// The name of its Node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, which is also the gateway of its pods.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Boots the node, and returns when it is ready.
    pub async fn power_on(&mut self) -> Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let path = self.storage.join("boot-id");
        // What its containers see is the machine's, so that only a later boot has another one.
        let boot =
            if path.exists() { boot_id() } else { fs::read_to_string(MACHINES_BOOT_ID)?.trim().to_owned() };
        write_private(&path, &format!("{boot}\n"))?;
        let own = [API_ADDRESS, NAME_SERVER, SERVICE_ADDRESS].map(|address| format!("{address}/32"));
        let namespaces = Namespaces::start(
            self.shared.group,
            &Init {
                name: &self.name,
                storage: &self.storage,
                address: &format!("{}/24", self.address),
                addresses: &own.each_ref().map(String::as_str),
                log: &self.log("init"),
            },
        )?;
        let init = namespaces.init();
        self.networks().insert(network_of(self.address), init);
        let forward = Forward::start(init, (API_ADDRESS, 443).into(), self.shared.api_server)?;
        let name_server = NameServer::start(init, (NAME_SERVER, 53).into(), self.shared.zone.clone())?;
        self.running = Some(Running {
            forwards: vec![forward],
            _name_server: name_server,
            kubelet: None,
            containerd: None,
            namespaces,
        });
        self.start_containerd().await?;
        self.import(&self.storage.join("sandbox.tar"))?;
        for archive in &self.archives {
            self.import(archive)?;
        }
        self.start_kubelet()?;
        self.wait_until_ready().await
    }

    /// Takes the power away: nothing on the node gets to do anything more.
    pub fn power_off(&mut self) {
        self.running = None;
    }

    /// Starts containerd, and returns when it serves.
    pub async fn start_containerd(&mut self) -> Result<()> {
        let log = self.log("containerd");
        let program = self.shared.binaries.path(Tool::Containerd);
        let configuration = self.storage.join("containerd.toml");
        let running = self.running_mut()?;
        let arguments = ["--config".as_ref(), configuration.as_os_str()];
        let mut daemon = running.namespaces.start_program(&program, &arguments, &log)?;
        let socket = running.namespaces.path(CONTAINERD_SOCKET);
        let listening = wait::until("containerd to listen", async || match daemon.failure() {
            Some(failure) => Ok(Err(failure)),
            None => UnixStream::connect(&socket).await.map(|_| Ok(())),
        });
        listening.await??;
        running.containerd = Some(daemon);
        Ok(())
    }

    /// Starts the kubelet with the settings of the last [`RealNode::configure`]. Does nothing when it runs.
    pub fn start_kubelet(&mut self) -> Result<()> {
        let log = self.log("kubelet");
        let program = self.shared.binaries.path(Tool::Kubelet);
        let file = self.storage.join("kubelet.json");
        let authority = self.shared.authority.certificate();
        write_private(
            &file,
            &configuration::kubelet(&self.kubelet, &authority, &self.storage.join("resolv.conf")),
        )?;
        let arguments = [
            format!("--config={}", file.display()),
            format!("--kubeconfig={}", self.storage.join("kubeconfig").display()),
            format!("--hostname-override={}", self.name),
            format!("--node-ip={}", self.address),
            "--root-dir=/var/lib/kubelet".to_owned(),
        ];
        let arguments = arguments.each_ref().map(|it| it.as_ref() as &OsStr);
        let running = self.running_mut()?;
        if running.kubelet.is_none() {
            running.kubelet = Some(running.namespaces.start_program(&program, &arguments, &log)?);
        }
        Ok(())
    }

    /// Stops the kubelet as a service manager does. Its pods go on.
    pub fn stop_kubelet(&mut self) -> Result<()> {
        self.running_mut()?.kubelet.take().map_or(Ok(()), Daemon::stop)
    }

    /// Stops containerd likewise.
    pub fn stop_containerd(&mut self) -> Result<()> {
        self.running_mut()?.containerd.take().map_or(Ok(()), Daemon::stop)
    }

    /// What the kubelet is told when it starts for the next time.
    pub fn configure(&mut self, settings: KubeletSettings) {
        self.kubelet = settings;
    }

    /// Returns when the API server has heard from the kubelet, since its last start, that the node is ready.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let boot = fs::read_to_string(self.storage.join("boot-id")).context("cannot read the boot id")?;
        let nodes: Api<Node> = Api::all(self.shared.client.clone());
        let name = self.name.clone();
        let log = self.log("kubelet");
        let running = self.running_mut()?;
        let what = format!("node `{name}` to be ready (its log is `{}`)", log.display());
        let ready = wait::until(&what, async || {
            if let Some(failure) = running.kubelet.as_mut().and_then(Daemon::failure) {
                return Ok(Err(failure));
            }
            let node = nodes.get(&name).await?;
            let status = node.status.unwrap_or_default();
            let booted = status.node_info.is_some_and(|info| info.boot_id == boot.trim());
            let condition = status.conditions.unwrap_or_default().into_iter().find(|it| it.type_ == "Ready");
            match condition {
                Some(condition) if booted && condition.status == "True" => Ok(Ok(())),
                Some(condition) => Err(anyhow!("{}", condition.message.unwrap_or_default())),
                None => Err(anyhow!("no condition")),
            }
        });
        ready.await?
    }

    /// Brings connections that pods make to this port of [`SERVICE_ADDRESS`] to an address of the machine,
    /// until the node is switched off.
    pub fn forward(&mut self, port: u16, outside: SocketAddr) -> Result<()> {
        let running = self.running_mut()?;
        let inside = (SERVICE_ADDRESS, port).into();
        running.forwards.push(Forward::start(running.namespaces.init(), inside, outside)?);
        Ok(())
    }

    /// Runs a program on the node until it ends, and returns what it printed.
    pub fn run(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Result<String> {
        let arguments: Vec<_> = arguments.iter().map(OsStr::new).collect();
        self.running()?.namespaces.run(program.as_ref(), &arguments)
    }

    /// An absolute path of the node, as root on the machine reaches it.
    pub fn path(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        Ok(self.running()?.namespaces.path(path))
    }

    /// The log of `init`, `containerd` or `kubelet`.
    pub fn log(&self, of: &str) -> PathBuf {
        self.storage.join(format!("{of}.log"))
    }

    /// The configuration of the network plugins: without it, the node is not ready, and no pod starts.
    pub fn network_configuration(&self) -> PathBuf {
        self.storage.join("network/pods.conflist")
    }

    /// A pod's cgroup, where this controller is.
    pub fn pod_cgroup(&self, controller: &str, pod_uid: &str) -> Result<PathBuf> {
        let pods = self.running()?.namespaces.cgroups().folder(controller)?.join("kubepods");
        let name = format!("pod{pod_uid}");
        let candidates = ["", "burstable", "besteffort"].map(|class| pods.join(class).join(&name));
        let found = candidates.into_iter().find(|folder| folder.is_dir());
        found.with_context(|| format!("pod {pod_uid} has no cgroup"))
    }

    /// The most memory that a pod had so far, in bytes.
    pub fn pod_memory_peak(&self, pod_uid: &str) -> Result<u64> {
        let file = match self.running()?.namespaces.cgroups().version() {
            Version::One => "memory.max_usage_in_bytes",
            Version::Two => "memory.peak",
        };
        let path = self.pod_cgroup("memory", pod_uid)?.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        text.trim().parse().with_context(|| format!("not a number: `{text}`"))
    }

    /// The process of a pod's container, as the machine numbers it. The sandbox's does not count.
    pub fn container_process(&self, pod_uid: &str) -> Result<u32> {
        let pod = self.pod_cgroup("memory", pod_uid)?;
        for container in fs::read_dir(&pod)?.flatten() {
            let processes = fs::read_to_string(container.path().join("cgroup.procs")).unwrap_or_default();
            for pid in processes.lines() {
                let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                // runc, before it has become the container's program, has another name.
                if command.starts_with(b"/") && command != b"/idle\0" {
                    return pid.parse().context("not a process id");
                }
            }
        }
        Err(anyhow!("no container runs in pod {pod_uid}"))
    }

    /// Imports an image into containerd.
    pub fn import(&self, archive: &Path) -> Result<()> {
        let ctr = self.shared.binaries.path(Tool::Ctr);
        let archive = archive.to_str().context("a path that is not UTF-8")?;
        let arguments = ["--namespace=k8s.io", "images", "import", archive];
        self.run(ctr, &arguments).with_context(|| format!("cannot import `{archive}`")).map(drop)
    }

    fn running(&self) -> Result<&Running> {
        self.running.as_ref().with_context(|| format!("node `{}` is switched off", self.name))
    }

    fn running_mut(&mut self) -> Result<&mut Running> {
        self.running.as_mut().with_context(|| format!("node `{}` is switched off", self.name))
    }

    fn networks(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 3], u32>> {
        self.shared.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RealNode {
    fn drop(&mut self) {
        self.power_off();
        self.networks().remove(&network_of(self.address));
    }
}

impl std::fmt::Debug for RealNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RealNode")
            .field("name", &self.name)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

/// Overlays cannot be put on an overlay, which is what the root of a container often is; copies can.
fn snapshotter(folder: &Path) -> Result<&'static str> {
    const OVERLAY: u64 = 0x794c_7630;
    let status = rustix::fs::statfs(folder).context("cannot tell the file system")?;
    Ok(if u64::try_from(status.f_type) == Ok(OVERLAY) { "native" } else { "overlayfs" })
}

const MACHINES_BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// As the kernel makes one at each boot.
fn boot_id() -> String {
    let (a, b) = (random(), random());
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 48 & 0xfff,
        b & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_ids_look_like_the_kernels() {
        let id = boot_id();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert_ne!(id, boot_id());
    }
}
