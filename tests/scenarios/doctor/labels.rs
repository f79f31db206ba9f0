//! The labels of facts: some are missing, or left over, and the commands that `doctor` names mend it.

use anyhow::{Result, ensure};
use node_annotator_core::LabelFacts;
use node_annotator_deploy::Settings;
use node_annotator_tests::Cluster;

use super::{run, start, wait_for};
use crate::support::{NAMESPACE, install, key, labels, ours, wait_for_label};

fn labelling(settings: Settings, names: &[&str]) -> Settings {
    let collectors: Vec<_> = settings.selection.iter().collect();
    let labels = LabelFacts::parse(names.iter().copied(), &collectors).expect("they are declared");
    Settings { labels, ..settings }
}

async fn rerun(cluster: &Cluster, collector: &str) -> Result<()> {
    cluster.label_node("intel", &key(collector), None).await?;
    wait_for_label(cluster, "intel", &key(collector)).await?;
    cluster.wait_until_done(NAMESPACE, &format!("node-annotator-{collector}")).await?;
    Ok(())
}

#[tokio::test]
async fn labels_that_are_missing_or_left_over_are_told_with_what_mends_it() -> Result<()> {
    let (cluster, settings) = start().await?;
    let labelled = labelling(settings.clone(), &["kernel.major", "cpu-model"]);
    install(&cluster, &labelled).await?;
    // The node was done before.
    let seen = wait_for(&cluster, &[("fact-labels", "WARN")]).await?;
    let finding = &seen.check("fact-labels").finding;
    ensure!(finding.ends_with("those of `cpu-model` on 1, such as `intel`"), "{finding}");
    ensure!(seen.hint("fact-labels").ends_with("rerun --collectors cpu-model,kernel"), "{seen:?}");
    for collector in ["cpu-model", "kernel"] {
        rerun(&cluster, collector).await?;
    }
    wait_for(&cluster, &[]).await?;

    // Fewer are named.
    install(&cluster, &labelling(settings.clone(), &["cpu-model"])).await?;
    let seen = wait_for(&cluster, &[("fact-labels", "WARN")]).await?;
    let finding = &seen.check("fact-labels").finding;
    ensure!(finding.ends_with("`k8s.haim.dev/kernel.major` on 1"), "{finding}");
    let (_, command) = seen.hint("fact-labels").split_once("kubectl alone: ").unwrap_or_default();
    ensure!(command == "kubectl label nodes --all k8s.haim.dev/kernel.major-", "{seen:?}");
    rerun(&cluster, "kernel").await?;
    let node = cluster.node("intel").await?;
    ensure!(labels(&node).contains_key(&key("kernel.major")), "a run leaves it alone: {:?}", ours(&node));
    cluster.label_node("intel", &key("kernel.major"), None).await?;
    wait_for(&cluster, &[]).await?;

    // The pods still set what the policy does not know any more.
    install(&cluster, &labelled).await?;
    super::restore(&cluster, &settings, "ValidatingAdmissionPolicy").await?;
    let expected = [("fact-labels", "WARN"), ("policy-covers", "FAIL")];
    let seen = wait_for(&cluster, &expected).await?;
    ensure!(seen.check("policy-covers").finding.contains("(label `k8s.haim.dev/cpu-model.value`)"), "{seen}");
    let hint = seen.hint("policy-covers");
    ensure!(hint.contains("--collectors cpu-model,kernel --labels cpu-model,kernel.major |"), "{hint}");

    let (code, text) = run(&cluster, &cluster.kubeconfig(), &[]).await?;
    ensure!(code == 3 && text.contains("fact-labels"), "{text}");
    Ok(())
}
