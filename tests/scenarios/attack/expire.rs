//! What can be done with a token stolen from a pod of the CronJob that runs again what is stale: it may take
//! done and failed labels away, on any node.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use node_annotator_deploy::policy::{self, Scope};
use node_annotator_deploy::{Manifests, Object, Settings};
use node_annotator_tests::{Cluster, NodeSpec, Options};
use serde_json::{Value, json};

use super::attempt::{Attempt, Case, Expected, MANAGER, PatchType, in_types};
use super::managed_fields::{entry, more};
use super::needed::each_condition_of;
use super::refusals::{MANAGED_FIELDS, OWNERSHIP, SPEC, UPDATE};
use super::stage::{INVENTORY, Stage, add_pod, client};
use super::try_all;
use crate::support::{COLLECTORS, add_settled, key, saved, settings};

const NAMESPACE: &str = "node-annotator-expire";

/// A pod of the CronJob, whose token was stolen.
const EXPIRE: &str = "a pod of the CronJob";
/// As `kubectl create token` makes it.
const UNBOUND: &str = "the CronJob's account with a token that is bound to no pod";
/// Somebody who may impersonate accounts, and names another group.
const IMPERSONATOR: &str = "somebody who impersonates the CronJob's account without its groups";
/// The account that each namespace has.
const NO_RIGHTS: &str = "an account of the CronJob's namespace without rights";

const POD: &str = "only a pod may do that, with a token that is bound to it";
const LABELS: &str = "no label may be set";
const LABELS_KEPT: &str =
    "of labels only `k8s.haim.dev/<collector>` and `k8s.haim.dev/<collector>.failed` of the installed";
const ANNOTATIONS: &str = "no annotation may be set or removed";
const CLAIMS: &str = "in managed fields nobody may claim more than before, or at another time";
const CLAIMS_KEPT: &str = "managed fields may lose nothing but the labels that are removed";

/// Far wider than what we ask for.
const WIDE_RIGHTS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: wide}
rules:
- {apiGroups: [''], resources: [nodes, nodes/status, nodes/finalizers], verbs: ['*']}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: wide}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: wide}
subjects:
- {kind: ServiceAccount, name: node-annotator, namespace: node-annotator-expire}
";

#[tokio::test]
async fn a_token_of_the_cron_job_takes_done_and_failed_labels_away_and_does_nothing_else() -> Result<()> {
    let settings = Settings { expire: Some("@hourly".parse()?), ..settings(&COLLECTORS.join(",")) };
    let stage = start(&settings).await?;
    let n1 = stage.node("n1").await?;
    let refused_by_rights = other_requests();
    let cases = [removals(), changes(), of_the_record(&n1)?, identities(), refused_by_rights].concat();
    let mut failures = try_all(&stage, &cases).await?;

    stage.cluster.apply_yaml(WIDE_RIGHTS).await?;
    let read = Attempt::new("GET", "/api/v1/nodes/n1", Value::Null);
    stage.wait_for(EXPIRE, &read, Expected::Done(|_, _| true)).await?;
    let wide = with_wide_rights(&n1);
    failures.extend(try_all(&stage, &wide).await?);
    eprintln!("{} attempts with its rights, {} with wide ones", cases.len(), wide.len());
    ensure!(failures.is_empty(), "{} attempts:\n{}", failures.len(), failures.join("\n"));

    let scope = Scope::new(&settings);
    let cases: Vec<_> = cases.into_iter().chain(wide).collect();
    let generated = |rules| policy::expire_policy(&scope, rules);
    each_condition_of(&stage, EXPIRE, (&policy::expire_rules(&scope), &generated), |_, _| true, &cases).await
}

