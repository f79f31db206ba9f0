//! What a stolen token can do about the startup taint, and about the spec of its node beside it.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use node_annotator_deploy::mutating_policy::MutatingAdmissionPolicyBinding;
use node_annotator_deploy::policy::{Rule, Scope};
use node_annotator_deploy::{Manifests, Object};
use node_annotator_tests::{Cluster, NodeSpec, Options};
use serde_json::{Value, json};

use super::attempt::{Case, Expected, MANAGER, PatchType, in_types};
use super::changes::{annotation, label};
use super::managed_fields::entry;
use super::needed::each_condition_is_needed;
use super::refusals::{CLAIMS, MANAGED_FIELDS, OWN_NODE, SPEC};
use super::stage::{INVENTORY, Stage, add_pod, client};
use super::try_all;
use crate::startup_taint::{OTHER_TAINT, TAINT, tainting};
use crate::support::{COLLECTORS, NAMESPACE, add_settled, key, saved, serves_mutating_policies};

/// Nothing has run on its node.
const NEW: &str = "a pod of ours on a new node";
/// One collector is missing on its node, which is `n1`.
const LAST: &str = "a pod of ours on a node where one collector is missing";
/// All is done on its node, and then the node got the taint.
const LATE: &str = "a pod of ours on a node that was tainted when it was done";
/// All is done on its node.
const FREE: &str = "a pod of ours on a node that is done";

const GATED: &str = "podPreemptionPolicy";

const LEFT_BEHIND: &str = "has to go with the last done label";

#[tokio::test]
async fn a_stolen_token_takes_the_startup_taint_away_with_the_last_done_label_and_nothing_else() -> Result<()>
{
    let Some(stage) = start().await? else { return Ok(()) };
    ensure_fields_of_spec(&stage).await?;
    let cases = [beside_the_last_label(&stage.node("n1").await?), with_other_labels()].concat();
    let failures = try_all(&stage, &cases).await?;
    eprintln!("{} attempts", cases.len());
    ensure!(failures.is_empty(), "{} attempts:\n{}", failures.len(), failures.join("\n"));

    let scope = Scope::new(&tainting());
    // What is behind a feature gate of 1.37 cannot be set, whatever the policy says.
    let is_chosen = |rule: &Rule, condition: &str| rule.id == "spec" && !condition.contains(GATED);
    each_condition_is_needed(&stage, LAST, &scope, is_chosen, &cases).await?;

    // As on a server that has no mutating policies, or has not seen ours yet.
    let bindings: Api<MutatingAdmissionPolicyBinding> = Api::all(stage.cluster.client());
    bindings.delete("node-annotator", &DeleteParams::default()).await?;
    let cases = without_the_mutating_policy();
    stage.wait_for(LAST, &cases[0].attempt, cases[0].expected).await?;
    let failures = try_all(&stage, &cases).await?;
    ensure!(failures.is_empty(), "{} attempts:\n{}", failures.len(), failures.join("\n"));
    each_condition_is_needed(&stage, LAST, &scope, |rule, _| rule.id == "startup-taint", &cases).await
}

/// The policy names the fields that may not change while the taint goes: one that a later Kubernetes adds has
/// to be named there too.
async fn ensure_fields_of_spec(stage: &Stage) -> Result<()> {
    let request = http::Request::get("/openapi/v3/api/v1").body(Vec::new())?;
    let schema: Value = stage.cluster.client().request(request).await?;
    let fields = &schema["components"]["schemas"]["io.k8s.api.core.v1.NodeSpec"]["properties"];
    let fields: Vec<_> = fields.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let known =
        ["configSource", "externalID", "podCIDR", "podCIDRs", GATED, "providerID", "taints", "unschedulable"];
    ensure!(fields.iter().all(|field| known.contains(field)), "{fields:?}");
    Ok(())
}

