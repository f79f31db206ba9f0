//! API servers that are down, and runs that are killed: nothing is lost, nothing is half written.

use anyhow::Result;
use node_annotator_tests::{Cluster, NodeSpec, Options};

use crate::support::{Run, add_settled, key, labels, node_of, ours, run, saved};

/// What the binary logs while it cannot reach the API server.
const TRYING_AGAIN: &str = "trying again";

/// What it logs when that took longer than its deadline, and it lingers.
const WRITING_AGAIN: &str = "writing again";

async fn cluster_with_node() -> Result<(Cluster, NodeSpec)> {
    let cluster = Cluster::start(Options::default()).await?;
    let node = node_of("n1", "intel-xeon");
    add_settled(&cluster, node.clone()).await?;
    Ok((cluster, node))
}

#[tokio::test]
async fn an_api_server_that_comes_back_in_time_is_waited_for() -> Result<()> {
    let (cluster, node) = cluster_with_node().await?;
    cluster.stop_api_server();
    let mut waiting = Run::start(&cluster, &node, &[])?;
    waiting.wait_for_log(TRYING_AGAIN).await?;
    cluster.start_api_server().await?;

    let ended = waiting.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(labels(&cluster.node("n1").await?)[&key("kernel")], saved("kernel"));
    Ok(())
}

#[tokio::test]
async fn an_api_server_that_stays_down_ends_the_run_at_its_deadline_and_loses_nothing() -> Result<()> {
    let (cluster, node) = cluster_with_node().await?;
    assert_eq!(run(&cluster, &node, &["--collectors", "kernel"]).await?.code, Some(0));
    let before = cluster.node("n1").await?;

    cluster.stop_api_server();
    let ended = run(&cluster, &node, &["--deadline", "4s", "--publish-budget", "2s"]).await?;
    assert_eq!(ended.code, Some(4), "{}", ended.log);
    let message = ended.report["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("cannot reach the API server"), "{message}");
    assert!(ended.report["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
    assert!(
        ended.report["patch"]["metadata"]["labels"][key("kernel")] == saved("kernel"),
        "{}",
        ended.report
    );

    cluster.start_api_server().await?;
    assert_eq!(ours(&cluster.node("n1").await?), ours(&before));
    Ok(())
}

#[tokio::test]
async fn a_run_that_lingers_outlasts_the_api_servers_absence() -> Result<()> {
    let (cluster, node) = cluster_with_node().await?;
    cluster.stop_api_server();
    let mut waiting =
        Run::start(&cluster, &node, &["--linger", "--deadline", "4s", "--publish-budget", "2s"])?;
    waiting.wait_for_log(WRITING_AGAIN).await?;
    cluster.start_api_server().await?;

    waiting.wait_for_log("the Node is written").await?;
    assert_eq!(labels(&cluster.node("n1").await?)[&key("kernel")], saved("kernel"));
    waiting.kill().await?;
    let written = cluster.annotator_requests().await?.iter().filter(|request| request.code() == 200).count();
    assert_eq!(written, 1);
    Ok(())
}

#[tokio::test]
async fn a_run_killed_before_it_writes_leaves_nothing_and_the_next_one_finishes() -> Result<()> {
    let (cluster, node) = cluster_with_node().await?;
    cluster.stop_api_server();
    let mut killed = Run::start(&cluster, &node, &[])?;
    killed.wait_for_log(TRYING_AGAIN).await?;
    killed.kill().await?;
    cluster.start_api_server().await?;
    assert!(ours(&cluster.node("n1").await?).is_empty());

    assert_eq!(run(&cluster, &node, &[]).await?.code, Some(0));
    assert_eq!(labels(&cluster.node("n1").await?)[&key("kernel")], saved("kernel"));
    Ok(())
}

#[tokio::test]
async fn a_run_killed_right_after_it_wrote_has_lost_nothing() -> Result<()> {
    let (cluster, node) = cluster_with_node().await?;
    let mut killed = Run::start(&cluster, &node, &["--linger"])?;
    killed.wait_for_log("the Node is written").await?;
    killed.kill().await?;
    let before = cluster.node("n1").await?;
    assert_eq!(labels(&before)[&key("kernel")], saved("kernel"));

    assert_eq!(run(&cluster, &node, &[]).await?.code, Some(0));
    let after = cluster.node("n1").await?;
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
    Ok(())
}
