//! The objects of a release, as they are generated for settings that stand for its own.

use std::time::Duration;

use node_annotator_core::fact::MAX_RUN_BYTES;
use node_annotator_core::{
    Cardinality, Collector, DoneMark, GiveUpAfter, LabelFacts, PrivilegeClass, Registry, Selection,
};
use serde_json::{Map, Value, json};

use super::{COMPONENT, MAX_BYTES, SLOT, TAINT, check, generation, prefix, settings};
use crate::startup_taint::OnFailure;
use crate::{
    Architecture, Error, Installation, Manifests, Settings, StartupTaint, foreign_prefix, installation,
    labels, placement, policy, startup_taint,
};

/// The variables of the policies that list something of each collector.
const OF_COLLECTORS: [&str; 6] =
    ["labels", "annotations", "factLabels", "doneLabels", "olderValues", "allDone"];

/// The sets of classes that a release can need, by their names.
const CLASSES: [(&str, &[PrivilegeClass]); 3] = [
    ("restricted", &[PrivilegeClass::Restricted]),
    ("privileged", &[PrivilegeClass::Privileged]),
    ("restricted+privileged", &[PrivilegeClass::Restricted, PrivilegeClass::Privileged]),
];

/// Any schedule: the templates put that of the release in its place.
const SCHEDULE: &str = "@hourly";

pub(super) fn all(registry: &Registry) -> Result<Value, Error> {
    let every = Selection::parse("all", registry).expect("there are collectors");
    Ok(json!({
        "limits": {
            "annotations": policy::MAX_ANNOTATIONS,
            "factBytes": MAX_RUN_BYTES,
            "giveUpAfter": GiveUpAfter::default().to_string(),
            "foreignDomains": &foreign_prefix::OWNERS[..],
            "autoscalerDomains": startup_taint::AUTOSCALERS,
            "namespaceBytes": Installation::MAX_BYTES,
            "namespaceEnds": installation::SUFFIXES,
        },
        "placement": placement(&every)?,
        "base": of_each_set(&every, base)?,
        "policy": policies(&every)?,
        "matchCondition": of_each_set(&every, match_condition)?,
        "allDone": all_done(&every)?,
        "startupTaint": with_slots(of_file(&with_taint(&every, OnFailure::Keep)?, "02-startup-taint.yaml")?),
        "expirePolicy": with_slots(of_file(&expiring(settings(every.clone())?), "02-expire-policy.yaml")?),
        "expire": of_file(&with_max_age(expiring(settings(every.clone())?)), "cronjob-expire.yaml")?,
        "daemonSet": daemon_set(&every)?,
        "check": check::objects(&settings(every)?),
    }))
}

/// The objects of the files whose name begins so, in order.
fn of_file(settings: &Settings, start: &str) -> Result<Value, Error> {
    let manifests = Manifests::new(settings)?;
    let files = manifests.files().iter().filter(|file| file.name.starts_with(start));
    Ok(json!(files.flat_map(|file| &file.objects).collect::<Vec<_>>()))
}

/// Something for each set of classes, by a selection that needs exactly those.
fn of_each_set(every: &Selection, of: fn(&Settings) -> Result<Value, Error>) -> Result<Value, Error> {
    let mut all = Map::new();
    for (name, classes) in CLASSES {
        let is_of_them = |collector: &Collector| classes.contains(&collector.privilege_class());
        let selection = every.only(is_of_them).expect("there are collectors of each class");
        all.insert(name.to_owned(), of(&settings(selection)?)?);
    }
    Ok(all.into())
}

fn expiring(settings: Settings) -> Settings {
    Settings { expire: Some(SCHEDULE.parse().expect("it is one")), ..settings }
}

/// Any age: the templates put that of the release in its place.
fn with_max_age(settings: Settings) -> Settings {
    Settings { expire_max_age: Some(1), stamp_day: true, ..settings }
}

/// Everything but policies and what makes pods, without `expire` and with it.
fn base(settings: &Settings) -> Result<Value, Error> {
    let of = |settings: &Settings| -> Result<Value, Error> {
        let mut objects = Vec::new();
        for start in ["01-", "03-", "04-", "05-", "06-", "07-", "08-"] {
            objects.extend(of_file(settings, start)?.as_array().cloned().unwrap_or_default());
        }
        Ok(objects.into())
    };
    Ok(json!({ "plain": of(settings)?, "expiring": of(&expiring(settings.clone()))? }))
}

/// Which nodes are left out, whatever a release chooses.
fn placement(every: &Selection) -> Result<Value, Error> {
    let plain = settings(every.clone())?;
    let always = placement::requirements(&plain);
    let added = |settings: Settings| -> String {
        let all = placement::requirements(&settings);
        let added = all.into_iter().find(|requirement| !always.contains(requirement));
        added.expect("it adds one").key
    };
    let architectures = ["amd64", "arm64"].map(|name| name.parse::<Architecture>().expect("it is one"));
    let excluded: Map<_, _> =
        always.iter().map(|requirement| (requirement.key.clone(), json!(requirement.values))).collect();
    Ok(json!({
        "optOut": prefix().opt_out(),
        "excluded": excluded,
        "controlPlane": added(Settings { exclude_control_plane: true, ..plain.clone() }),
        "architecture": added(Settings { architectures: architectures.into(), ..plain.clone() }),
    }))
}

fn with_taint(every: &Selection, on_failure: OnFailure) -> Result<Settings, Error> {
    let taint = StartupTaint { key: TAINT.to_owned(), on_failure };
    Ok(Settings { startup_taint: Some(taint), ..settings(every.clone())? })
}

