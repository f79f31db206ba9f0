//! The generated files and the real kubectl: nothing to warn of, and nothing to change the second time,
//! whoever applies it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use node_annotator_deploy::{Manifests, Settings};
use node_annotator_tests::{Cluster, Options, wait};
use serde_json::Value;

use super::kubectl::Kubectl;
use super::{combined, of_generation};

/// What `kubectl apply -k` says of every kustomization that sets the order itself; ours says so.
const ORDER_IS_SET_TWICE: &str = "Warning: Sorting order is set both in 'kustomization.yaml'";

#[tokio::test]
async fn kubectl_applies_the_generated_files_without_a_warning_and_only_once() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let kubectl = Kubectl::of(&cluster).await?;
    let with_host_network = Settings { host_network: true, ..of_generation("2", combined("all")) };
    let all = cluster.folder().join("all-combined");
    Manifests::new(&with_host_network)?.write(&all)?;
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for folder in [committed.join("kubernetes"), committed.join("per-collector"), all] {
        let files = folder.display();
        // A dry run stores no namespace for what comes after it.
        ensure_silent(&kubectl, &format!("kubectl apply -f {files}/01-namespaces.yaml")).await?;
        ensure_silent(&kubectl, &format!("kubectl apply --dry-run=server -f {files}")).await?;
        ensure_silent(&kubectl, &format!("kubectl apply -f {files}")).await?;
        let first = versions(&kubectl, &folder).await?;

        let again = ensure_silent(&kubectl, &format!("kubectl apply -f {files}")).await?;
        ensure!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
        ensure_same(&first, &versions(&kubectl, &folder).await?)?;
        ensure_silent(&kubectl, &format!("kubectl diff -f {files}")).await?;

        let said = kubectl.run(&format!("kubectl apply -k {files}")).await?;
        ensure!(said.stdout.lines().all(|line| line.ends_with(" unchanged")), "{said:?}");
        let warnings: Vec<_> =
            said.stderr.lines().filter(|line| !line.contains(ORDER_IS_SET_TWICE)).collect();
        ensure!(warnings.is_empty(), "{warnings:?}");
        // The first time after client-side apply it takes over what kubectl has, and then there is nothing to
        // do for anybody.
        let server_side = format!("kubectl apply --server-side -f {files}");
        ensure_silent(&kubectl, &server_side).await?;
        let first = versions(&kubectl, &folder).await?;
        ensure_silent(&kubectl, &server_side).await?;
        ensure_same(&first, &versions(&kubectl, &folder).await?)?;
        ensure_silent(&kubectl, &format!("kubectl diff --server-side -f {files}")).await?;

        // Another manager claims what is there, which changes no object but for its claim, and that once.
        let another = format!("{server_side} --field-manager another");
        ensure_silent(&kubectl, &another).await?;
        let claimed = versions(&kubectl, &folder).await?;
        ensure!(generations(&claimed) == generations(&first), "{claimed:#?}\n{first:#?}");
        ensure_silent(&kubectl, &another).await?;
        ensure_silent(&kubectl, &server_side).await?;
        ensure_same(&claimed, &versions(&kubectl, &folder).await?)?;
        for manager in ["kubectl", "another"] {
            let diff = format!("kubectl diff --server-side --field-manager {manager} -f {files}");
            ensure_silent(&kubectl, &diff).await?;
        }

        // Nobody wants a pod here: that is the end of a rollout, and not its beginning.
        let sets = "kubectl get daemonsets --all-namespaces --output jsonpath='{range .items[*]}{.metadata.namespace} {.metadata.name}{\"\\n\"}{end}'";
        for set in kubectl.run(sets).await?.stdout.lines() {
            let (namespace, name) = set.split_once(' ').context("no name")?;
            let rollout =
                format!("kubectl rollout status daemonset {name} --namespace {namespace} --timeout 30s");
            let said = ensure_silent(&kubectl, &rollout).await?;
            ensure!(said.contains("successfully rolled out"), "{said}");
        }
    }
    Ok(())
}

/// Runs a command that must have nothing to warn of, and returns what else it says.
async fn ensure_silent(kubectl: &Kubectl, command: &str) -> Result<String> {
    let said = kubectl.run(command).await?;
    ensure!(said.stderr.is_empty(), "`{command}`:\n{}", said.stderr);
    Ok(said.stdout)
}

/// Generation and resource version of every object in the files, once the controllers have seen them all.
async fn versions(kubectl: &Kubectl, folder: &Path) -> Result<BTreeMap<String, [Value; 2]>> {
    wait::until("the controllers to have seen all objects", async || {
        let said = kubectl.run(&format!("kubectl get -f {} --output json", folder.display())).await?;
        let list: Value = serde_json::from_str(&said.stdout)?;
        let mut versions = BTreeMap::new();
        for object in list["items"].as_array().context("no list")? {
            let metadata = &object["metadata"];
            let name = format!("{} {}", object["kind"], metadata["name"]);
            let watched =
                ["DaemonSet", "ValidatingAdmissionPolicy"].map(Value::from).contains(&object["kind"]);
            let seen = &object["status"]["observedGeneration"];
            ensure!(!watched || *seen == metadata["generation"], "{name} is not seen");
            versions.insert(name, [metadata["generation"].clone(), metadata["resourceVersion"].clone()]);
        }
        Ok(versions)
    })
    .await
}

fn generations(versions: &BTreeMap<String, [Value; 2]>) -> Vec<&Value> {
    versions.values().map(|[generation, _]| generation).collect()
}

fn ensure_same(before: &BTreeMap<String, [Value; 2]>, after: &BTreeMap<String, [Value; 2]>) -> Result<()> {
    ensure!(before == after, "changed although nothing did:\n{before:#?}\n{after:#?}");
    ensure!(before.len() > 8, "too few objects: {before:#?}");
    Ok(())
}
