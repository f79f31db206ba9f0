//! Upgrade and rollback, in the orders that one apply does not have: the policy behind the DaemonSets, and
//! before them.

use anyhow::{Result, anyhow, ensure};
use node_annotator_deploy::{Manifests, Object, Settings};
use node_annotator_tests::{Cluster, Options, wait};

use super::{combined, of_generation, wait_for_value};
use crate::support::{NAMESPACE, add_settled, key, marked, node_of, ours, wait_until_gone};

const NODE: &str = "n1";

#[tokio::test]
async fn policy_and_pods_of_different_generations_write_nothing_wrong_and_end_done() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    add_settled(&cluster, node_of(NODE, "intel-xeon")).await?;
    let [first, second] = ["1", "2"].map(|generation| of_generation(generation, combined("kernel")));
    apply(&cluster, &first, |_| true).await?;
    done(&cluster, &first).await?;

    // New pods under the old policy: an upgrade whose policy comes late, or has not reached every API server.
    let before = ours(&cluster.node(NODE).await?);
    let refused = refusals(&cluster).await?;
    apply(&cluster, &second, |object| !is_policy(object)).await?;
    wait_for_refusal(&cluster, refused, async || Ok(())).await?;
    ensure!(ours(&cluster.node(NODE).await?) == before, "a refused run has changed the Node");
    apply(&cluster, &second, is_policy).await?;
    done(&cluster, &second).await?;

    // Old pods under the new policy, on the way back: the pod of the second generation comes late.
    apply(&cluster, &first, is_policy).await?;
    let before = ours(&cluster.node(NODE).await?);
    let refused = refusals(&cluster).await?;
    let label = key("kernel");
    // Until the policy is in force, which takes up to a second, such a pod still gets through. A label that
    // is taken away before that pod is deleted would keep it: it has run, and nothing would run any more.
    wait_for_refusal(&cluster, refused, async || {
        if cluster.pods(NAMESPACE).await?.is_empty() {
            cluster.label_node(NODE, &label, None).await?;
        }
        Ok(())
    })
    .await?;
    let mut unmarked = before.clone();
    unmarked.retain(|name, _| *name != format!("label {label}"));
    ensure!(ours(&cluster.node(NODE).await?) == unmarked, "a refused run has changed the Node");
    apply(&cluster, &first, |_| true).await?;
    done(&cluster, &first).await
}

async fn apply(cluster: &Cluster, settings: &Settings, chosen: impl Fn(&Object) -> bool) -> Result<()> {
    for object in Manifests::new(settings)?.objects().filter(|object| chosen(object)) {
        cluster.apply(object).await?;
    }
    Ok(())
}

fn is_policy(object: &Object) -> bool {
    matches!(object, Object::ValidatingAdmissionPolicy(_))
}

async fn done(cluster: &Cluster, settings: &Settings) -> Result<()> {
    wait_for_value(cluster, NODE, &key("kernel"), &marked("kernel", &settings.mark)).await?;
    let manifests = Manifests::new(settings)?;
    let sets: Vec<_> = manifests.daemon_sets().filter_map(|set| set.metadata.name.clone()).collect();
    wait_until_gone(cluster, &sets).await?;
    let left = cluster.pods(NAMESPACE).await?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

/// How often a run of ours was refused by admission.
async fn refusals(cluster: &Cluster) -> Result<usize> {
    Ok(cluster.annotator_requests().await?.iter().filter(|request| request.code() == 422).count())
}

async fn wait_for_refusal(
    cluster: &Cluster,
    before: usize,
    make_it_run: impl AsyncFn() -> Result<()>,
) -> Result<()> {
    wait::until("a run to be refused", async || {
        make_it_run().await?;
        let count = refusals(cluster).await?;
        if count > before { Ok(()) } else { Err(anyhow!("{count} refusals")) }
    })
    .await
}