/// Both policies and the rights, and nothing that runs by itself.
async fn start() -> Result<Option<Stage>> {
    let cluster = Cluster::start(Options::default()).await?;
    if !serves_mutating_policies(&cluster).await {
        return Ok(None);
    }
    let manifests = Manifests::new(&tainting())?;
    for object in manifests.objects().filter(|object| !matches!(object, Object::DaemonSet(_))) {
        cluster.apply(object).await?;
    }
    let done = |node: NodeSpec, collectors: &[&str]| {
        collectors.iter().fold(node, |node, collector| node.label(&key(collector), &saved(collector)))
    };
    let mut attackers = BTreeMap::new();
    for (who, name, collectors) in [
        (NEW, "new", &[][..]),
        (LAST, "n1", &COLLECTORS[1..]),
        (LATE, "late", &COLLECTORS),
        (FREE, "free", &COLLECTORS),
    ] {
        add_settled(&cluster, done(NodeSpec::new(name), collectors)).await?;
        let mut taints = vec![json!({"key": OTHER_TAINT, "effect": "NoSchedule"})];
        if who != FREE {
            taints.insert(0, json!({"key": TAINT, "effect": "NoSchedule"}));
        }
        // Somebody's, by the record: the list changes hands when the taint goes.
        let nodes: Api<Node> = Api::all(cluster.client());
        let change = json!({"apiVersion": "v1", "kind": "Node", "spec": {"taints": taints}});
        nodes.patch(name, &PatchParams::apply(INVENTORY).force(), &Patch::Apply(change)).await?;
        let pod = add_pod(&cluster, NAMESPACE, "node-annotator", name).await?;
        attackers.insert(who, client(&cluster, NAMESPACE, "node-annotator", Some(&pod)).await?);
    }
    let stage = Stage::with(cluster, attackers);
    let last = &last_label("n1", &last())[0];
    stage.wait_for(LAST, &last.attempt, last.expected).await?;
    Ok(Some(stage))
}

fn last() -> Value {
    label(&key(COLLECTORS[0]), &saved(COLLECTORS[0]))
}

/// The last done label, with something beside it.
fn last_with(spec: &Value) -> Value {
    let mut change = last();
    change["spec"] = spec.clone();
    change
}

fn keys_of_taints(node: &Value) -> Vec<&str> {
    node["spec"]["taints"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|taint| taint["key"].as_str())
        .collect()
}

fn is_freed(before: &Value, after: &Value) -> bool {
    keys_of_taints(before) == [TAINT, OTHER_TAINT]
        && keys_of_taints(after) == [OTHER_TAINT]
        && after["metadata"]["labels"][key(COLLECTORS[0])] == saved(COLLECTORS[0])
}

fn is_tainted_as_before(before: &Value, after: &Value) -> bool {
    before["spec"] == after["spec"] && keys_of_taints(after) == [TAINT, OTHER_TAINT]
}

fn last_label(node: &str, change: &Value) -> Vec<Case> {
    in_types(&PatchType::PATCHES, LAST, ("the last done label", node, change), Expected::Done(is_freed))
}

/// What is tried in the write that takes the taint away.
fn beside_the_last_label(n1: &Value) -> Vec<Case> {
    let refused = |says| Expected::Refused(422, says);
    let (startup, other) =
        (json!({"key": TAINT, "effect": "NoSchedule"}), json!({"key": OTHER_TAINT, "effect": "NoSchedule"}));
    let mine = json!({"key": "example.com/mine", "effect": "NoExecute"});
    let longer = json!({"key": OTHER_TAINT, "effect": "NoExecute"});
    let rows = [
        ("no taints", json!({"taints": []}), refused(SPEC)),
        ("the startup taint alone", json!({"taints": [startup]}), refused(SPEC)),
        ("another taint", json!({"taints": [startup, other, mine]}), refused(SPEC)),
        ("another effect of a taint", json!({"taints": [startup, longer]}), refused(SPEC)),
        ("the taints of others alone", json!({"taints": [other]}), Expected::Done(is_freed)),
        ("the taints as they are", json!({"taints": [startup, other]}), Expected::Done(is_freed)),
        ("cordoning", json!({"unschedulable": true}), refused(SPEC)),
        ("a provider's id", json!({"providerID": "evil://1"}), refused(SPEC)),
        (
            "the addresses of its pods",
            json!({"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"]}),
            refused(SPEC),
        ),
        // By the server, before any policy.
        ("another id", json!({"externalID": "evil"}), refused("spec.externalID: Forbidden")),
    ];
    let mut cases = last_label("n1", &last());
    for (what, spec, expected) in rows {
        let what = format!("the last done label, and {what}");
        cases.extend(in_types(&PatchType::PATCHES, LAST, (&what, "n1", &last_with(&spec)), expected));
    }
    // The server drops it, and the record of it is refused.
    let of_kubelet = json!({"namespace": "kube-system", "name": "mine", "kubeletConfigKey": "kubelet"});
    let configured = last_with(&json!({"configSource": {"configMap": of_kubelet}}));
    let what = "the last done label, and a source of its configuration";
    cases.extend(in_types(&[PatchType::Merge], LAST, (what, "n1", &configured), refused(CLAIMS)));
    let of_another_node = ("the last done label of another node", "n1", &last());
    cases.extend(in_types(&PatchType::PATCHES, NEW, of_another_node, refused(OWN_NODE)));
    let unschedulable = json!({"f:spec": {"f:unschedulable": {}}});
    let taints = json!({"f:spec": {"f:taints": {}}});
    for (manager, claims) in [(MANAGER, &unschedulable), ("pin", &taints)] {
        let record = n1["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let record: Vec<_> = record.into_iter().chain([entry(manager, "Update", claims)]).collect();
        let mut change = last();
        change["metadata"]["managedFields"] = json!(record);
        let what = format!("the last done label, and a claim of {manager}");
        cases.extend(in_types(&[PatchType::Merge], LAST, (&what, "n1", &change), refused(CLAIMS)));
    }
    cases
}