/// The policies and the rights, and nothing that runs by itself.
async fn start(settings: &Settings) -> Result<Stage> {
    let cluster = Cluster::start(Options::default()).await?;
    let runs_by_itself = |object: &&Object| matches!(object, Object::DaemonSet(_) | Object::CronJob(_));
    let manifests = Manifests::new(settings)?;
    for object in manifests.objects().filter(|object| !runs_by_itself(object)) {
        cluster.apply(object).await?;
    }
    for name in ["n1", "n2"] {
        let node = NodeSpec::new(name).label(&key("opt-out"), "").label(&key("site-rack"), "r1");
        add_settled(&cluster, node).await?;
        furnish(&cluster, name).await?;
    }
    let mut attackers = BTreeMap::new();
    for (who, account) in [(EXPIRE, "node-annotator"), (NO_RIGHTS, "default")] {
        let pod = add_pod(&cluster, NAMESPACE, account, "n1").await?;
        attackers.insert(who, client(&cluster, NAMESPACE, account, Some(&pod)).await?);
    }
    attackers.insert(UNBOUND, client(&cluster, NAMESPACE, "node-annotator", None).await?);
    let user = format!("system:serviceaccount:{NAMESPACE}:node-annotator");
    attackers.insert(IMPERSONATOR, cluster.control_plane().client_as(&user, &["developers"]).await?);
    let stage = Stage::with(cluster, attackers);
    let away = Attempt::patch(PatchType::Merge, "n1", &without(&["kernel"]));
    stage.wait_for(EXPIRE, &away, Expected::Done(|_, _| true)).await?;
    stage.wait_for(UNBOUND, &away, Expected::Refused(422, POD)).await?;
    Ok(stage)
}

/// What runs and others have written, each under its name.
async fn furnish(cluster: &Cluster, name: &str) -> Result<()> {
    let nodes: Api<Node> = Api::all(cluster.client());
    let by =
        |manager: &str| PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    let run = json!({"metadata": {
        "labels": {key("kernel"): saved("kernel"), key("cpu-model.failed"): saved("cpu-model")},
        "annotations": {
            key("kernel"): "6.8.0", key("kernel.boot-id"): "1bd2a6f4", key("cpu-model.error"): "no luck",
        },
    }});
    nodes.patch(name, &by(MANAGER), &Patch::Merge(&run)).await?;
    // A manager that has nothing else, and one that applies.
    let other = json!({"metadata": {"labels": {key("digital-ocean-anchor-ip"): "saved"}}});
    nodes.patch(name, &by("by-hand"), &Patch::Merge(&other)).await?;
    let applied = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "labels": {"example.com/pool": "gold", key("kernel.failed"): saved("kernel")},
            "finalizers": ["example.com/keep"],
        },
        "spec": {"taints": [{"key": "example.com/reserved", "value": "yes", "effect": "NoSchedule"}]},
    });
    nodes.patch(name, &PatchParams::apply(INVENTORY).force(), &Patch::Apply(&applied)).await?;
    Ok(())
}

/// Takes labels of ours away.
fn without(names: &[&str]) -> Value {
    let labels: serde_json::Map<_, _> = names.iter().map(|name| (key(name), Value::Null)).collect();
    json!({"metadata": {"labels": labels}})
}

fn with(mut change: Value, field: &str, value: Value) -> Value {
    change[field] = value;
    change
}

/// What has to hold of a Node before and after.
type Holds = fn(&Value, &Value) -> bool;

/// Everything that it is for.
fn removals() -> Vec<Case> {
    let rows: [(&str, Value, Holds); 5] = [
        ("a done label away", without(&["kernel"]), |_, after| lacks(after, &["kernel"])),
        ("a failed label away", without(&["cpu-model.failed"]), |_, after| {
            lacks(after, &["cpu-model.failed"])
        }),
        ("one away that somebody has applied", without(&["kernel.failed"]), |_, after| {
            lacks(after, &["kernel.failed"])
        }),
        ("the only one of a manager away", without(&["digital-ocean-anchor-ip"]), |_, after| {
            lacks(after, &["digital-ocean-anchor-ip"])
        }),
        (
            "all of them away",
            without(&["kernel", "kernel.failed", "cpu-model.failed", "digital-ocean-anchor-ip"]),
            |_, after| {
                lacks(after, &["kernel", "kernel.failed", "cpu-model.failed", "digital-ocean-anchor-ip"])
            },
        ),
    ];
    let mut cases = Vec::new();
    for node in ["n1", "n2"] {
        for (what, change, holds) in &rows {
            let what = (*what, node, change);
            cases.extend(in_types(&PatchType::PATCHES, EXPIRE, what, Expected::Done(*holds)));
        }
    }
    // What it does not own: the server keeps it as it is.
    let status = json!({"status": {"capacity": {"cpu": "1000"}}});
    let unchanged = Expected::Done(|before, after| before == after);
    cases.extend(in_types(&PatchType::PATCHES, EXPIRE, ("a status", "n1", &status), unchanged));
    cases
}

