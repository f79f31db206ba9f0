//! Random plans of random collectors: what a run can send passes, and whatever differs from it in one thing
//! does not.

mod between;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use node_annotator::operator::startup_taint::{Gate, gate};
use node_annotator_core::key::fact_name;
use node_annotator_core::{
    Collect, Collected, Collector, DoneMark, Entry, Fact, Facts, LabelFacts, Outcome, Plan, Registry, Report,
    Selection, Stability, Topic,
};
use node_annotator_deploy::mutating_policy::MutatingAdmissionPolicyBinding;
use node_annotator_deploy::policy::{self, Keys, Scope};
use node_annotator_deploy::startup_taint::OnFailure;
use node_annotator_deploy::{Manifests, Object, Settings, StartupTaint};
use node_annotator_tests::{Cluster, NodeSpec, Options, wait};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use self::between::{BETWEEN, Between};
use super::attempt::{Answer, Attempt, MANAGER, PatchType};
use super::managed_fields::entry;
use super::needed::{mark, wait_until_in_force};
use super::refusals::TOO_SOON;
use super::stage::{add_pod, client};
use crate::startup_taint::TAINT;
use crate::support::{NAMESPACE, serves_mutating_policies};

const INSTALLATIONS: usize = 6;
const RUNS: usize = 8;

#[tokio::test]
async fn what_a_plan_can_contain_passes_and_nothing_beside_it() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let may_taint = serves_mutating_policies(&cluster).await;
    let mut random = TestRunner::default();
    let mut attempts = 0;
    for version in 0..INSTALLATIONS {
        let settings = draw(&mut random, installation(may_taint));
        let scope = Scope::new(&settings);
        let name = format!("n{version}");
        cluster.add_node(NodeSpec::new(&name)).await?;
        install(&cluster, &settings, version).await?;
        let pod = add_pod(&cluster, NAMESPACE, "node-annotator", &name).await?;
        let thief = client(&cluster, NAMESPACE, "node-annotator", Some(&pod)).await?;
        wait_until_in_force(&thief, &name, version).await?;
        if scope.startup_taint.is_some() {
            wait_until_taint_goes(&cluster, &thief, &name, &scope).await?;
        }
        for _ in 0..RUNS {
            let outcomes = draw(&mut random, vec(outcome(), scope.collectors.len()));
            let given_up = draw(&mut random, vec(any::<bool>(), scope.collectors.len()));
            let plan = plan(&scope, outcomes, &given_up);
            let between = draw(&mut random, select(&BETWEEN[..]));
            attempts += try_plan(&cluster, &thief, &name, &scope, &plan, between)
                .await
                .with_context(|| format!("{:#?}\n{:#}\n{between:?}", scope.keys(), plan.patch()))?;
        }
    }
    eprintln!("{attempts} attempts");
    Ok(())
}

fn draw<S: Strategy>(random: &mut TestRunner, strategy: S) -> S::Value {
    strategy.new_tree(random).expect("nothing is rejected").current()
}

/// All but the DaemonSets: nobody can run these collectors.
async fn install(cluster: &Cluster, settings: &Settings, version: usize) -> Result<()> {
    // A mutating policy of the installation before this one would be left over.
    let of_before = DeleteParams::default();
    let bindings: Api<MutatingAdmissionPolicyBinding> = Api::all(cluster.client());
    let _ = bindings.delete("node-annotator", &of_before).await;
    for object in Manifests::new(settings)?.objects() {
        if !matches!(object, Object::DaemonSet(_) | Object::ValidatingAdmissionPolicy(_)) {
            cluster.apply(object).await?;
        }
    }
    let scope = Scope::new(settings);
    let mut rules = policy::rules(&scope);
    rules.insert(0, mark(version));
    cluster.apply(&policy::policy(&scope, rules)).await?;
    Ok(())
}

