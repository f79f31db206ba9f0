//! How often a token gets a write through, told by the times that the API server notes.

use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use node_annotator_tests::wait;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::attempt::{Answer, Attempt, MANAGER, PatchType};
use super::changes::annotation;
use super::refusals::{CLAIMS_KEPT, MANAGED_FIELDS, TOO_SOON};
use super::stage::{POD, Stage};
use crate::support::{key, saved};

/// Times are noted in whole seconds: two of them are between one and three.
const LONGEST: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_token_changes_its_node_once_in_two_seconds() -> Result<()> {
    let stage = Stage::start().await?;
    let error = |text: &str| annotation(&key("kernel.error"), text);
    let no_error = json!({"metadata": {"annotations": {key("kernel.error"): null}}});

    send_in_time(&stage, &error("1")).await?;
    refused(&stage, &error("2"), TOO_SOON).await?;
    let before = stage.node("n1").await?;
    allowed(&stage, &error("1")).await?;
    ensure!(before == stage.node("n1").await?, "the same again changes something");
    let waited = send_in_time(&stage, &error("2")).await?;
    ensure!(waited < LONGEST, "{waited:?}");

    // A collector that has failed and then succeeds takes its error away, and nothing else.
    allowed(&stage, &no_error).await?;
    refused(&stage, &error("3"), TOO_SOON).await?;
    let errors = |text: Value| json!({"metadata": {"annotations": {key("kernel.error"): text, key("cpu-model.error"): text}}});
    send_in_time(&stage, &errors(json!("4"))).await?;
    refused(&stage, &no_error, TOO_SOON).await?;
    allowed(&stage, &errors(Value::Null)).await?;
    // What is unknown stays beside its done label, in nobody's way, and is itself an error like any other
    // while it changes.
    for name in ["kernel", "cpu-model"] {
        allowed(&stage, &json!({"metadata": {"labels": {key(name): saved(name)}}})).await?;
    }
    let unknown = json!({"metadata": {"annotations": {key("kernel.error"): "4", key("cpu-model.error"): "unknown here: 4"}}});
    send_in_time(&stage, &unknown).await?;
    allowed(&stage, &no_error).await?;
    let known = json!({"metadata": {"annotations": {key("cpu-model.error"): null}}});
    refused(&stage, &known, TOO_SOON).await?;
    let less = json!({"metadata": {"annotations": {key("kernel.build"): null}}});
    refused(&stage, &less, TOO_SOON).await?;

    // What is done is written at once, as often as somebody takes the label away.
    for _ in 0..3 {
        stage.cluster.label_node("n1", &key("kernel"), None).await?;
        allowed(&stage, &json!({"metadata": {"labels": {key("kernel"): saved("kernel")}}})).await?;
    }
    // A token can take a failed label away again, where the collector is done: so it does not come as it
    // comes.
    let failed = |value: Value| json!({"metadata": {"labels": {key("kernel.failed"): value}}});
    send_in_time(&stage, &failed(json!(saved("kernel")))).await?;
    allowed(&stage, &failed(Value::Null)).await?;
    refused(&stage, &failed(json!(saved("kernel"))), TOO_SOON).await?;
    the_record_cannot_be_forged(&stage).await?;
    a_stream_is_bounded(&stage).await
}

/// Whatever is done to our own entry, the next write comes too soon.
async fn the_record_cannot_be_forged(stage: &Stage) -> Result<()> {
    send_in_time(stage, &annotation(&key("kernel.error"), "5")).await?;
    let stored = record(stage).await?;
    let forged = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut list = stored.as_array().cloned().unwrap_or_default();
        change(&mut list);
        Value::Array(list)
    };
    let at = |time: &'static str| {
        forged(&|list| {
            let ours = list.iter_mut().filter(|entry| entry["manager"] == MANAGER);
            ours.for_each(|entry| entry["time"] = json!(time));
        })
    };
    let away = forged(&|list| list.retain(|entry| entry["manager"] != MANAGER));
    for (what, list) in
        [("past", at("2020-01-01T00:00:00Z")), ("future", at("2099-01-01T00:00:00Z")), ("away", away)]
    {
        let answer = send(stage, &json!({"metadata": {"managedFields": list}})).await?;
        ensure!(record(stage).await? == stored, "{what}: {answer}");
        let annotations = json!({key("kernel.error"): what});
        let with_change = json!({"metadata": {"managedFields": list, "annotations": annotations}});
        refused(stage, &with_change, TOO_SOON).await?;
    }
    refused(stage, &json!({"metadata": {"managedFields": [{}]}}), MANAGED_FIELDS).await?;
    let wiped = json!({"metadata": {"managedFields": [{}], "annotations": {key("kernel.error"): "6"}}});
    refused(stage, &wiped, CLAIMS_KEPT).await
}

/// As many as one connection carries, each with another value.
async fn a_stream_is_bounded(stage: &Stage) -> Result<()> {
    const WRITES: u32 = 500;
    let started = Instant::now();
    let mut passed = 0;
    for number in 0..WRITES {
        let answer = send(stage, &annotation(&key("kernel.error"), &number.to_string())).await?;
        ensure!(answer.code == 200 || answer.message.contains(TOO_SOON), "{answer}");
        passed += u32::from(answer.code == 200);
    }
    let elapsed = started.elapsed();
    eprintln!("{passed} of {WRITES} writes passed in {:.1} s", elapsed.as_secs_f64());
    let bound = u32::try_from(elapsed.as_secs())? / 2 + 2;
    ensure!(passed <= bound, "{passed} passed in {elapsed:?}");
    Ok(())
}

async fn record(stage: &Stage) -> Result<Value> {
    Ok(stage.node("n1").await?["metadata"]["managedFields"].clone())
}

/// Tries until it passes, and returns how long that took.
async fn send_in_time(stage: &Stage, change: &Value) -> Result<Duration> {
    let started = Instant::now();
    wait::until_within(Duration::from_secs(20), "a write to pass", async || {
        let answer = send(stage, change).await?;
        if answer.code == 200 { Ok(()) } else { Err(anyhow!("{answer}")) }
    })
    .await?;
    Ok(started.elapsed())
}

async fn allowed(stage: &Stage, change: &Value) -> Result<()> {
    let answer = send(stage, change).await?;
    ensure!(answer.code == 200, "{change}: {answer}");
    Ok(())
}

async fn refused(stage: &Stage, change: &Value, says: &str) -> Result<()> {
    let answer = send(stage, change).await?;
    ensure!(answer.code == 422 && answer.message.contains(says), "{change}: {answer}");
    Ok(())
}

async fn send(stage: &Stage, change: &Value) -> Result<Answer> {
    stage.send_as(POD, &Attempt::patch(PatchType::Merge, "n1", change), false).await
}