fn lacks(after: &Value, names: &[&str]) -> bool {
    let metadata = &after["metadata"];
    names.iter().all(|name| metadata["labels"][key(name)].is_null())
        && metadata["labels"]["example.com/pool"] == "gold"
        && metadata["annotations"][key("kernel")] == "6.8.0"
}

/// What it is not for.
fn changes() -> Vec<Case> {
    let refused = |says| Expected::Refused(422, says);
    let label = |name: &str, value: Value| json!({"metadata": {"labels": {name: value}}});
    let annotation = |name: &str, value: Value| json!({"metadata": {"annotations": {name: value}}});
    let taint = json!([{"key": "example.com/mine", "value": "yes", "effect": "NoExecute"}]);
    let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": "n2", "uid": "0"}]);
    let rows = [
        ("a done label", label(&key("cpu-model"), json!("saved")), LABELS),
        ("another value of a done label", label(&key("kernel"), json!("other")), LABELS),
        ("a failed label", label(&key("digital-ocean-anchor-ip.failed"), json!("saved")), LABELS),
        ("a label of others", label("example.com/mine", json!("x")), LABELS),
        ("opting out", label(&key("opt-out"), json!("yes")), LABELS),
        ("the label that opts out away", without(&["opt-out"]), LABELS_KEPT),
        ("the done label of no collector away", without(&["site-rack"]), LABELS_KEPT),
        ("a label of others away", label("example.com/pool", Value::Null), LABELS_KEPT),
        ("a label of the kubelet away", label("kubernetes.io/hostname", Value::Null), LABELS_KEPT),
        ("a fact", annotation(&key("kernel"), json!("7.0.0")), ANNOTATIONS),
        ("a fact away", annotation(&key("kernel"), Value::Null), ANNOTATIONS),
        ("an error away", annotation(&key("cpu-model.error"), Value::Null), ANNOTATIONS),
        ("another boot", annotation(&key("kernel.boot-id"), json!("00000000")), ANNOTATIONS),
        ("an annotation of others", annotation("example.com/mine", json!("x")), ANNOTATIONS),
        ("a taint", json!({"spec": {"taints": taint}}), SPEC),
        ("all taints away", json!({"spec": {"taints": null}}), SPEC),
        ("cordoning", json!({"spec": {"unschedulable": true}}), SPEC),
        ("a provider's id", json!({"spec": {"providerID": "evil://1"}}), SPEC),
        ("another finalizer", json!({"metadata": {"finalizers": ["example.com/mine"]}}), OWNERSHIP),
        ("an owner", json!({"metadata": {"ownerReferences": owner}}), OWNERSHIP),
        ("a generated name", json!({"metadata": {"generateName": "mine-"}}), OWNERSHIP),
    ];
    let mut cases = Vec::new();
    for (what, change, says) in rows {
        cases.extend(in_types(&PatchType::PATCHES, EXPIRE, (what, "n1", &change), refused(says)));
        // Beside what is allowed.
        let mut beside = change.clone();
        beside["metadata"]["labels"][key("cpu-model.failed")] = Value::Null;
        let what = format!("{what}, and a failed label away");
        cases.extend(in_types(&PatchType::PATCHES, EXPIRE, (&what, "n2", &beside), refused(says)));
    }
    let fewer = json!({"metadata": {"labels": {"example.com/pool": "gold"}}});
    let same = json!({"metadata": {"labels": {"example.com/pool": "gold"}}});
    for (what, manager, kind, change, says) in [
        ("taints away that somebody applied, in their name", INVENTORY, PatchType::ForcedApply, &fewer, SPEC),
        ("a share in what somebody applied", "pin", PatchType::Apply, &same, MANAGED_FIELDS),
    ] {
        cases.push(Case {
            who: EXPIRE,
            what: what.to_owned(),
            attempt: Attempt::patch_as(manager, kind, "n1", change),
            expected: refused(says),
        });
    }
    cases
}

