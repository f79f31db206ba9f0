//! Nodes that are kept out, collectors that come later, and DaemonSets that are not wanted any more.

use anyhow::Result;
use node_annotator_deploy::{Manifests, Settings};
use node_annotator_tests::{Cluster, Options};

use super::kubectl::Kubectl;
use super::{combined, daemon_sets, ensure_starts, of_generation, wait_for_value};
use crate::support::{
    COLLECTORS, annotations, install, key, labels, marked, node_of, settings, wait_for_label,
};

#[tokio::test]
async fn the_opt_out_label_keeps_a_node_out() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let opt_out = key("opt-out");
    cluster.add_node(node_of("in", "intel-xeon")).await?;
    cluster.add_node(node_of("out", "intel-xeon").label(&opt_out, "")).await?;
    let sets = install(&cluster, &combined("kernel,cpu-model")).await?;
    wait_for_label(&cluster, "in", &key("kernel")).await?;
    ensure_starts(&cluster, &sets, &[("in", 1), ("out", 0)]).await?;

    // Taken away, the node runs; set again, it never does, whatever is missing.
    cluster.label_node("out", &opt_out, None).await?;
    wait_for_label(&cluster, "out", &key("kernel")).await?;
    ensure_starts(&cluster, &sets, &[("in", 1), ("out", 1)]).await?;
    cluster.label_node("out", &opt_out, Some("for-now")).await?;
    let missing = cluster.label_node("out", &key("kernel"), None).await?;
    let second = of_generation("2", combined("kernel,cpu-model"));
    install(&cluster, &second).await?;
    wait_for_value(&cluster, "in", &key("kernel"), &marked("kernel", &second.mark)).await?;
    ensure_starts(&cluster, &sets, &[("in", 2), ("out", 1)]).await?;
    let node = cluster.node("out").await?;
    assert_eq!(labels(&node), labels(&missing));
    assert!(annotations(&node).contains_key(&key("kernel")), "what was found stays: {node:?}");
    Ok(())
}

#[tokio::test]
async fn a_collector_that_comes_later_runs_where_only_the_others_have() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    for node in ["first", "second"] {
        cluster.add_node(node_of(node, "intel-xeon")).await?;
    }
    let sets = install(&cluster, &combined("cpu-model,kernel")).await?;
    for node in ["first", "second"] {
        wait_for_label(&cluster, node, &key("kernel")).await?;
    }
    ensure_starts(&cluster, &sets, &[("first", 1), ("second", 1)]).await?;

    // One of them has it already, whoever gave it to it. In order of name it stands between the others.
    let added = key("digital-ocean-anchor-ip");
    cluster.label_node("second", &added, Some("by-hand")).await?;
    let later = install(&cluster, &combined(&COLLECTORS.join(","))).await?;
    assert_eq!(later, sets);
    wait_for_label(&cluster, "first", &added).await?;
    ensure_starts(&cluster, &sets, &[("first", 2), ("second", 1)]).await
}

#[tokio::test]
async fn the_prune_commands_leave_what_is_wanted_and_nothing_else() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let kubectl = Kubectl::of(&cluster).await?;
    cluster.add_node(node_of("n1", "intel-xeon")).await?;
    let all = COLLECTORS.join(",");
    let each =
        ["node-annotator-cpu-model", "node-annotator-digital-ocean-anchor-ip", "node-annotator-kernel"];
    let second = |settings| of_generation("2", settings);
    // From one to the other, back, and to a smaller selection; the generation changes on the way.
    let steps: [(Settings, &[&str], usize); 4] = [
        (settings(&all), &each, 3),
        (second(combined(&all)), &["node-annotator"], 4),
        (second(settings(&all)), &each, 4),
        (second(settings("kernel")), &["node-annotator-kernel"], 4),
    ];
    let mut kept: Vec<String> = Vec::new();
    for (settings, expected, starts) in steps {
        let manifests = Manifests::new(&settings)?;
        // Before, since two generations on one label would chase each other.
        for command in manifests.prune_commands() {
            kubectl.run(command).await?;
        }
        let common: Vec<_> = kept.iter().filter(|name| expected.contains(&name.as_str())).cloned().collect();
        assert_eq!(daemon_sets(&cluster).await?, common, "{:?}", manifests.prune_commands());

        let names = install(&cluster, &settings).await?;
        wait_for_value(&cluster, "n1", &key("kernel"), &marked("kernel", &settings.mark)).await?;
        ensure_starts(&cluster, &names, &[("n1", starts)]).await?;
        for command in manifests.prune_commands() {
            assert_eq!(kubectl.run(command).await?.stdout, "No resources found\n", "{command}");
        }
        kept = daemon_sets(&cluster).await?;
        assert_eq!(kept, expected);
    }
    Ok(())
}
