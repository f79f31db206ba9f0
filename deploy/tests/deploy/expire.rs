//! What runs again what is stale: what is generated for it, and what else stays as it is.

use node_annotator_deploy::{Layout, Manifests, Object, PolicyMode, Queue, Settings, labels};
use serde_json::{Value, json};

use crate::fakes::{CPU_MODEL, KERNEL, NIC, settings};

fn with(expire: Option<&str>) -> Settings {
    let expire = expire.map(|schedule| schedule.parse().unwrap());
    Settings { layout: Layout::Combined, expire, ..settings(&[&CPU_MODEL, &KERNEL]) }
}

fn objects(settings: &Settings) -> Vec<Object> {
    Manifests::new(settings).unwrap().objects().cloned().collect()
}

fn is_of_expire(object: &Object) -> bool {
    object.metadata().labels.as_ref().unwrap().get(labels::COMPONENT).map(String::as_str) == Some("expire")
}

#[test]
fn what_a_schedule_adds_to_the_manifests() {
    let added: Vec<_> = objects(&with(Some("@hourly"))).into_iter().filter(is_of_expire).collect();
    let shown: Vec<_> = added
        .iter()
        // The expressions are tried on a real server; here they would be told twice.
        .filter(|object| object.kind() != "ValidatingAdmissionPolicy")
        .map(|object| serde_saphyr::to_string(object).unwrap())
        .collect();
    insta::assert_snapshot!(shown.join("---\n"));
}

#[test]
fn what_is_old_runs_again_where_that_is_asked_for() {
    let arguments = |settings: &Settings| {
        let job = objects(settings).into_iter().find_map(|object| match object {
            Object::CronJob(job) => Some(serde_json::to_value(job).unwrap()),
            _ => None,
        });
        job.unwrap()["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"].clone()
    };
    let plain = with(Some("@hourly"));
    let prefix = format!("--prefix={}", plain.prefix);
    assert_eq!(arguments(&plain), json!(["expire", prefix]));
    let old = Settings { expire_max_age: Some(30), stamp_day: true, ..plain };
    assert_eq!(arguments(&old), json!(["expire", prefix, "--max-age=30d"]));
}

#[test]
fn the_flow_schema_alone_is_another_beside_what_is_added() {
    let others: Vec<_> =
        objects(&with(Some("@hourly"))).into_iter().filter(|object| !is_of_expire(object)).collect();
    let without = objects(&with(None));
    let different: Vec<_> = without.iter().filter(|object| !others.contains(object)).collect();
    assert_eq!(different.iter().map(|object| object.kind()).collect::<Vec<_>>(), ["FlowSchema"]);
    assert_eq!(others.len(), without.len());
    let shared = Settings { queue: Queue::Shared, policy: PolicyMode::Omitted, ..with(Some("@hourly")) };
    let kinds: Vec<_> = objects(&shared).iter().filter(|it| is_of_expire(it)).map(Object::kind).collect();
    assert!(!kinds.iter().any(|kind| kind.contains("Policy") && *kind != "NetworkPolicy"), "{kinds:?}");
}

#[test]
fn a_namespace_that_is_not_there_may_be_looked_for_and_no_other() {
    let rules = |settings: &Settings| -> Vec<Value> {
        let roles = objects(settings).into_iter().filter(is_of_expire).filter_map(|object| match object {
            Object::ClusterRole(role) => Some(serde_json::to_value(role.rules).unwrap()),
            _ => None,
        });
        roles.flat_map(|rules| rules.as_array().cloned().unwrap_or_default()).collect()
    };
    let nodes = json!({"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "patch"]});
    let looked_for = json!({
        "apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"],
        "resourceNames": ["node-annotator-privileged"],
    });
    assert_eq!(rules(&with(Some("@daily"))), [nodes.clone(), looked_for]);
    let both = Settings { expire: with(Some("@daily")).expire, ..settings(&[&KERNEL, &NIC]) };
    assert_eq!(rules(&both), [nodes]);
}

#[test]
fn every_object_of_it_is_taken_away_by_its_command() {
    let manifests = Manifests::new(&with(Some("@hourly"))).unwrap();
    let command = manifests.expire_removal().unwrap();
    let selector = "app.kubernetes.io/part-of=node-annotator,app.kubernetes.io/component=expire";
    assert!(command.ends_with(&format!("--selector {selector}")), "{command}");
    for object in manifests.objects().filter(|object| is_of_expire(object)) {
        // What is in its namespace goes with it.
        let is_inside = object.metadata().namespace.as_deref() == Some("node-annotator-expire");
        let plural = match object.kind() {
            "ValidatingAdmissionPolicy" => "validatingadmissionpolicies".to_owned(),
            kind => format!("{}s", kind.to_lowercase()),
        };
        assert!(is_inside || command.contains(&plural), "{}: {command}", object.kind());
    }
    assert!(manifests.yaml().unwrap().contains(&format!("#   {command}\n")));
    let without = Manifests::new(&with(None)).unwrap();
    assert_eq!(without.expire_removal(), None);
}
