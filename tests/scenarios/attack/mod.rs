//! What can be done with a token stolen from a pod of ours, on a real API server under the generated policy.
//!
//! Each case says who the attacker is, what is tried, and what must come of it; no Node may be changed where
//! it is refused.

mod attempt;
mod changes;
mod expire;
mod fact_labels;
mod identities;
mod limits;
mod managed_fields;
mod needed;
mod next_apply;
mod other_requests;
mod plans;
mod queue;
mod rate;
mod refusals;
mod stage;
mod startup_taint;
mod tricks;
mod with_wide_rights;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt as _};
use node_annotator_tests::wait;
use serde_json::Value;
use tokio::time::Instant;

use crate::support::{NAMESPACE, key, wait_for_label};
use attempt::{Attempt, Case, Expected, PatchType};
use stage::Stage;
pub(crate) use stage::{add_pod, client};

#[tokio::test]
async fn a_stolen_token_changes_keys_of_ours_on_its_own_node_and_nothing_else() -> Result<()> {
    let stage = Stage::start().await?;
    let n1 = stage.node("n1").await?;
    let cases = with_our_rights(&n1);
    let mut failures = try_all(&stage, &cases).await?;
    let limits = limits::cases();
    failures.extend(try_all(&stage, &limits).await?);

    stage.grant_wide_rights().await?;
    let wide = with_wide_rights::cases(&n1, &stage.node("n2").await?);
    let proxied = with_wide_rights::proxied();
    failures.extend(try_all(&stage, &wide).await?);
    eprintln!(
        "{} attempts with our rights, {} with wide ones",
        cases.len() + limits.len(),
        wide.len() + proxied.len()
    );
    // What the policy decided before, it decides whatever other rights there are.
    let again: Vec<_> =
        cases.into_iter().filter(|case| !matches!(case.expected, Expected::Refused(403, _))).collect();
    failures.extend(try_all(&stage, &again).await?);
    if failures.is_empty() {
        failures.extend(try_all(&stage, &proxied).await?);
    }
    ensure!(failures.is_empty(), "{} attempts:\n{}", failures.len(), failures.join("\n"));

    a_token_ends_with_its_pod(&stage).await?;
    // After all that, a run does its work.
    stage.cluster.label_node("n1", &key("kernel"), None).await?;
    wait_for_label(&stage.cluster, "n1", &key("kernel")).await?;
    stage.cluster.wait_until_done(NAMESPACE, "node-annotator").await?;
    Ok(())
}

/// What is tried with the rights that the manifests grant; `n1` is as it is stored.
fn with_our_rights(n1: &Value) -> Vec<Case> {
    let groups = [
        changes::cases(),
        tricks::cases(),
        managed_fields::cases(n1),
        identities::cases(),
        other_requests::cases(),
    ];
    groups.concat()
}

/// Not at once: the API server remembers for about ten seconds whom it has let in.
async fn a_token_ends_with_its_pod(stage: &Stage) -> Result<()> {
    let pod = stage::add_pod(&stage.cluster, NAMESPACE, "node-annotator", "n1").await?;
    let client = stage::client(&stage.cluster, NAMESPACE, "node-annotator", Some(&pod)).await?;
    let attempt = Attempt::patch(PatchType::Merge, "n1", &changes::own());
    let answer = attempt.send(&client, true).await?;
    ensure!(answer.code == 200, "{answer}");

    let pods: Api<Pod> = Api::namespaced(stage.cluster.client(), NAMESPACE);
    pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
    let deleted = Instant::now();
    let refusal = wait::until_within(Duration::from_secs(40), "the token to end", async || {
        let answer = attempt.send(&client, true).await?;
        if answer.code == 200 { Err(anyhow::anyhow!("{answer}")) } else { Ok(answer) }
    });
    let refusal = refusal.await?;
    eprintln!("the token of a deleted pod was refused after {:.1} s", deleted.elapsed().as_secs_f64());
    ensure!(refusal.code == 401 && refusal.message == "Unauthorized", "{refusal}");
    Ok(())
}

/// Returns what did not come out as it must.
async fn try_all(stage: &Stage, cases: &[Case]) -> Result<Vec<String>> {
    let mut failures = Vec::new();
    let mut versions = stage.versions().await?;
    for case in cases {
        let before = match case.attempt.node() {
            Some(name) if versions.contains_key(name) => stage.node(name).await?,
            _ => Value::Null,
        };
        let answer = stage.send(case, false).await?;
        let after = stage.versions().await?;
        let changed: Vec<_> =
            versions.keys().filter(|name| versions.get(*name) != after.get(*name)).collect();
        let holds = match case.expected {
            Expected::Refused(..) => versions == after,
            Expected::Done(holds) => {
                let name = case.attempt.node().context("what is allowed is about a node")?;
                holds(&before, &stage.node(name).await?)
            }
        };
        if !holds || !case.expected.fits(&answer) {
            failures.push(format!(
                "{case}\n    expected {}\n    got {answer}; changed: {changed:?}",
                case.expected
            ));
        }
        if versions != after {
            if let Err(error) = stage.restore(&before).await {
                failures.push(format!("the rest is not tried: {error:#}"));
                break;
            }
            versions = stage.versions().await?;
        }
    }
    Ok(failures)
}