/// What is told of who wrote which field. A label goes with it, without which nothing may change there.
fn of_the_record(n1: &Value) -> Result<Vec<Case>> {
    let stored = n1["metadata"]["managedFields"].as_array().context("there is a record")?;
    let of = |manager: &str| {
        stored.iter().find(|entry| entry["manager"] == manager).with_context(|| manager.to_owned())
    };
    let instead = |manager: &str, list: &[Value]| -> Value {
        let others: Vec<_> = stored.iter().filter(|entry| entry["manager"] != manager).cloned().collect();
        let record = [&others, list].concat();
        with(without(&["cpu-model.failed"])["metadata"].clone(), "managedFields", json!(record))
    };
    let (run, inventory) = (of(MANAGER)?, of(INVENTORY)?);
    let later = with(run.clone(), "time", json!("2099-01-01T00:00:00Z"));
    let taints = json!({"f:spec": {"f:taints": {}}});
    let labels = json!({"f:metadata": {"f:labels": {format!("f:{}", key("kernel")): {}}}});
    let mut fewer = run.clone();
    let claims = fewer["fieldsV1"]["f:metadata"].as_object_mut().context("it has claims")?;
    claims.remove("f:annotations").context("it has annotations")?;
    let rows = [
        (
            "all managers away",
            json!({"labels": without(&["kernel"])["metadata"]["labels"], "managedFields": [{}]}),
            CLAIMS_KEPT,
        ),
        ("another manager away", instead(INVENTORY, &[]), CLAIMS_KEPT),
        ("the run's annotations away from it", instead(MANAGER, &[fewer]), CLAIMS_KEPT),
        ("the run's write put into the future", instead(MANAGER, &[later]), CLAIMS),
        (
            "taints claimed for the run",
            instead(MANAGER, &[more(run, "", "f:spec", &taints["f:spec"])]),
            CLAIMS,
        ),
        (
            "a label claimed for who applies",
            instead(
                INVENTORY,
                &[more(inventory, "/f:metadata/f:labels", "f:example.com/isolated", &json!({}))],
            ),
            CLAIMS,
        ),
        (
            "a part of the object claimed for who applies",
            instead(INVENTORY, &[more(inventory, "", "f:status", &json!({}))]),
            CLAIMS,
        ),
        (
            "a map claimed for who applies",
            instead(INVENTORY, &[more(inventory, "/f:metadata", "f:annotations", &json!({}))]),
            CLAIMS,
        ),
        (
            "fields of another manager not applied any more",
            instead(INVENTORY, &[entry(INVENTORY, "Update", &inventory["fieldsV1"])]),
            CLAIMS,
        ),
        ("taints claimed for somebody new", instead("", &[entry("pin", "Apply", &taints)]), CLAIMS),
        (
            "a label claimed for the operator",
            instead("", &[entry("node-annotator-operator", "Update", &labels)]),
            CLAIMS,
        ),
    ];
    let mut cases = Vec::new();
    for (what, metadata, says) in rows {
        let change = json!({"metadata": metadata});
        cases.extend(in_types(
            &PatchType::PATCHES,
            EXPIRE,
            (what, "n1", &change),
            Expected::Refused(422, says),
        ));
    }
    let alone = json!({"metadata": {"managedFields": [{}]}});
    let refused = Expected::Refused(422, MANAGED_FIELDS);
    cases.extend(in_types(&PatchType::PATCHES, EXPIRE, ("all managers away, alone", "n1", &alone), refused));
    Ok(cases)
}

fn identities() -> Vec<Case> {
    let change = without(&["kernel"]);
    let forbidden = Expected::Refused(403, "cannot patch resource \"nodes\"");
    [
        (UNBOUND, Expected::Refused(422, POD)),
        (IMPERSONATOR, Expected::Refused(422, POD)),
        (NO_RIGHTS, forbidden),
    ]
    .into_iter()
    .flat_map(|(who, expected)| {
        in_types(&PatchType::PATCHES, who, ("a done label away", "n1", &change), expected)
    })
    .collect()
}

