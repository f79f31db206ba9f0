//! What a stolen token can do about the labels of facts.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use node_annotator_core::LabelFacts;
use node_annotator_core::key::nfd_label;
use node_annotator_deploy::policy::Scope;
use node_annotator_deploy::{Manifests, Object, Settings};
use node_annotator_tests::{Cluster, NodeSpec, Options};
use serde_json::{Value, json};

use super::attempt::{Case, Expected, MANAGER, PatchType, in_types};
use super::changes::label;
use super::managed_fields::{entry, with_entries};
use super::needed::each_condition_is_needed;
use super::refusals::{CLAIMS, LABELS, LABELS_KEPT, OWN_NODE, TOO_SOON};
use super::stage::{INVENTORY, Stage, add_pod, client};
use super::try_all;
use crate::support::{COLLECTORS, NAMESPACE, add_settled, key, saved, settings};

/// All is done on its node, `n1`, which has labels of facts.
/// What has to hold of a Node before and after.
type Holds = fn(&Value, &Value) -> bool;

const DONE: &str = "a pod of ours on a node that is done";
/// The same, and by the record of its node a run has just written there.
const BUSY: &str = "a pod of ours on a node that was written a moment ago";
/// Nothing is done on its node, and one collector was given up.
const NEW: &str = "a pod of ours on a new node";

#[tokio::test]
async fn a_stolen_token_sets_the_labels_of_facts_that_were_installed_and_no_other() -> Result<()> {
    let stage = start().await?;
    let cases = [
        what_is_allowed(),
        what_is_refused(),
        a_moment_after_a_write(),
        in_the_record(&stage.node("n1").await?),
    ]
    .concat();
    let failures = try_all(&stage, &cases).await?;
    eprintln!("{} attempts", cases.len());
    ensure!(failures.is_empty(), "{} attempts:\n{}", failures.len(), failures.join("\n"));

    let scope = Scope::new(&labelling());
    let about_labels = ["labels", "labels-kept", "claims", "rate"];
    each_condition_is_needed(&stage, DONE, &scope, |rule, _| about_labels.contains(&rule.id), &cases).await
}

/// Facts of two collectors, one of them a primary one, and what they tell under keys of another program.
fn labelling() -> Settings {
    let settings = settings(&COLLECTORS.join(","));
    let collectors: Vec<_> = settings.selection.iter().collect();
    let labels = LabelFacts::parse(["cpu-model", "kernel.major", "nfd"], &collectors);
    Settings { labels: labels.expect("they are declared"), ..settings }
}

/// The policy and the rights, and nothing that runs by itself.
async fn start() -> Result<Stage> {
    let cluster = Cluster::start(Options::default()).await?;
    for object in Manifests::new(&labelling())?.objects().filter(|it| !matches!(it, Object::DaemonSet(_))) {
        cluster.apply(object).await?;
    }
    let done =
        |node: NodeSpec| COLLECTORS.iter().fold(node, |node, name| node.label(&key(name), &saved(name)));
    let given_up = NodeSpec::new("new").label(&key("kernel.failed"), &saved("kernel"));
    let mut attackers = BTreeMap::new();
    for (who, node) in
        [(DONE, done(NodeSpec::new("n1"))), (BUSY, done(NodeSpec::new("busy"))), (NEW, given_up)]
    {
        let name = node.name.clone();
        add_settled(&cluster, node).await?;
        let pod = add_pod(&cluster, NAMESPACE, "node-annotator", &name).await?;
        attackers.insert(who, client(&cluster, NAMESPACE, "node-annotator", Some(&pod)).await?);
    }
    let stage = Stage::with(cluster, attackers);
    let nodes: Api<Node> = Api::all(stage.cluster.client());
    for name in ["n1", "busy"] {
        // One label is somebody's by the record, one of an option that was there before.
        let foreign = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"labels": {
                key("kernel.major"): "5", key("kernel.minor"): "15", "example.com/check.failed": "no",
            }},
        });
        nodes.patch(name, &PatchParams::apply(INVENTORY).force(), &Patch::Apply(&foreign)).await?;
    }
    let change = &what_is_allowed()[0];
    stage.wait_for(DONE, &change.attempt, change.expected).await?;
    stage.wait_for(BUSY, &change.attempt, Expected::Refused(422, OWN_NODE)).await?;
    let written = json!({"metadata": {"annotations": {key("kernel"): "6", key("kernel.error"): "x"}}});
    let ours = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    nodes.patch("busy", &ours, &Patch::Merge(written)).await?;
    let mut busy = stage.node("busy").await?;
    let record = busy["metadata"]["managedFields"].as_array_mut().context("no record")?;
    let of_run = record.iter_mut().find(|entry| entry["manager"] == MANAGER);
    of_run.context("no run has written")?["time"] = json!("2099-01-01T00:00:00Z");
    // Times alone are not stored.
    let later = json!({"metadata": {"managedFields": record, "labels": {"example.com/pool": "gold"}}});
    nodes.patch("busy", &PatchParams::default(), &Patch::Merge(&later)).await?;
    Ok(stage)
}

