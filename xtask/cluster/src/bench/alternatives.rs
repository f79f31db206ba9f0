//! What the binary is held against: the floor, `curl`, and the script that people would write.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use node_annotator_tests::Cluster;
use node_annotator_tests::audit::Request as Logged;

use super::process::{Program, on_path};
use crate::recorded;

pub(super) const SHELL: &str = "shell script";
const CURL: &str = "curl";

/// Reads about the same facts with the tools of a container image, and writes them with kubectl.
///
/// kubectl reads before it writes, so this needs more rights than the pod has: it runs as an administrator.
const SCRIPT: &str = r#"
set -eu
model=$(awk -F': ' '/^model name/ {print $2; exit}' "$ROOT/proc/cpuinfo")
release=$(cat "$ROOT/proc/sys/kernel/osrelease")
anchor=$(curl -fsS "$METADATA" | tr -d ' \n' | sed -n 's/.*"anchor_ipv4":{[^}]*"ip_address":"\([0-9.]*\)".*/\1/p')
kubectl annotate node "$NODE" --overwrite "k8s.haim.dev/cpu-model=$model" "k8s.haim.dev/kernel=$release" \
  "k8s.haim.dev/digital-ocean-anchor-ip=$anchor"
kubectl label node "$NODE" --overwrite k8s.haim.dev/cpu-model=saved k8s.haim.dev/kernel=saved \
  k8s.haim.dev/digital-ocean-anchor-ip=saved
"#;

/// All that a program needs to know to write on the Node.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) node: &'static str,
    /// Host and port.
    pub(super) server: String,
    pub(super) authority: PathBuf,
    pub(super) token: PathBuf,
    pub(super) body: PathBuf,
    pub(super) metadata: String,
    pub(super) kubeconfig: PathBuf,
}

/// The programs, the floor first, and whether they go to the address of the request on one connection.
pub(super) fn all(cluster: &Cluster, binary: &Path, request: &Request) -> Result<Vec<(Program, bool)>> {
    let floor = binary.with_file_name("node-annotator-floor");
    let mut programs = vec![(of_floor(floor, request), true)];
    if let Some(curl) = on_path("curl") {
        programs.push((of_curl(curl, request)?, true));
        if let Some(kubectl) = on_path("kubectl") {
            programs.push((of_shell(cluster, &kubectl, request), false));
        }
    }
    Ok(programs)
}

/// Whether the audit log shows a request of this program.
pub(super) fn is_of(name: &str, request: &Logged) -> bool {
    let agent = match name {
        SHELL => "kubectl/",
        CURL => "curl/",
        "floor" => "node-annotator-floor",
        _ => "node-annotator/",
    };
    request.user_agent.starts_with(agent)
}

fn of_floor(path: PathBuf, request: &Request) -> Program {
    let Request { node, server, authority, token, body, .. } = request;
    let arguments: [OsString; 6] =
        [server.into(), "127.0.0.1".into(), authority.into(), token.into(), (*node).into(), body.into()];
    Program { name: "floor", path, arguments: arguments.into(), environment: Vec::new() }
}

fn of_curl(path: PathBuf, request: &Request) -> Result<Program> {
    let Request { node, server, authority, token, body, .. } = request;
    let token = fs::read_to_string(token).context("cannot read the token")?;
    let arguments = [
        "--silent".to_owned(),
        "--show-error".to_owned(),
        "--fail".to_owned(),
        "--noproxy".to_owned(),
        "*".to_owned(),
        "--cacert".to_owned(),
        authority.display().to_string(),
        "--request".to_owned(),
        "PATCH".to_owned(),
        "--header".to_owned(),
        format!("Authorization: Bearer {token}"),
        "--header".to_owned(),
        "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1".to_owned(),
        "--header".to_owned(),
        "Content-Type: application/merge-patch+json".to_owned(),
        "--data-binary".to_owned(),
        format!("@{}", body.display()),
        format!("https://{server}/api/v1/nodes/{node}?fieldManager=node-annotator"),
    ];
    let arguments = arguments.into_iter().map(OsString::from).collect();
    Ok(Program { name: CURL, path, arguments, environment: Vec::new() })
}

fn of_shell(cluster: &Cluster, kubectl: &Path, request: &Request) -> Program {
    let folder = kubectl.parent().unwrap_or(Path::new("/"));
    let root = recorded::machine("droplet");
    let variables: [(&str, OsString); 7] = [
        ("PATH", format!("{}:/usr/bin:/bin", folder.display()).into()),
        ("HOME", cluster.folder().into()),
        ("ROOT", root.into()),
        ("METADATA", (&request.metadata).into()),
        ("NODE", request.node.into()),
        ("KUBECONFIG", (&request.kubeconfig).into()),
        ("NO_PROXY", "*".into()),
    ];
    Program {
        name: SHELL,
        path: "/bin/sh".into(),
        arguments: vec!["-c".into(), SCRIPT.into()],
        environment: variables.map(|(name, value)| (name.to_owned(), value)).into(),
    }
}