/// What its rights do not reach.
fn other_requests() -> Vec<Case> {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mine"},
        "spec": {"nodeName": "n2", "containers": [{"name": "mine", "image": "none"}]},
    });
    let nothing = Value::Null;
    let (own, runs) = (format!("/api/v1/namespaces/{NAMESPACE}"), "/api/v1/namespaces/node-annotator");
    let batch = format!("/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs/expire");
    let policy = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/node-annotator.expire";
    let sets = "/apis/apps/v1/namespaces/node-annotator/daemonsets/node-annotator-kernel";
    let rows = [
        ("reading one node", "GET", "/api/v1/nodes/n1".to_owned(), &nothing, "cannot get resource \"nodes\""),
        (
            "watching nodes",
            "GET",
            "/api/v1/nodes?watch=true".to_owned(),
            &nothing,
            "cannot watch resource \"nodes\"",
        ),
        ("replacing a node", "PUT", "/api/v1/nodes/n1".to_owned(), &node, "cannot update resource \"nodes\""),
        (
            "deleting a node",
            "DELETE",
            "/api/v1/nodes/n1".to_owned(),
            &nothing,
            "cannot delete resource \"nodes\"",
        ),
        (
            "a status",
            "PUT",
            "/api/v1/nodes/n1/status".to_owned(),
            &node,
            "cannot update resource \"nodes/status\"",
        ),
        ("pods of others", "GET", "/api/v1/pods".to_owned(), &nothing, "cannot list resource \"pods\""),
        (
            "secrets of its namespace",
            "GET",
            format!("{own}/secrets"),
            &nothing,
            "cannot list resource \"secrets\"",
        ),
        (
            "secrets of the runs",
            "GET",
            format!("{runs}/secrets"),
            &nothing,
            "cannot list resource \"secrets\"",
        ),
        (
            "another record",
            "GET",
            format!("{own}/configmaps/kube-root-ca.crt"),
            &nothing,
            "cannot get resource \"configmaps\"",
        ),
        (
            "its record away",
            "DELETE",
            format!("{own}/configmaps/expired"),
            &nothing,
            "cannot delete resource \"configmaps\"",
        ),
        ("a pod of its own", "POST", format!("{own}/pods"), &pod, "cannot create resource \"pods\""),
        ("a pod of the runs", "POST", format!("{runs}/pods"), &pod, "cannot create resource \"pods\""),
        (
            "a pod of the runs away",
            "DELETE",
            format!("{runs}/pods/mine"),
            &nothing,
            "cannot delete resource \"pods\"",
        ),
        ("a DaemonSet away", "DELETE", sets.to_owned(), &nothing, "cannot delete resource \"daemonsets\""),
        ("its CronJob", "GET", batch, &nothing, "cannot get resource \"cronjobs\""),
        (
            "a namespace",
            "GET",
            "/api/v1/namespaces/default".to_owned(),
            &nothing,
            "cannot get resource \"namespaces\"",
        ),
        ("deleting its policy", "DELETE", policy.to_owned(), &nothing, "cannot delete resource"),
        (
            "another token",
            "POST",
            format!("{runs}/serviceaccounts/node-annotator/token"),
            &nothing,
            "cannot create resource \"serviceaccounts/token\"",
        ),
    ];
    let case = |(what, method, path, body, says): (&str, _, String, &Value, _)| Case {
        who: EXPIRE,
        what: what.to_owned(),
        attempt: Attempt::new(method, &path, body.clone()),
        expected: Expected::Refused(403, says),
    };
    rows.into_iter().map(case).collect()
}

/// What the policy holds, whatever somebody has granted.
fn with_wide_rights(n1: &Value) -> Vec<Case> {
    let mut unlabelled = n1.clone();
    unlabelled["metadata"]["resourceVersion"] = Value::Null;
    let labels = unlabelled["metadata"]["labels"].as_object_mut();
    labels.and_then(|labels| labels.remove(&key("opt-out"))).expect("it is opted out");
    let new = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine"}});
    let case = |what: &str, method, path: &str, body: &Value, says| Case {
        who: EXPIRE,
        what: what.to_owned(),
        attempt: Attempt::new(method, path, body.clone()),
        expected: Expected::Refused(422, says),
    };
    let mut cases = vec![
        case("creating a node", "POST", "/api/v1/nodes", &new, UPDATE),
        case("deleting a node", "DELETE", "/api/v1/nodes/n2", &Value::Null, UPDATE),
        case("a node without the label that opts out", "PUT", "/api/v1/nodes/n1", &unlabelled, LABELS_KEPT),
    ];
    let away = without(&["kernel"]);
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    for (what, change) in [("a done label away by the status", &away), ("a node that is not ready", &status)]
    {
        let refused = Expected::Refused(422, UPDATE);
        cases.extend(in_types(
            &[PatchType::Merge, PatchType::Strategic],
            EXPIRE,
            (what, "n1/status", change),
            refused,
        ));
    }
    cases
}