/// What is tried where no label is the last one.
fn with_other_labels() -> Vec<Case> {
    let refused = |says| Expected::Refused(422, says);
    let (startup, other) =
        (json!({"key": TAINT, "effect": "NoSchedule"}), json!({"key": OTHER_TAINT, "effect": "NoSchedule"}));
    let spec = |spec: Value| json!({"spec": spec});
    let error = annotation(&key("kernel.error"), "x");
    let mut tainted_error = error.clone();
    tainted_error["spec"] = json!({"taints": [startup, other]});
    let rows = [
        ("the first done label", NEW, "new", last(), Expected::Done(is_tainted_as_before)),
        ("an error", NEW, "new", error.clone(), Expected::Done(is_tainted_as_before)),
        (
            "the first done label, and the taint away",
            NEW,
            "new",
            last_with(&json!({"taints": [other]})),
            refused(SPEC),
        ),
        ("the taint away", NEW, "new", spec(json!({"taints": [other]})), refused(SPEC)),
        ("all taints away", NEW, "new", spec(json!({"taints": []})), refused(SPEC)),
        ("an error", LATE, "late", error, Expected::Done(is_freed)),
        ("the same again", LATE, "late", last(), Expected::Done(is_freed)),
        ("the taint away", LATE, "late", spec(json!({"taints": [other]})), Expected::Done(is_freed)),
        ("all taints away", LATE, "late", spec(json!({"taints": []})), refused(SPEC)),
        (
            "the startup taint",
            FREE,
            "free",
            spec(json!({"taints": [startup, other]})),
            refused(MANAGED_FIELDS),
        ),
        ("the startup taint, and an error", FREE, "free", tainted_error, refused(CLAIMS)),
        ("all taints away", FREE, "free", spec(json!({"taints": []})), refused(SPEC)),
        ("cordoning", FREE, "free", spec(json!({"unschedulable": true})), refused(SPEC)),
    ];
    let cases = rows.into_iter().flat_map(|(what, who, node, change, expected)| {
        in_types(&PatchType::PATCHES, who, (what, node, &change), expected)
    });
    cases.collect()
}

/// What would leave the taint behind for good.
fn without_the_mutating_policy() -> Vec<Case> {
    let left_behind = Expected::Refused(422, LEFT_BEHIND);
    let away = last_with(&json!({"taints": [{"key": OTHER_TAINT, "effect": "NoSchedule"}]}));
    let mut cases = in_types(&PatchType::PATCHES, LAST, ("the last done label", "n1", &last()), left_behind);
    cases.extend(in_types(
        &PatchType::PATCHES,
        LAST,
        ("the last done label, and the taint away", "n1", &away),
        Expected::Done(is_freed),
    ));
    cases.extend(in_types(
        &PatchType::PATCHES,
        NEW,
        ("the first done label", "new", &last()),
        Expected::Done(is_tainted_as_before),
    ));
    cases
}
