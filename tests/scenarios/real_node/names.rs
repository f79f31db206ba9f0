//! API server and metadata service given by name, to a static binary without the libraries that usually look
//! names up.

use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use kube::ResourceExt as _;
use node_annotator_tests::metadata::{Answer, DIGITAL_OCEAN_PATH, MetadataServer};
use node_annotator_tests::real_node::SERVICE_ADDRESS;
use tokio::process::Command;
use xtask_workspace::static_binary;

use crate::world::{NODE, World, key};

const COLLECTOR: &str = "digital-ocean-anchor-ip";
/// In the API server's certificate.
const API: &str = "kubernetes.default.svc";
const METADATA: &str = "metadata.example";
const PORT: u16 = 8001;

/// By DNS, as /etc/resolv.conf of the pod says. There is neither /etc/nsswitch.conf nor a library in the
/// image.
pub(crate) async fn a_pod_finds_api_server_and_metadata_service_by_name(world: &mut World) -> Result<()> {
    let metadata = MetadataServer::start(Answer::droplet("10.17.0.9")).await?;
    world.node.forward(PORT, metadata.address())?;
    world.real.add_name(METADATA, SERVICE_ADDRESS);
    world.real.add_name(API, Ipv4Addr::new(10, 96, 0, 1));
    let url = format!("http://{METADATA}:{PORT}{DIGITAL_OCEAN_PATH}");
    let variables = [("DIGITAL_OCEAN_METADATA_URL", url.as_str()), ("KUBERNETES_SERVICE_HOST", API)];
    world.install_with(COLLECTOR, &variables).await?;
    world.wait_until_done(COLLECTOR).await?;
    assert_eq!(world.own_node().await?.annotations()[&key(COLLECTOR)], "10.17.0.9");
    let host = ("host".to_owned(), format!("{METADATA}:{PORT}"));
    assert!(metadata.requests()[0].headers.contains(&host), "{:?}", metadata.requests());
    Ok(())
}

/// In a root with nothing but the binary, a kubeconfig, the random devices, and the two files of /etc that a
/// kubelet writes: the API server is named in one of them, the metadata service by the name server that the
/// other names.
pub(crate) async fn an_empty_root_suffices_to_find_names(world: &mut World) -> Result<()> {
    const API: &str = "kubernetes.default";
    let metadata = MetadataServer::start(Answer::droplet("10.17.0.10")).await?;
    world.node.forward(PORT + 1, metadata.address())?;
    world.real.add_name(METADATA, SERVICE_ADDRESS);
    let root = world.cluster().folder().join("empty-root");
    fs::create_dir_all(root.join("etc"))?;
    fs::create_dir(root.join("dev"))?;
    // A static binary draws its random numbers from them; every container has them.
    for (name, minor) in [("random", "8"), ("urandom", "9")] {
        let device = root.join("dev").join(name);
        let made = Command::new("mknod").arg(device).args(["c", "1", minor]).status().await?;
        ensure!(made.success(), "mknod: {made}");
    }
    fs::copy(tokio::task::spawn_blocking(static_binary::build).await??, root.join("node-annotator"))?;
    fs::write(root.join("etc/hosts"), format!("10.96.0.1 {API}\n"))?;
    fs::write(root.join("etc/resolv.conf"), "nameserver 10.96.0.10\n")?;
    let authority = world.cluster().control_plane().certificate_authority();
    fs::copy(&authority, root.join("authority"))?;
    let kubeconfig = fs::read_to_string(world.cluster().kubeconfig())?
        .replace(&world.cluster().control_plane().server(), &format!("https://{API}"))
        .replace(authority.to_str().context("not UTF-8")?, "/authority");
    assert!(kubeconfig.contains(API) && kubeconfig.contains("/authority"), "{kubeconfig}");
    fs::write(root.join("kubeconfig"), kubeconfig)?;

    let url = format!("DIGITAL_OCEAN_METADATA_URL=http://{METADATA}:{}{DIGITAL_OCEAN_PATH}", PORT + 1);
    let arguments = [
        &url,
        "chroot",
        root.to_str().context("not UTF-8")?,
        "/node-annotator",
        "--kubeconfig=/kubeconfig",
        "--collectors=digital-ocean-anchor-ip",
        &format!("--node-name={NODE}"),
    ];
    world.node.run("env", &arguments)?;
    assert_eq!(world.own_node().await?.annotations()[&key(COLLECTOR)], "10.17.0.10");
    Ok(())
}