fn labels(labels: &[(&str, Option<&str>)]) -> Value {
    let labels = labels.iter().map(|(name, value)| (key(name), json!(value)));
    json!({"metadata": {"labels": labels.collect::<serde_json::Map<_, _>>()}})
}

fn what_is_allowed() -> Vec<Case> {
    let kernel = saved("kernel");
    let with_fact = json!({"metadata": {
        "labels": {key("kernel.major"): null}, "annotations": {key("kernel.major"): "6"},
    }});
    let rows: [(_, _, _, _, Holds); 6] = [
        ("the label of a fact", DONE, "n1", labels(&[("kernel.major", Some("6"))]), |_, after| {
            after["metadata"]["labels"][key("kernel.major")] == "6"
        }),
        ("that of a primary fact", DONE, "n1", labels(&[("cpu-model.value", Some("Z80"))]), |_, after| {
            after["metadata"]["labels"][key("cpu-model.value")] == "Z80"
        }),
        ("the label of a fact away, and the fact another", DONE, "n1", with_fact, |_, after| {
            after["metadata"]["labels"][key("kernel.major")].is_null()
        }),
        (
            "the done label and the label of a fact",
            NEW,
            "new",
            labels(&[("kernel", Some(&kernel)), ("kernel.major", Some(""))]),
            |_, after| after["metadata"]["labels"][key("kernel.major")] == "",
        ),
        (
            "the label of another program that the operator listed",
            DONE,
            "n1",
            label(&nfd_label("kernel-version.major"), "6"),
            |_, after| after["metadata"]["labels"][nfd_label("kernel-version.major")] == "6",
        ),
        (
            "another value that is not true",
            DONE,
            "n1",
            labels(&[("kernel.major", Some("99")), ("cpu-model.value", Some("the_best"))]),
            |_, after| after["metadata"]["labels"][key("cpu-model.value")] == "the_best",
        ),
    ];
    let cases = rows.into_iter().flat_map(|(what, who, node, change, holds)| {
        in_types(&PatchType::PATCHES, who, (what, node, &change), Expected::Done(holds))
    });
    cases.collect()
}

