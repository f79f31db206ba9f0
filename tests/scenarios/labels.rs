//! Facts that are labels too, and what the scheduler makes of them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use node_annotator_core::LabelFacts;
use node_annotator_core::key::nfd_name;
use node_annotator_deploy::{Layout, Settings};
use node_annotator_tests::{Cluster, Options, annotator_binary, wait};
use serde_json::json;
use tokio::process::Command;

use crate::support::{
    self, NAMESPACE, add_settled, annotations, install, key, labels, node_of, ours, run, wait_for_label,
    wait_until_gone,
};

/// What the documents name.
const NAMES: [&str; 5] = ["cpu-model.isa-level", "kernel", "kernel.major", "kernel.minor", "virt"];

/// The document whose examples are run.
const DOCUMENT: &str = include_str!("../../docs/labels.md");

fn labelling(collectors: &str, names: &[&str]) -> Settings {
    let settings = Settings { layout: Layout::Combined, ..support::settings(collectors) };
    let collectors: Vec<_> = settings.selection.iter().collect();
    let labels = LabelFacts::parse(names.iter().copied(), &collectors).expect("they are declared");
    Settings { labels, ..settings }
}

/// The labels of facts on a Node, without the prefix.
fn facts(node: &Node) -> BTreeMap<&str, &str> {
    let ours =
        labels(node).iter().filter_map(|(name, value)| Some((name.strip_prefix("k8s.haim.dev/")?, value)));
    ours.filter(|(name, _)| name.contains('.')).map(|(name, value)| (name, value.as_str())).collect()
}

#[tokio::test]
async fn the_scheduler_selects_on_facts_as_documented() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    // Levels 4, 3 and none; kernels 5.14, 6.8 and 6.1.
    let machines = [("old", "intel-xeon"), ("new", "amd-epyc"), ("arm", "neoverse-n1")];
    for (name, fixture) in machines {
        add_settled(&cluster, node_of(name, fixture)).await?;
    }
    let sets = install(&cluster, &labelling("cpu-model,kernel,virt", &NAMES)).await?;
    for (name, _) in machines {
        wait_for_label(&cluster, name, &key("kernel")).await?;
    }
    wait_until_gone(&cluster, &sets).await?;
    let old = cluster.node("old").await?;
    let expected = [
        ("cpu-model.isa-level", "x86-64-v4"),
        ("kernel.major", "5"),
        ("kernel.minor", "14"),
        ("kernel.value", "5.14.0-427.13.1.el9_4.x86_64"),
        ("virt.value", "none"),
    ];
    ensure!(facts(&old) == expected.into(), "{:?}", ours(&old));
    let arm = cluster.node("arm").await?;
    ensure!(!facts(&arm).contains_key("cpu-model.isa-level"), "{:?}", ours(&arm));
    let patches = cluster.annotator_requests().await?;
    ensure!(
        patches.len() == machines.len() && patches.iter().all(|patch| patch.verb == "patch"),
        "{patches:#?}"
    );

    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), "default");
    let is_there = |found: Option<&ServiceAccount>| found.map(drop).ok_or_else(|| "none".to_owned());
    cluster.wait_for_object(accounts, "default", "the account of the namespace", is_there).await?;
    for example in examples()? {
        cluster.apply(&example).await?;
    }
    let bound = wait::until("all examples to be bound", async || bound(&cluster).await).await?;
    ensure!(["old", "new"].contains(&bound["built-for-v3"][0].as_str()), "{bound:?}");
    ensure!(["new", "arm"].contains(&bound["since-linux-5-15"][0].as_str()), "{bound:?}");
    // Four over three kernels: none has more than two.
    for node in ["old", "new", "arm"] {
        let count = bound["over-kernels"].iter().filter(|name| *name == node).count();
        ensure!((1..=2).contains(&count), "{bound:?}");
    }
    Ok(())
}

/// The objects in the document.
fn examples() -> Result<Vec<DynamicObject>> {
    let blocks = DOCUMENT.split("```yaml\n").skip(1);
    let objects: Vec<_> = blocks
        .map(|block| {
            let (text, _) = block.split_once("```").context("a block that does not end")?;
            Ok(serde_saphyr::from_str::<DynamicObject>(text)?)
        })
        .collect::<Result<_>>()?;
    ensure!(objects.len() == 3, "{} examples", objects.len());
    Ok(objects)
}

