//! A release from its install to its uninstall, on a control plane with a simulated node.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use node_annotator_tests::audit::Request;
use node_annotator_tests::binaries::Tool;
use node_annotator_tests::{Cluster, Options, wait};

use super::{Helm, VERSIONS, chart};
use crate::lifecycle::kubectl::Kubectl;
use crate::support::{NAMESPACE, doctor_passes, key, labels, node_of, saved, wait_until_gone};

const RELEASE: &str = "node-annotator";

#[tokio::test]
async fn a_release_is_installed_changed_taken_back_tested_and_taken_away() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    cluster.add_node(node_of("n1", "intel-xeon")).await?;
    let kubectl = Kubectl::of(&cluster).await?;
    for tool in VERSIONS {
        let helm = Helm::of(&cluster, tool).await?;
        let label = if tool == Tool::Helm3 { "kernel" } else { "cpu-model" };
        life(&cluster, &kubectl, &helm, label).await.with_context(|| format!("{tool:?}"))?;
    }
    rights_come_after_policies(&cluster).await
}

/// With a collector that the node has not run yet.
async fn life(cluster: &Cluster, kubectl: &Kubectl, helm: &Helm, collector: &str) -> Result<()> {
    let chart = chart().display().to_string();
    let set = [RELEASE.to_owned()];
    let of = |command: &[&str], values: &[&str]| {
        let mut arguments: Vec<_> = command.iter().map(|word| (*word).to_owned()).collect();
        arguments.extend([RELEASE.to_owned(), chart.clone(), "--namespace".to_owned(), NAMESPACE.to_owned()]);
        let collectors = format!("collectors={{{collector}}}");
        let values = [collectors.as_str()].into_iter().chain(values.iter().copied());
        arguments.extend(values.flat_map(|value| ["--set".to_owned(), value.to_owned()]));
        arguments
    };
    let value = async |expected: &str| {
        let wait = |node: &Node| {
            let found = labels(node).get(&key(collector));
            if found.is_some_and(|found| found == expected) { Ok(()) } else { Err(format!("{found:?}")) }
        };
        cluster.wait_for_node("n1", &format!("{collector}={expected}"), wait).await
    };

    let notes = helm.on(&of(&["install", "--create-namespace"], &[])).await?;
    value(&saved(collector)).await?;
    wait_until_gone(cluster, &set).await?;

    // What Helm has not labelled is told by the notes, and seen by the test.
    let test = ["test", RELEASE, "--namespace", NAMESPACE];
    ensure!(helm.on(&test).await.is_err(), "the test has not seen that the namespace is open");
    let said = kubectl.run(&format!("kubectl get pods --namespace {NAMESPACE} --output name")).await?.stdout;
    ensure!(said == "pod/node-annotator-check\n", "the failed pod is kept: {said}");
    for command in notes.lines().map(str::trim).filter(|line| line.starts_with("kubectl ")) {
        kubectl.run(command).await?;
    }
    helm.on(&test).await?;
    doctor_passes(cluster).await?;
    let left = "kubectl get pods,serviceaccounts,clusterroles,clusterrolebindings --all-namespaces --output name \
                --selector app.kubernetes.io/component=check";
    ensure!(kubectl.run(left).await?.stdout.is_empty(), "what tests lives as long as the test");

    helm.on(&of(&["upgrade"], &["generation=blue", "expire.schedule=@daily"])).await?;
    value(&saved(collector).replace("saved", "blue")).await?;
    wait_until_gone(cluster, &set).await?;
    doctor_passes(cluster).await?;

    helm.on(&["rollback", RELEASE, "1", "--namespace", NAMESPACE]).await?;
    wait_until_gone(cluster, &set).await?;
    doctor_passes(cluster).await?;

    beside_another(cluster, kubectl, helm, &chart).await?;

    helm.on(&["uninstall", RELEASE, "--namespace", NAMESPACE, "--wait"]).await?;
    let left = "kubectl get namespaces,daemonsets,pods,serviceaccounts,configmaps,cronjobs,networkpolicies,roles,rolebindings,\
                clusterroles,clusterrolebindings,priorityclasses,flowschemas,prioritylevelconfigurations,\
                validatingadmissionpolicies,validatingadmissionpolicybindings --all-namespaces --output name \
                --selector app.kubernetes.io/name=node-annotator";
    let left = kubectl.run(left).await?.stdout;
    let kept = "prioritylevelconfiguration.flowcontrol.apiserver.k8s.io/node-annotator\n";
    ensure!(left == kept, "an uninstall leaves {left}");
    // That of the release is Helm's user's.
    kubectl.run(&format!("kubectl delete namespace {NAMESPACE}")).await.map(drop)
}

