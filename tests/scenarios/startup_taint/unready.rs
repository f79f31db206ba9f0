//! An API server that has no mutating policy, or has not seen it yet: the run is told, tries again, and loses
//! nothing.

use anyhow::{Result, anyhow, ensure};
use node_annotator_deploy::{Layout, Manifests, Object, Settings};
use node_annotator_tests::audit::Request;
use node_annotator_tests::{Cluster, Options, wait};

use super::{TAINT, is_done, tainting, taints, wait_for_taint_to_go};
use crate::support::{
    COLLECTORS, NAMESPACE, annotations, exit_codes, key, node_of, ours, serves_mutating_policies, starts,
};

#[tokio::test]
async fn a_run_before_the_mutating_policy_is_refused_and_done_after_it() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    cluster.add_node(node_of("n1", "intel-xeon").taint(TAINT, "NoSchedule")).await?;
    let settings = Settings { layout: Layout::Combined, host_network: false, ..tainting() };
    let manifests = Manifests::new(&settings)?;
    let is_mutating = |object: &&Object| object.kind().starts_with("MutatingAdmissionPolicy");
    for object in manifests.objects().filter(|object| !is_mutating(object)) {
        cluster.apply(object).await?;
    }
    wait::until("a run to be refused", async || {
        let requests = cluster.annotator_requests().await?;
        let codes: Vec<_> = requests.iter().map(Request::code).collect();
        if codes.contains(&422) { Ok(()) } else { Err(anyhow!("{codes:?}")) }
    })
    .await?;
    let node = cluster.node("n1").await?;
    ensure!(taints(&node).contains(&TAINT) && ours(&node).is_empty(), "{:?}", ours(&node));
    if !serves_mutating_policies(&cluster).await {
        return Ok(());
    }

    for object in manifests.objects().filter(is_mutating) {
        cluster.apply(object).await?;
    }
    let node = wait_for_taint_to_go(&cluster, "n1").await?;
    assert!(COLLECTORS.iter().all(|collector| is_done(&node, collector)), "{:?}", ours(&node));
    assert!(annotations(&node).contains_key(&key("kernel")), "{:?}", ours(&node));
    cluster.wait_until_done(NAMESPACE, "node-annotator").await?;
    let events = cluster.events().all();
    assert_eq!((starts(&events), exit_codes(&events)), (1, vec![0]), "{events:#?}");
    Ok(())
}