/// The nodes of the pods of each example, once all are bound.
async fn bound(cluster: &Cluster) -> Result<BTreeMap<String, Vec<String>>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), "default");
    let mut bound = BTreeMap::<_, Vec<_>>::new();
    for pod in pods.list(&ListParams::default()).await? {
        let app = pod.metadata.labels.and_then(|labels| labels.get("app").cloned());
        let name = app.or(pod.metadata.name).unwrap_or_default();
        let node = pod.spec.and_then(|spec| spec.node_name);
        bound.entry(name.clone()).or_default().push(node.with_context(|| format!("{name} is not bound"))?);
    }
    let count: usize = bound.values().map(Vec::len).sum();
    ensure!(count == 6, "{bound:?}");
    Ok(bound)
}

#[tokio::test]
async fn the_label_of_a_fact_comes_and_goes_with_it_in_one_patch() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let (fast, slow) = (node_of("n1", "intel-xeon"), node_of("n1", "neoverse-n1"));
    add_settled(&cluster, fast.clone()).await?;
    let arguments = ["--collectors=cpu-model", "--labels=cpu-model.isa-level,cpu-model"];
    let ended = run(&cluster, &fast, &arguments).await?;
    ensure!(ended.code == Some(0), "{}", ended.log);
    let stored = cluster.node("n1").await?;
    let expected =
        [("cpu-model.isa-level", "x86-64-v4"), ("cpu-model.value", "Intel_R_Xeon_R_Gold_6338_CPU_2.00GHz")];
    ensure!(facts(&stored) == expected.into(), "{:?}", ours(&stored));
    let told = &ended.report["labels"];
    ensure!(told[key("cpu-model.isa-level")] == "x86-64-v4", "{told}");

    let again = run(&cluster, &fast, &arguments).await?;
    ensure!(
        again.report["published"]["resourceVersion"] == json!(stored.metadata.resource_version),
        "{again:?}"
    );

    let ended = run(&cluster, &slow, &arguments).await?;
    ensure!(ended.code == Some(0), "{}", ended.log);
    let stored = cluster.node("n1").await?;
    ensure!(facts(&stored) == [("cpu-model.value", "Neoverse-N1")].into(), "{:?}", ours(&stored));
    ensure!(!annotations(&stored).contains_key(&key("cpu-model.isa-level")), "{:?}", ours(&stored));

    // What is not named any more is nobody's.
    let ended = run(&cluster, &fast, &["--collectors=cpu-model"]).await?;
    ensure!(ended.code == Some(0) && ended.report.get("labels").is_none(), "{ended:?}");
    ensure!(facts(&cluster.node("n1").await?) == facts(&stored), "{:?}", ours(&stored));

    let requests = cluster.annotator_requests().await?;
    ensure!(requests.len() == 4, "one PATCH each: {requests:#?}");
    let sent = &requests[0].request_object.as_ref().context("no body")?["metadata"]["labels"];
    let expected = json!({
        key("cpu-model"): "saved", key("cpu-model.failed"): null,
        key("cpu-model.isa-level"): "x86-64-v4",
        key("cpu-model.value"): "Intel_R_Xeon_R_Gold_6338_CPU_2.00GHz",
    });
    ensure!(*sent == expected, "{sent:#}");
    Ok(())
}

/// The cost of a policy is bounded by the server, and grows with each label.
#[tokio::test]
async fn every_fact_that_can_be_a_label_may_be_one() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let settings = Settings { host_network: true, ..support::settings("all") };
    let collectors: Vec<_> = settings.selection.iter().collect();
    let names = collectors.iter().flat_map(|collector| {
        let name =
            |fact: &node_annotator_core::Fact| node_annotator_core::key::fact_name(collector.name, fact.name);
        collector.facts.iter().map(name)
    });
    let names: Vec<_> =
        names.filter(|name| LabelFacts::parse([name.as_str()], &collectors).is_ok()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    eprintln!("{} facts can be labels", names.len());
    let labels = LabelFacts::parse(names, &collectors)?;
    let settings = Settings { labels, layout: Layout::Combined, ..settings };
    add_settled(&cluster, node_of("n1", "intel-xeon")).await?;
    install(&cluster, &settings).await?;
    let node = wait_for_label(&cluster, "n1", &key("kernel")).await?;
    ensure!(facts(&node).len() > 50, "{:?}", facts(&node));
    cluster.wait_until_done(NAMESPACE, "node-annotator").await?;
    Ok(())
}

