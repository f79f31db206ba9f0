//! Two DaemonSets that want different values of one label: the policy is that of the one that was applied
//! last.

use anyhow::Result;
use node_annotator_deploy::Manifests;
use node_annotator_tests::kubelet::events::Event;
use node_annotator_tests::{Cluster, Options};

use super::kubectl::Kubectl;
use super::{combined, daemon_sets, of_generation, wait_for_value};
use crate::support::{install, key, labels, marked, node_of, settings, starts, wait_until_gone};

#[tokio::test]
async fn a_left_over_of_another_generation_is_refused_and_does_not_chase_the_newer_one() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let kubectl = Kubectl::of(&cluster).await?;
    cluster.add_node(node_of("n1", "intel-xeon")).await?;
    // From one layout to the other with another generation, and nobody deletes the first.
    let first = install(&cluster, &of_generation("1", settings("kernel"))).await?;
    let second = of_generation("2", combined("kernel"));
    let kept = install(&cluster, &second).await?;
    assert_eq!(daemon_sets(&cluster).await?, [&kept[0], &first[0]].map(String::as_str));

    // The policy lets the newer value alone be written, which makes the left-over run, in vain.
    wait_for_value(&cluster, "n1", &key("kernel"), &marked("kernel", &second.mark)).await?;
    let is_of_first = |event: &Event| event.pod.starts_with(&format!("{}-", first[0]));
    let tried = |events: &[Event]| {
        let of_first: Vec<_> = events.iter().filter(|event| is_of_first(event)).cloned().collect();
        (starts(&of_first) >= 1).then_some(())
    };
    cluster.events().wait_for("the left-over to run", tried).await?;
    assert_eq!(labels(&cluster.node("n1").await?)[&key("kernel")], marked("kernel", &second.mark));

    for command in Manifests::new(&second)?.prune_commands() {
        kubectl.run(command).await?;
    }
    assert_eq!(daemon_sets(&cluster).await?, kept);
    wait_until_gone(&cluster, &kept).await?;
    assert_eq!(labels(&cluster.node("n1").await?)[&key("kernel")], marked("kernel", &second.mark));
    Ok(())
}