/// The mutating policy is in force a moment after it was stored too.
async fn wait_until_taint_goes(cluster: &Cluster, thief: &Client, name: &str, scope: &Scope) -> Result<()> {
    let nodes: Api<Node> = Api::all(cluster.client());
    let operator = PatchParams { field_manager: Some("operator".to_owned()), ..PatchParams::default() };
    nodes.patch(name, &operator, &Patch::Merge(Between::Tainted.patch(scope))).await?;
    let labels = scope.collectors.iter().map(|collector| {
        (scope.prefix.done(collector.name), json!(scope.mark.label_value(collector.revision)))
    });
    let done = json!({"metadata": {"labels": labels.collect::<serde_json::Map<_, _>>()}});
    let attempt = Attempt::patch(PatchType::Merge, name, &done);
    wait::until("the mutating policy to be in force", async || {
        let answer = attempt.send(thief, true).await?;
        if answer.code == 200 { Ok(()) } else { Err(anyhow!("{answer}")) }
    })
    .await
}

/// Returns how many requests were made.
async fn try_plan(
    cluster: &Cluster,
    thief: &Client,
    name: &str,
    scope: &Scope,
    plan: &Plan,
    between: Between,
) -> Result<usize> {
    let nodes: Api<Node> = Api::all(cluster.client());
    let operator = PatchParams { field_manager: Some("operator".to_owned()), ..PatchParams::default() };
    nodes.patch(name, &operator, &Patch::Merge(between.patch(scope))).await?;
    make_old(cluster, name).await?;
    let before = serde_json::to_value(cluster.node(name).await?)?;
    let honest = plan.patch();
    if only_takes_facts_away(&before, plan, scope) {
        return Ok(0);
    }
    let send = async |change: &Value, dry_run| -> Result<Answer> {
        Attempt::patch(PatchType::Merge, name, change).send(thief, dry_run).await
    };
    let answer = send(&honest, true).await?;
    ensure!(answer.code == 200, "a run is refused: {answer}");

    let mut attempts = 0;
    for (what, change) in mutations(&before, &honest, scope) {
        attempts += 1;
        let answer = send(&change, true).await?;
        let refused =
            answer.code == 422 && answer.message.contains("ValidatingAdmissionPolicy 'node-annotator'");
        ensure!(refused, "{what}: {answer}\n{change:#}");
    }
    for (what, attempt) in [
        ("another manager", Attempt::patch_as("other", PatchType::Merge, name, &honest)),
        ("forced apply", Attempt::patch(PatchType::ForcedApply, name, &without_nulls(&honest))),
        ("the status", Attempt::patch(PatchType::Merge, &format!("{name}/status"), &honest)),
    ] {
        attempts += 1;
        let answer = attempt.send(thief, true).await?;
        // What changes nothing is nobody's, and where there is no record nobody has a name.
        let nameless = changes_nothing(&before, plan) || before["metadata"]["managedFields"].is_null();
        let quiet = nameless && what == "another manager";
        ensure!(quiet || matches!(answer.code, 403 | 422), "{what}: {answer}");
    }

    let answer = send(&honest, false).await?;
    ensure!(answer.code == 200, "a run is refused: {answer}");
    let after = cluster.node(name).await?;
    let (labels, annotations) =
        (after.metadata.labels.unwrap_or_default(), after.metadata.annotations.unwrap_or_default());
    let differences = plan.compare(&annotations, &labels);
    ensure!(differences.is_empty(), "{differences:?}");
    ensure_taints(&before, &serde_json::to_value(after.spec)?, &labels, scope)?;
    let answer = send(&honest, false).await?;
    ensure!(answer.code == 200, "the same again: {answer}");
    let again = cluster.node(name).await?;
    ensure!(
        again.metadata.resource_version == after.metadata.resource_version,
        "the same again changes something"
    );
    let recorded = again.metadata.managed_fields.is_some_and(|list| !list.is_empty());
    if recorded && sets_something(&before, plan) {
        let key = scope.prefix.error(scope.collectors[0].name);
        let answer = send(&json!({"metadata": {"annotations": {key: "at once"}}}), true).await?;
        ensure!(answer.message.contains(TOO_SOON), "another change at once: {answer}");
    }
    Ok(attempts + 4)
}

