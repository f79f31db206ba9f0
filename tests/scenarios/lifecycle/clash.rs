//! Two DaemonSets that want different values of one label: a mistake that looks like a working installation.

use anyhow::Result;
use node_annotator_deploy::Manifests;
use node_annotator_tests::kubelet::events::Event;
use node_annotator_tests::{Cluster, Options, wait};

use super::kubectl::Kubectl;
use super::{combined, daemon_sets, of_generation};
use crate::support::{install, key, labels, node_of, settings, starts, wait_until_gone};

#[tokio::test]
async fn two_generations_on_one_label_chase_each_other_until_one_is_pruned() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let kubectl = Kubectl::of(&cluster).await?;
    cluster.add_node(node_of("n1", "intel-xeon")).await?;
    // From one layout to the other with another generation, and nobody deletes the first.
    let first = install(&cluster, &of_generation("1", settings("kernel"))).await?;
    let second = of_generation("2", combined("kernel"));
    let kept = install(&cluster, &second).await?;
    assert_eq!(daemon_sets(&cluster).await?, [&kept[0], &first[0]].map(String::as_str));

    // Each run of one is what makes the other one run.
    let often = |events: &[Event]| (starts(events) >= 6).then_some(());
    cluster.events().wait_for("the nodes to run again and again", often).await?;
    let events = cluster.events().all();
    let of_first = events.iter().filter(|event| event.pod.starts_with(&format!("{}-", first[0]))).cloned();
    let of_first = starts(&of_first.collect::<Vec<_>>());
    assert!(of_first >= 2 && starts(&events) - of_first >= 2, "{events:#?}");

    for command in Manifests::new(&second)?.prune_commands() {
        kubectl.run(command).await?;
    }
    assert_eq!(daemon_sets(&cluster).await?, kept);
    // A pod of the first may still write its label on its way out.
    wait::until("the one that is left to be done", async || {
        wait_until_gone(&cluster, &kept).await?;
        let label = labels(&cluster.node("n1").await?)[&key("kernel")].clone();
        if label == "2" { Ok(()) } else { Err(anyhow::anyhow!("the label says {label}")) }
    })
    .await
}