fn what_is_refused() -> Vec<Case> {
    let refused = |says| Expected::Refused(422, says);
    let one = |name: &str, value: Option<&str>| labels(&[(name, value)]);
    let rows = [
        ("on another node", DONE, "new", one("kernel.major", Some("6")), refused(OWN_NODE)),
        // By the server, before any policy.
        (
            "to what no label can be",
            DONE,
            "n1",
            one("kernel.major", Some("a b")),
            refused("metadata.labels: Invalid value"),
        ),
        (
            "to what is too long for a label",
            DONE,
            "n1",
            one("kernel.major", Some(&"x".repeat(64))),
            refused("must be no more than 63"),
        ),
        ("of a fact that was not installed", DONE, "n1", one("kernel.minor", Some("6")), refused(LABELS)),
        (
            "of a primary fact that was not installed",
            DONE,
            "n1",
            one("kernel.value", Some("6")),
            refused(LABELS),
        ),
        (
            "of a collector that was not installed",
            DONE,
            "n1",
            one("virt.value", Some("kvm")),
            refused(LABELS),
        ),
        (
            "of another program, which no installed collector tells",
            DONE,
            "n1",
            label(&nfd_label("cpu-cpuid.AVX2"), "true"),
            refused(LABELS),
        ),
        (
            "of another program, which none tells",
            DONE,
            "n1",
            label(&nfd_label("mine"), "true"),
            refused(LABELS),
        ),
        ("under another prefix", DONE, "n1", label("example.com/kernel.major", "6"), refused(LABELS)),
        ("of a fact in the place of the done label", DONE, "n1", one("kernel", Some("6")), refused(LABELS)),
        (
            "of a fact in the place of the failed label",
            DONE,
            "n1",
            one("kernel.failed", Some("6")),
            refused(LABELS),
        ),
        (
            "and that of a role",
            DONE,
            "n1",
            json!({"metadata": {"labels": {
                key("kernel.major"): "6", "node-role.kubernetes.io/control-plane": "",
            }}}),
            refused(LABELS),
        ),
        (
            "that an option does not name any more, away",
            DONE,
            "n1",
            one("kernel.minor", None),
            refused(LABELS_KEPT),
        ),
        ("that is a done label, away", DONE, "n1", one("kernel", None), refused(LABELS_KEPT)),
        (
            "of others that ends as ours, away",
            DONE,
            "n1",
            json!({"metadata": {"labels": {"example.com/check.failed": null}}}),
            refused(LABELS_KEPT),
        ),
        ("that is a failed label, away", NEW, "new", one("kernel.failed", None), refused(LABELS_KEPT)),
        ("alone away, of which no time is noted", DONE, "n1", one("kernel.major", None), refused(TOO_SOON)),
    ];
    let mut cases: Vec<_> = rows
        .into_iter()
        .flat_map(|(what, who, node, change, expected)| {
            in_types(&PatchType::PATCHES, who, (&format!("a label {what}"), node, &change), expected)
        })
        .collect();
    let applied = [PatchType::ForcedApply];
    let what = ("the label of a fact, applied", "n1", &one("cpu-model.value", Some("Z80")));
    cases.extend(in_types(&applied, DONE, what, refused(CLAIMS)));
    cases
}

/// Done labels are exempt from the rate, and labels of facts are not.
fn a_moment_after_a_write() -> Vec<Case> {
    let too_soon = Expected::Refused(422, TOO_SOON);
    let error_away = json!({"metadata": {"annotations": {key("kernel.error"): null}}});
    let mut both_away = error_away.clone();
    both_away["metadata"]["labels"] = json!({key("kernel.major"): null});
    let rows = [
        ("the label of a fact", labels(&[("kernel.major", Some("6"))]), too_soon),
        ("a new one", labels(&[("cpu-model.value", Some("Z80"))]), too_soon),
        ("one away", labels(&[("kernel.major", None)]), too_soon),
        ("one away, with an error that is over", both_away, too_soon),
        (
            "an error that is over",
            error_away,
            Expected::Done(|_, after| after["metadata"]["annotations"][key("kernel.error")].is_null()),
        ),
    ];
    let cases = rows.into_iter().flat_map(|(what, change, expected)| {
        in_types(&PatchType::PATCHES, BUSY, (what, "busy", &change), expected)
    });
    cases.collect()
}

/// Labels of facts are claimed by runs, and by nobody else in the same write.
fn in_the_record(n1: &Value) -> Vec<Case> {
    let refused = Expected::Refused(422, CLAIMS);
    let claim = |name: &str| json!({"f:metadata": {"f:labels": {format!("f:{}", key(name)): {}}}});
    let record = n1["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let mut cases = Vec::new();
    for (what, manager, name) in [
        ("one that was not installed, for a run", MANAGER, "kernel.minor"),
        ("an installed one for somebody else", "pin", "kernel.major"),
    ] {
        let record: Vec<_> = record.iter().cloned().chain([entry(manager, "Update", &claim(name))]).collect();
        let change = with_entries(&record);
        let what = format!("a claim of a label: {what}");
        cases.extend(in_types(&[PatchType::Merge], DONE, (&what, "n1", &change), refused));
    }
    cases
}