/// The startup taint has gone where no run is to come, and nothing else has.
fn ensure_taints(
    before: &Value,
    spec: &Value,
    labels: &BTreeMap<String, String>,
    scope: &Scope,
) -> Result<()> {
    let taints = before["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let keys = taints.iter().filter_map(|taint| taint["key"].as_str());
    let is_over = matches!(gate(labels, keys, scope), Gate::LeftBehind);
    let key = scope.startup_taint.as_ref().map(|taint| taint.key.as_str());
    let expected: Vec<_> =
        taints.into_iter().filter(|taint| !is_over || taint["key"].as_str() != key).collect();
    let found = spec["taints"].as_array().cloned().unwrap_or_default();
    ensure!(found == expected, "{found:?}, and not {expected:?}");
    Ok(())
}

/// As if the last write of ours were long ago.
async fn make_old(cluster: &Cluster, name: &str) -> Result<()> {
    let node = serde_json::to_value(cluster.node(name).await?)?;
    let mut record = node["metadata"]["managedFields"].clone();
    for entry in record.as_array_mut().into_iter().flatten().filter(|entry| entry["manager"] == MANAGER) {
        entry["time"] = json!("2020-01-01T00:00:00Z");
    }
    if record.is_null() {
        return Ok(());
    }
    // Times alone are not stored.
    let count = node["metadata"]["resourceVersion"].clone();
    let patch = json!({"metadata": {"managedFields": record, "annotations": {"example.com/count": count}}});
    let nodes: Api<Node> = Api::all(cluster.client());
    nodes.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// What only takes away is not noted.
fn sets_something(before: &Value, plan: &Plan) -> bool {
    let sets = |map: &str, changes: &node_annotator_core::plan::Changes| {
        let set = changes.iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
        set.into_iter().any(|(key, value)| before["metadata"][map][key] != value)
    };
    sets("labels", plan.labels()) || sets("annotations", plan.annotations())
}

fn changes_nothing(before: &Value, plan: &Plan) -> bool {
    let same = |map: &str, changes: &node_annotator_core::plan::Changes| {
        changes.iter().all(|(key, value)| before["metadata"][map][key].as_str() == value.as_deref())
    };
    same("labels", plan.labels()) && same("annotations", plan.annotations())
}

/// What the rate limit does not let through, since the API server notes no time: see there.
fn only_takes_facts_away(before: &Value, plan: &Plan, scope: &Scope) -> bool {
    let fact_labels = scope.keys().fact_labels;
    let label_away = plan.labels().iter().any(|(key, value)| {
        value.is_none() && fact_labels.contains(key) && before["metadata"]["labels"][key].is_string()
    });
    let now = |key: &str| before["metadata"]["annotations"][key].as_str();
    let labels = plan.labels().iter().all(|(key, value)| {
        value.is_none() || before["metadata"]["labels"][key].as_str() == value.as_deref()
    });
    let sets = plan.annotations().iter().any(|(key, value)| value.is_some() && now(key) != value.as_deref());
    let errors: Vec<_> =
        scope.collectors.iter().map(|collector| scope.prefix.error(collector.name)).collect();
    let removed: Vec<_> =
        plan.annotations().iter().filter(|(key, value)| value.is_none() && now(key).is_some()).collect();
    let left = errors
        .iter()
        .any(|key| plan.annotations().get(key).is_none_or(Option::is_some) && now(key).is_some());
    let facts = removed.iter().any(|(key, _)| !errors.contains(key));
    labels && !sets && (label_away || !removed.is_empty() && (left || facts))
}

/// The patch of a run with one thing in it that no run sends.
fn mutations(before: &Value, honest: &Value, scope: &Scope) -> Vec<(String, Value)> {
    let Keys { labels, fact_labels, annotations, .. } = scope.keys();
    let prefix = &scope.prefix;
    let mut mutations: Vec<(String, Value)> = Vec::new();
    let mut and = |what: String, path: &[&str], value: Value| {
        let mut change = honest.clone();
        let mut place = &mut change;
        for step in path {
            place = &mut place[*step];
        }
        *place = value;
        mutations.push((what, change));
    };
    for key in ["example.com/mine", "mine", &format!("{prefix}/forged"), &prefix.opt_out()] {
        and(format!("the label {key}"), &["metadata", "labels", key], json!("x"));
        and(format!("the annotation {key}"), &["metadata", "annotations", key], json!("x"));
    }
    for (key, value) in &labels {
        let other = format!("{value}x");
        and(format!("another value of {key}"), &["metadata", "labels", key], json!(other));
    }
    for collector in &scope.collectors {
        let facts = collector.facts.iter().map(|fact| prefix.label(collector.name, fact.name));
        for key in facts.filter(|key| !fact_labels.contains(key)) {
            and(format!("the label {key}"), &["metadata", "labels", &key], json!("x"));
        }
    }
    // What is done is not given up any more: nobody minds who takes that away.
    let may_go = |key: &str| {
        fact_labels.contains(key)
            || scope.collectors.iter().any(|collector| {
                let done = prefix.done(collector.name);
                let now =
                    honest["metadata"]["labels"].get(&done).unwrap_or(&before["metadata"]["labels"][&done]);
                key == prefix.failed(collector.name) && *now == *labels[&done]
            })
    };
    let present = before["metadata"]["labels"].as_object().into_iter().flat_map(|map| map.keys());
    for key in present.filter(|key| !may_go(key)).take(12) {
        and(format!("the label {key} away"), &["metadata", "labels", key], Value::Null);
    }
    for (key, bound) in &annotations {
        let text = bound.map_or_else(String::new, |bound| "x".repeat(bound + 1));
        and(format!("a long or retired {key}"), &["metadata", "annotations", key], json!(text));
    }
    let others = before["metadata"]["annotations"].as_object().into_iter().flat_map(|map| map.keys());
    for key in others.filter(|key| !annotations.contains_key(*key)).take(12) {
        and(format!("the annotation {key} away"), &["metadata", "annotations", key], Value::Null);
    }
    and("a taint".to_owned(), &["spec"], json!({"taints": [{"key": "mine", "effect": "NoExecute"}]}));
    and("cordoning".to_owned(), &["spec"], json!({"unschedulable": true}));
    and("a provider's id".to_owned(), &["spec"], json!({"providerID": "evil://1"}));
    if before["spec"]["taints"].as_array().is_some_and(|taints| !taints.is_empty()) {
        and("no taints".to_owned(), &["spec"], json!({"taints": []}));
    }
    and("a finalizer".to_owned(), &["metadata", "finalizers"], json!(["example.com/mine"]));
    let record = before["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let mut taints = before["spec"]["taints"].as_array().into_iter().flatten();
    let taint_may_go = scope.startup_taint.is_some() && taints.any(|taint| taint["key"] == TAINT);
    for field in ["f:taints", "f:unschedulable"] {
        let claims = json!({"f:spec": {field: {}}});
        for manager in ["pin", MANAGER, "ancient-changes"] {
            for operation in ["Apply", "Update"] {
                // Where the startup taint goes, the list is ours afterwards.
                if taint_may_go && (field, manager, operation) == ("f:taints", MANAGER, "Update") {
                    continue;
                }
                let others = record.iter().filter(|entry| entry["manager"] != manager).cloned();
                let list: Vec<_> = others.chain([entry(manager, operation, &claims)]).collect();
                let what = format!("a claim of {manager}, {operation} of {field}");
                and(what, &["metadata", "managedFields"], json!(list));
            }
        }
    }
    if !record.is_empty() {
        and("the record away".to_owned(), &["metadata", "managedFields"], json!([{}]));
    }
    mutations
}

fn without_nulls(patch: &Value) -> Value {
    match patch {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect()
        }
        other => other.clone(),
    }
}

fn plan(scope: &Scope, outcomes: Vec<Option<Outcome>>, given_up: &[bool]) -> Plan {
    let entry = |(collector, outcome): (&&'static Collector, Option<Outcome>)| {
        let outcome = match outcome? {
            // As the runner holds them to what is declared.
            Outcome::Collected(facts) => match facts.conform(collector) {
                Ok(facts) => Outcome::Collected(facts),
                Err(error) => Outcome::failed(&error),
            },
            other => other,
        };
        Some(Entry { collector, outcome, attempts: 1, duration: Duration::ZERO })
    };
    let report = Report::new(scope.collectors.iter().zip(outcomes).filter_map(entry).collect());
    let failures = report.failures().map(|entry| entry.collector).zip(given_up);
    let given_up = failures.filter_map(|(collector, given_up)| given_up.then_some(collector));
    Plan::new(&report, &scope.prefix, &scope.mark).labelling(&report, &scope.labels, &scope.prefix).giving_up(
        given_up,
        &scope.prefix,
        &scope.mark,
    )
}

/// Of one collector, or it has not run.
fn outcome() -> impl Strategy<Value = Option<Outcome>> {
    let facts = (text(), vec(proptest::option::of(text()), FACTS.len())).prop_map(|(primary, others)| {
        let facts = Facts::new(primary);
        let others = FACTS.iter().zip(others);
        Outcome::Collected(others.fold(facts, |facts, (fact, value)| facts.with_some(fact, value)))
    });
    proptest::option::weighted(
        0.8,
        prop_oneof![
            3 => facts,
            1 => text().prop_map(|reason| Outcome::not_applicable(&reason)),
            1 => text().prop_map(Outcome::Panicked),
        ],
    )
}

/// Short and long ones, of characters of one byte and of several.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,20}", "[a-zä€]{500,2000}"]
}

const FACTS: [Fact; 3] = [named("one"), named("two"), named("three")];

const fn named(name: &'static str) -> Fact {
    Fact::named(name, "nothing", "none", Stability::Immutable)
}

fn installation(may_taint: bool) -> impl Strategy<Value = Settings> {
    let names = btree_set("[a-y]{1,8}(-[a-y]{1,8})?", 1..8);
    let shapes = vec((vec(select(vec![8, 64, 1024, 4096]), 4), 0..2_usize), 8);
    let mark = select(vec![None, Some("2"), Some("v1.2")]);
    let taint = select(vec![None, Some(OnFailure::Keep), Some(OnFailure::Remove)]);
    let labels = vec(vec(any::<bool>(), 4), 8);
    (names, shapes, mark, select(vec!["k8s.haim.dev", "facts.example.com"]), taint, labels).prop_map(
        move |(names, shapes, mark, prefix, taint, labels)| {
            let collectors: Vec<_> = names
                .into_iter()
                .zip(shapes)
                .map(|(name, (bounds, retired))| collector(name, &bounds, retired))
                .collect();
            let labels: Vec<_> = collectors.iter().zip(labels).flat_map(labels_of).collect();
            let labels = LabelFacts::parse(labels.iter().map(String::as_str), &collectors);
            let registry = Registry::new(collectors).expect("they are well declared");
            Settings {
                labels: labels.expect("they are declared"),
                mark: mark.map_or(DoneMark::Saved, |mark| {
                    DoneMark::Generation(mark.parse().expect("a label value"))
                }),
                prefix: prefix.parse().expect("a domain"),
                startup_taint: taint
                    .filter(|_| may_taint)
                    .map(|on_failure| StartupTaint { key: TAINT.to_owned(), on_failure }),
                ..Settings::new(Selection::parse("all", &registry).expect("there is one"))
            }
        },
    )
}

/// The names of those facts of a collector that are to be labels.
fn labels_of((collector, chosen): (&&'static Collector, Vec<bool>)) -> Vec<String> {
    let chosen = collector.facts.iter().zip(chosen).filter_map(|(fact, is_chosen)| is_chosen.then_some(fact));
    chosen.map(|fact| fact_name(collector.name, fact.name)).collect()
}

fn collector(name: String, bounds: &[usize], retired: usize) -> &'static Collector {
    let primary = Fact::primary("nothing", "none", Stability::Immutable);
    let facts = std::iter::once(primary).chain(FACTS);
    let facts: Vec<_> = facts.zip(bounds).map(|(fact, bytes)| fact.max_bytes(*bytes)).collect();
    let collect = Collect::Blocking(|_| Ok(Collected::not_applicable("a fake")));
    let retired: &[&str] = if retired == 0 { &[] } else { &["gone"] };
    let collector = Collector::new(name.leak(), Topic::System, "nothing", facts.leak(), collect);
    Box::leak(Box::new(collector.retired(retired)))
}