/// A second release shares the priority level, and leaves it.
async fn beside_another(cluster: &Cluster, kubectl: &Kubectl, helm: &Helm, chart: &str) -> Result<()> {
    let other = ["other", chart, "--namespace", "facts", "--create-namespace"];
    let values = ["--set", "prefix=facts.example.com", "--set", "collectors={virt}"];
    let install = [&["install"], &other[..], &values[..]].concat();
    helm.on(&install).await?;
    let wait = |node: &Node| {
        if labels(node).contains_key("facts.example.com/virt") { Ok(()) } else { Err("not yet".to_owned()) }
    };
    cluster.wait_for_node("n1", "the fact of the other release", wait).await?;
    helm.on(&["uninstall", "other", "--namespace", "facts"]).await?;
    kubectl.run("kubectl get prioritylevelconfiguration node-annotator").await?;
    kubectl.run("kubectl delete namespace facts").await.map(drop)
}

#[tokio::test]
async fn a_namespace_that_others_use_is_refused() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let kubectl = Kubectl::of(&cluster).await?;
    kubectl.run("kubectl create namespace shared").await?;
    kubectl.run("kubectl create namespace busy").await?;
    kubectl.run("kubectl create serviceaccount cni --namespace shared").await?;
    // Its default account takes a moment.
    wait::until("a pod in the namespace", async || {
        kubectl.run("kubectl run web --image web --namespace busy").await.map(drop)
    })
    .await?;
    let chart = chart().display().to_string();
    for tool in VERSIONS {
        let helm = Helm::of(&cluster, tool).await?;
        for (namespace, said) in [
            ("shared", "is used by others: serviceaccount/cni"),
            ("busy", "is used by others: pod/web"),
            ("default", "is shared with others"),
        ] {
            let install = ["install", RELEASE, &chart, "--namespace", namespace];
            let error = helm.on(&install).await.err().context("it was installed")?;
            ensure!(format!("{error:#}").contains(said), "{error:#}");
        }
    }
    let rights = kubectl.run("kubectl get clusterroles --output name").await?.stdout;
    ensure!(!rights.contains("node-annotator"), "{rights}");
    Ok(())
}

/// Goes through all that Helm has written: whenever a role and its binding are there, so are the policy and
/// the binding that limit it.
async fn rights_come_after_policies(cluster: &Cluster) -> Result<()> {
    let is_write = |request: &Request| {
        let is_written = matches!(request.verb.as_str(), "create" | "patch" | "update" | "delete");
        is_written && request.user_agent.starts_with("Helm/") && (200..300).contains(&request.code())
    };
    let requests = cluster.requests(is_write).await?;
    let mut there = BTreeSet::new();
    let mut granted = BTreeSet::new();
    for request in &requests {
        let object = (request.object.resource.as_str(), request.object.name.as_str());
        if request.verb == "delete" {
            there.remove(&object);
        } else {
            there.insert(object);
        }
        for name in ["node-annotator", "node-annotator.expire", "node-annotator-facts"] {
            let has =
                |resources: [&'static str; 2]| resources.map(|resource| there.contains(&(resource, name)));
            if has(["clusterroles", "clusterrolebindings"]) == [true, true] {
                granted.insert(name);
                let policy = has(["validatingadmissionpolicies", "validatingadmissionpolicybindings"]);
                ensure!(
                    policy == [true, true],
                    "{name} has rights without a policy after {request:#?}\n{}",
                    told(&requests)
                );
            }
        }
    }
    ensure!(granted.len() == 3, "what was looked for was not there: {}", told(&requests));
    // Each operation changes the policy, and then what runs under it.
    let is_changed = |request: &&Request| {
        let is_looked_at =
            matches!(request.object.resource.as_str(), "daemonsets" | "validatingadmissionpolicies");
        is_looked_at && request.verb != "delete"
    };
    let mut is_policy_new = false;
    for request in requests.iter().filter(is_changed) {
        let is_policy = request.object.resource == "validatingadmissionpolicies";
        ensure!(is_policy || is_policy_new, "pods came before their policy: {}", told(&requests));
        is_policy_new = is_policy;
    }
    Ok(())
}

fn told(requests: &[Request]) -> String {
    let line =
        |request: &Request| format!("{} {}/{}", request.verb, request.object.resource, request.object.name);
    requests.iter().map(line).collect::<Vec<_>>().join("\n")
}
