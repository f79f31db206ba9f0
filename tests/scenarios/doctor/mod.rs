//! `doctor`: a healthy installation passes, and each thing that is broken is seen, and nothing else.

mod daemon_sets;
mod expire;
mod facts;
mod labels;
mod policy;
mod rights;
mod startup_taint;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::DeleteParams;
use node_annotator_deploy::{Manifests, Object, Settings};
use node_annotator_tests::{Cluster, Options, annotator_binary, wait};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use crate::support::{
    NAMESPACE, add_settled, install, key, node_of, settings, wait_for_label, wait_until_gone,
};

/// All checks that try a request that has to be refused.
const DENIALS: [&str; 11] = [
    "denies-foreign-label",
    "denies-foreign-annotation",
    "denies-other-node",
    "denies-replaced-node",
    "denies-unbound-token",
    "denies-spec",
    "denies-finalizer",
    "denies-opt-out",
    "denies-large-value",
    "denies-unknown-annotation",
    "denies-unknown-label",
];

/// What it printed, and how it ended.
#[derive(Debug)]
struct Seen {
    code: i32,
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    checks: Vec<Check>,
    exit_code: i32,
}

#[derive(Debug, Deserialize)]
struct Check {
    name: String,
    namespace: Option<String>,
    verdict: String,
    finding: String,
    hint: Option<String>,
}

impl Seen {
    /// The verdicts that are not PASS, by the name of the check.
    fn verdicts(&self) -> BTreeMap<&str, &str> {
        let checks = self.checks.iter().filter(|check| check.verdict != "PASS");
        checks.map(|check| (check.name.as_str(), check.verdict.as_str())).collect()
    }

    fn check(&self, name: &str) -> &Check {
        self.checks
            .iter()
            .find(|check| check.name == name)
            .unwrap_or_else(|| panic!("no check {name}: {self}"))
    }

    fn hint(&self, name: &str) -> &str {
        self.check(name).hint.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.code)?;
        for Check { name, verdict, finding, .. } in self.checks.iter().filter(|check| check.verdict != "PASS")
        {
            write!(f, "\n{verdict} {name}: {finding}")?;
        }
        Ok(())
    }
}

/// Runs it with an environment of nothing else.
async fn run(cluster: &Cluster, kubeconfig: &Path, arguments: &[&str]) -> Result<(i32, String)> {
    let output = Command::new(annotator_binary()?)
        .arg("doctor")
        .args(arguments)
        .env_clear()
        .env("NODE_ANNOTATOR_KUBECONFIG", kubeconfig)
        .process_group(cluster.process_group())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot start the binary")?;
    ensure!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let code = output.status.code().context("ended by a signal")?;
    Ok((code, String::from_utf8(output.stdout)?))
}

/// Runs it with the rights of a kubeconfig.
async fn doctor_as(cluster: &Cluster, kubeconfig: &Path) -> Result<Seen> {
    let (code, stdout) = run(cluster, kubeconfig, &["-o", "json"]).await?;
    let Report { checks, exit_code } = serde_json::from_str(&stdout).with_context(|| stdout.clone())?;
    ensure!(code == exit_code, "{code} is not what is printed:\n{stdout}");
    for check in &checks {
        ensure!((check.verdict == "PASS") == check.hint.is_none(), "{check:?}");
    }
    Ok(Seen { code, checks })
}

/// Runs it until exactly these verdicts are not PASS, since the API server takes a moment to hear of a
/// changed policy.
async fn wait_for(cluster: &Cluster, expected: &[(&str, &str)]) -> Result<Seen> {
    wait_for_finding(cluster, expected, "").await
}

/// As [`wait_for`], until the finding of the first of them ends so.
async fn wait_for_finding(cluster: &Cluster, expected: &[(&str, &str)], end: &str) -> Result<Seen> {
    let first = expected.first().map(|(name, _)| *name);
    let expected: BTreeMap<_, _> = expected.iter().copied().collect();
    let code = match &expected {
        verdicts if verdicts.values().any(|verdict| *verdict == "FAIL") => 3,
        verdicts if verdicts.values().any(|verdict| *verdict == "SKIP") => 4,
        _ => 0,
    };
    wait::until("the expected diagnosis", async || {
        let seen = doctor_as(cluster, &cluster.kubeconfig()).await?;
        let as_expected = seen.verdicts() == expected && seen.code == code;
        if as_expected && first.is_none_or(|name| seen.check(name).finding.ends_with(end)) {
            Ok(seen)
        } else {
            Err(anyhow::anyhow!("{seen}"))
        }
    })
    .await
}

/// Lets a group edit a namespace of ours for as long as it takes a check to name it.
async fn developers_are_named(cluster: &Cluster, namespace: &str, check: &str) -> Result<Seen> {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "developers", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "Group", "name": "developers", "apiGroup": "rbac.authorization.k8s.io"}],
    });
    cluster.apply(&binding).await?;
    let end = "Group `developers` (RoleBinding `developers`): enter its pods, impersonate it, make tokens for it, \
               start pods as it";
    let seen = wait_for_finding(cluster, &[(check, "WARN")], end).await?;
    let bindings: Api<RoleBinding> = Api::namespaced(cluster.client(), namespace);
    bindings.delete("developers", &DeleteParams::default()).await?;
    Ok(seen)
}