/// The labels of Node Feature Discovery on a Node, by their names.
fn of_nfd(node: &Node) -> BTreeMap<&str, &str> {
    let labels = labels(node).iter();
    labels.filter_map(|(key, value)| Some((nfd_name(key)?, value.as_str()))).collect()
}

/// Runs a command of an operator, and returns its exit code and what it says.
async fn operate(cluster: &Cluster, arguments: &[&str]) -> Result<(i32, String)> {
    let output = Command::new(annotator_binary()?)
        .args(arguments)
        .env_clear()
        .env("NODE_ANNOTATOR_KUBECONFIG", cluster.kubeconfig())
        .process_group(cluster.process_group())
        .kill_on_drop(true)
        .output()
        .await?;
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    Ok((output.status.code().context("ended by a signal")?, said.concat()))
}

#[tokio::test]
async fn labels_of_node_feature_discovery_come_and_go_where_it_does_not_run() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    add_settled(&cluster, node_of("n1", "intel-xeon")).await?;
    // By hand: it stays.
    let by_hand = "feature.node.kubernetes.io/pci-0302_10de.present";
    cluster.label_node("n1", by_hand, Some("true")).await?;
    let sets = install(&cluster, &labelling("cpu-features,cpu-model,kernel,virt", &["nfd"])).await?;
    wait_for_label(&cluster, "n1", &key("kernel")).await?;
    wait_until_gone(&cluster, &sets).await?;
    let node = cluster.node("n1").await?;
    let told = of_nfd(&node);
    for (name, value) in [
        ("cpu-cpuid.AVX512F", "true"),
        ("cpu-cpuid.X86_64_V4", "true"),
        ("cpu-model.family", "6"),
        ("cpu-model.hypervisor", "none"),
        ("cpu-model.vendor_id", "Intel"),
        ("kernel-version.full", "5.14.0-427.13.1.el9_4.x86_64"),
        ("kernel-version.revision", "0"),
    ] {
        ensure!(told.get(name) == Some(&value), "{name}: {told:?}");
    }
    ensure!(facts(&node).is_empty() && !told.contains_key("cpu-cpuid.SVM"), "{:?}", labels(&node));
    ensure!(cluster.annotator_requests().await?.len() == 1, "one PATCH for all of it");
    // What it tries comes too soon after the run at first.
    wait::until("doctor to find nothing", async || match operate(&cluster, &["doctor"]).await? {
        (0, _) => Ok(()),
        (_, said) => Err(anyhow::anyhow!("{said}")),
    })
    .await?;
    ensure!(operate(&cluster, &["status"]).await?.0 == 0, "nothing is wrong");

    let annotation = "nfd.node.kubernetes.io/feature-labels";
    annotate(&cluster, annotation, Some("cpu-cpuid.AVX512F")).await?;
    let (code, said) = operate(&cluster, &["doctor"]).await?;
    ensure!(code == 3 && said.contains("Node Feature Discovery runs on 1 nodes, such as `n1`"), "{said}");
    let (code, said) = operate(&cluster, &["status"]).await?;
    ensure!(code == 3 && said.contains("error: Node Feature Discovery runs on 1 nodes"), "{said}");

    // What it looks after is left to it.
    let count = told.len();
    let (_, said) = operate(&cluster, &["clean", "--yes"]).await?;
    ensure!(of_nfd(&cluster.node("n1").await?).len() == count, "{said}");
    annotate(&cluster, annotation, None).await?;
    for set in &sets {
        let sets: Api<DaemonSet> = Api::namespaced(cluster.client(), NAMESPACE);
        sets.delete(set, &DeleteParams::default()).await?;
    }
    wait::until("pods to be gone", async || {
        let left = cluster.pods(NAMESPACE).await?.len();
        if left == 0 { Ok(()) } else { Err(anyhow::anyhow!("{left}")) }
    })
    .await?;
    let (_, said) = operate(&cluster, &["clean", "--yes"]).await?;
    let node = cluster.node("n1").await?;
    ensure!(of_nfd(&node) == [("pci-0302_10de.present", "true")].into(), "{said}{:?}", labels(&node));
    ensure!(ours(&node).is_empty(), "{:?}", ours(&node));
    Ok(())
}

async fn annotate(cluster: &Cluster, name: &str, value: Option<&str>) -> Result<()> {
    let nodes: Api<Node> = Api::all(cluster.client());
    let change = json!({"metadata": {"annotations": {name: value}}});
    nodes.patch("n1", &PatchParams::default(), &Patch::Merge(change)).await?;
    Ok(())
}