/// A fact that can be a label.
fn some_labels(every: &Selection) -> LabelFacts {
    let collectors: Vec<_> = every.iter().collect();
    let is_shared = |collector: &&&Collector| {
        collector.facts.iter().any(|fact| fact.name.is_none() && fact.cardinality == Cardinality::Shared)
    };
    let found = collectors.iter().find(is_shared).expect("there is such a fact");
    LabelFacts::parse([found.name], &collectors).expect("it can be one")
}

/// The policy and its binding: without a startup taint and labels of facts, and with them.
fn policies(every: &Selection) -> Result<Value, Error> {
    let mut all = Map::new();
    for (name, is_tainted, has_labels) in [
        ("plain", false, false),
        ("labels", false, true),
        ("taint", true, false),
        ("taint+labels", true, true),
    ] {
        let settings =
            if is_tainted { with_taint(every, OnFailure::Keep)? } else { settings(every.clone())? };
        let labels = if has_labels { some_labels(every) } else { LabelFacts::default() };
        let settings = Settings { labels, ..settings };
        let bytes = policy::Scope::new(&settings).keys().max_bytes.to_string();
        let objects = with_slots(of_file(&settings, "02-admission-policy.yaml")?);
        all.insert(name.to_owned(), replaced(&objects, &bytes, MAX_BYTES));
    }
    Ok(all.into())
}

/// Names what the templates fill in.
fn with_slots(mut objects: Value) -> Value {
    for object in objects.as_array_mut().into_iter().flatten() {
        if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
            annotations.remove(policy::SETTINGS_ANNOTATION);
        }
        let variables = object["spec"].get_mut("variables").and_then(Value::as_array_mut);
        for variable in variables.into_iter().flatten() {
            // The policies of runs and of `expire` list the same labels in two ways.
            let is_list =
                variable["expression"].as_str().is_some_and(|expression| expression.starts_with('['));
            let name = variable["name"].as_str().unwrap_or_default().to_owned();
            let slot = if name == "labels" && is_list { "labelKeys" } else { &name };
            if OF_COLLECTORS.contains(&name.as_str()) {
                variable["expression"] = json!(format!("{SLOT}{slot}"));
            }
        }
    }
    objects
}

/// A word for another, wherever it stands.
fn replaced(objects: &Value, from: &str, to: &str) -> Value {
    serde_json::from_str(&objects.to_string().replace(from, to)).expect("no text of JSON is made or ended")
}

/// Whose requests the policies are about.
fn match_condition(settings: &Settings) -> Result<Value, Error> {
    let objects = of_file(settings, "02-admission-policy.yaml")?;
    Ok(objects[0]["spec"]["matchConditions"][0]["expression"].clone())
}

/// When all collectors are done, by what becomes of the startup taint where one is given up, and by what done
/// labels say.
fn all_done(every: &Selection) -> Result<Value, Error> {
    let first = every.only(|collector| collector.revision == 1).expect("there are collectors");
    let of = |selection: &Selection, mark: DoneMark, on_failure| -> Result<Value, Error> {
        let settings = Settings { mark, ..with_taint(selection, on_failure)? };
        let objects = of_file(&settings, "02-startup-taint.yaml")?;
        let variables = objects[0]["spec"]["variables"].as_array().cloned().unwrap_or_default();
        let found = variables.into_iter().find(|variable| variable["name"] == "allDone");
        Ok(found.expect("there is one")["expression"].clone())
    };
    let mut all = Map::new();
    for on_failure in [OnFailure::Keep, OnFailure::Remove] {
        let by_mark = json!({
            "saved": of(&first, DoneMark::Saved, on_failure)?,
            "savedWithOlder": of(every, DoneMark::Saved, on_failure)?,
            "generation": of(every, generation(), on_failure)?,
        });
        all.insert(on_failure.as_str().to_owned(), by_mark);
    }
    Ok(all.into())
}

/// A DaemonSet with each argument that there can be. The templates take out those that are not wanted.
fn daemon_set(every: &Selection) -> Result<Value, Error> {
    let is_privileged = |collector: &Collector| collector.privilege_class() == PrivilegeClass::Privileged;
    let selection = every.only(is_privileged).expect("there are collectors of each class");
    let settings = Settings {
        mark: generation(),
        stamp_day: true,
        labels: some_labels(&selection),
        trust_sandbox: true,
        give_up_after: GiveUpAfter::Time(Duration::from_hours(2)),
        ..settings(selection)?
    };
    let mut set = of_file(&settings, "daemonset-")?[0].take();
    let component = labels::COMBINED;
    set = replaced(&set, &format!("\"{component}\""), &format!("\"{COMPONENT}\""));
    let pod = &mut set["spec"]["template"]["spec"];
    pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] =
        json!([]);
    // What is of collectors.
    retain(&mut pod["volumes"], |volume| volume.get("hostPath").is_none());
    let container = &mut pod["containers"][0];
    retain(&mut container["env"], |variable| variable["name"] == "NODE_NAME");
    retain(&mut container["volumeMounts"], |mount| mount.get("recursiveReadOnly").is_none());
    if let Some(pod) = pod.as_object_mut() {
        pod.remove("hostNetwork");
    }
    Ok(set)
}

fn retain(list: &mut Value, is_kept: impl Fn(&Value) -> bool) {
    if let Some(list) = list.as_array_mut() {
        list.retain(is_kept);
    }
}
