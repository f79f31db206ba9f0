//! One request per run, counted by the API server, and what it changes.

use anyhow::Result;
use node_annotator_tests::metadata::{Answer, MetadataServer};
use node_annotator_tests::{Cluster, Options};
use serde_json::json;

use crate::support::{add_settled, annotations, droplet, key, node_of, ours, run};

#[tokio::test]
async fn a_run_is_one_patch_and_the_same_run_again_changes_nothing() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let node = node_of("n1", "intel-xeon");
    add_settled(&cluster, node.clone()).await?;

    let first = run(&cluster, &node, &[]).await?;
    assert_eq!(first.code, Some(0), "{}", first.log);
    let stored = cluster.node("n1").await?;
    let second = run(&cluster, &node, &[]).await?;
    assert_eq!(second.code, Some(0), "{}", second.log);
    let again = cluster.node("n1").await?;
    assert_eq!(again.metadata.resource_version, stored.metadata.resource_version);
    assert_eq!(again.metadata.managed_fields, stored.metadata.managed_fields);
    assert_eq!(second.report["published"]["resourceVersion"], json!(stored.metadata.resource_version));

    let requests = cluster.annotator_requests().await?;
    assert_eq!(requests.len(), 2, "{requests:#?}");
    for (request, run) in requests.iter().zip([&first, &second]) {
        assert_eq!((request.verb.as_str(), request.code()), ("patch", 200));
        assert_eq!(request.uri, "/api/v1/nodes/n1?fieldManager=node-annotator");
        // What the report shows is what was sent.
        assert_eq!(request.request_object.as_ref(), Some(&run.report["patch"]));
    }
    Ok(())
}

#[tokio::test]
async fn a_fact_that_is_no_longer_there_is_deleted_by_the_same_patch() -> Result<()> {
    let with_reserved_ip = include_str!("../../collectors/fixtures/droplet.metadata/metadata/v1.json");
    let metadata = MetadataServer::start(Answer::ok(with_reserved_ip)).await?;
    let cluster = Cluster::start(Options::default()).await?;
    let node = droplet("n1", &metadata);
    add_settled(&cluster, node.clone()).await?;
    let reserved_ip = key("digital-ocean-anchor-ip.reserved-ip");

    assert_eq!(run(&cluster, &node, &[]).await?.code, Some(0));
    assert_eq!(annotations(&cluster.node("n1").await?)[&reserved_ip], "203.0.113.25");

    metadata.set(Answer::droplet("10.17.0.9"));
    assert_eq!(run(&cluster, &node, &[]).await?.code, Some(0));
    let stored = cluster.node("n1").await?;
    assert!(!annotations(&stored).contains_key(&reserved_ip), "{:?}", ours(&stored));
    assert_eq!(annotations(&stored)[&key("digital-ocean-anchor-ip")], "10.17.0.9");
    assert_eq!(cluster.annotator_requests().await?.len(), 2);
    Ok(())
}