fn all_denials(verdict: &'static str) -> Vec<(&'static str, &'static str)> {
    DENIALS.map(|name| (name, verdict)).to_vec()
}

/// A cluster of one node on which everything is done.
async fn start() -> Result<(Cluster, Settings)> {
    start_with(settings("cpu-model,kernel")).await
}

async fn start_with(settings: Settings) -> Result<(Cluster, Settings)> {
    let cluster = Cluster::start(Options::default()).await?;
    cluster.add_node(node_of("intel", "intel-xeon")).await?;
    let daemon_sets = install(&cluster, &settings).await?;
    for collector in ["cpu-model", "kernel"] {
        wait_for_label(&cluster, "intel", &key(collector)).await?;
    }
    wait_until_gone(&cluster, &daemon_sets).await?;
    wait_for(&cluster, &[]).await?;
    Ok((cluster, settings))
}

/// Applies the objects of one kind again, as they are generated.
async fn restore(cluster: &Cluster, settings: &Settings, kind: &str) -> Result<()> {
    let manifests = Manifests::new(settings)?;
    for object in manifests.objects().filter(|object| Object::kind(object) == kind) {
        cluster.apply(object).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_healthy_installation_passes_and_nothing_is_written() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    for (name, machine) in [("intel", "intel-xeon"), ("amd", "amd-epyc")] {
        add_settled(&cluster, node_of(name, machine)).await?;
    }
    // One collector in each of the two namespaces.
    let settings = Settings { host_network: true, ..settings("cpu-model,digital-ocean-anchor-ip") };
    install(&cluster, &settings).await?;
    for node in ["intel", "amd"] {
        for collector in ["cpu-model", "digital-ocean-anchor-ip"] {
            wait_for_label(&cluster, node, &key(collector)).await?;
        }
    }
    wait_until_gone(&cluster, &["node-annotator-cpu-model".to_owned()]).await?;
    let privileged = format!("{NAMESPACE}-privileged");
    cluster.wait_until_done(&privileged, "node-annotator-digital-ocean-anchor-ip").await?;
    let versions = async || -> Result<Vec<_>> {
        let nodes = [cluster.node("intel").await?, cluster.node("amd").await?];
        Ok(nodes.map(|node| node.metadata.resource_version).to_vec())
    };
    let versions_before = versions().await?;
    let seen = wait_for(&cluster, &[]).await?;
    let of = |namespace: &str| {
        seen.checks.iter().filter(|check| check.namespace.as_deref() == Some(namespace)).count()
    };
    assert_eq!((of(NAMESPACE), of(&privileged)), (18, 18), "{seen:?}");
    assert_eq!(seen.checks.len(), 14 + 18 + 18);
    let finding = &seen.check("rights-narrow").finding;
    assert!(finding.contains("can still read every Node whose name it knows, whole"), "{finding}");

    let requests_before = cluster.annotator_requests().await?.len();
    let (code, text) = run(&cluster, &cluster.kubeconfig(), &[]).await?;
    assert_eq!(code, 0, "{text}");
    let count = seen.checks.len();
    let all_pass = format!("\n{count} checks: {count} PASS, 0 WARN, 0 FAIL, 0 SKIP\n");
    assert!(text.ends_with(&all_pass), "{text}");
    let requests = cluster.annotator_requests().await?.split_off(requests_before);
    assert_eq!(versions().await?, versions_before);
    let reads = ["get", "list"];
    let writes: Vec<_> = requests.iter().filter(|request| !reads.contains(&request.verb.as_str())).collect();
    let patches =
        writes.iter().filter(|request| request.verb == "patch" && request.object.resource == "nodes");
    assert_eq!(patches.count(), 2 * (1 + DENIALS.len()), "{writes:#?}");
    for request in writes {
        assert!(request.uri.contains("dryRun=All"), "{request:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_server_without_nodes_and_without_an_installation_nothing_is_proven() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let seen = doctor_as(&cluster, &cluster.kubeconfig()).await?;
    let verdicts = seen.verdicts();
    for name in ["policy", "policy-bound", "pod-security", "service-accounts", "rights-suffice"] {
        assert_eq!(verdicts.get(name), Some(&"FAIL"), "{name}: {seen}");
    }
    assert_eq!(verdicts.get("denies-spec"), Some(&"SKIP"), "{seen}");
    assert_eq!(verdicts.get("server-version"), None, "{seen}");

    install(&cluster, &settings("kernel")).await?;
    let mut expected = all_denials("SKIP");
    expected.push(("allows-own-keys", "SKIP"));
    let seen = wait_for(&cluster, &expected).await?;
    assert_eq!(seen.check("denies-spec").finding, "there are no nodes to try it on");

    cluster.stop_api_server();
    let seen = doctor_as(&cluster, &cluster.kubeconfig()).await?;
    assert_eq!(seen.code, 4);
    assert!(seen.checks.iter().all(|check| check.verdict == "SKIP"), "{seen:?}");
    let finding = &seen.check("server-version").finding;
    assert!(finding.starts_with("cannot reach the API server"), "{finding}");
    Ok(())
}
