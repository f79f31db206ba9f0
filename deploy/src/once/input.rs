//! What the operator gives: a pod in an object of some kind, and the objects that it refers to.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Map, Value, json};

use crate::{Error, labels};

/// The kinds that are copied for the pod.
const GIVEN: [&str; 3] = ["ConfigMap", "PersistentVolumeClaim", "Secret"];

/// Labels that controllers put on their pods.
const OF_CONTROLLERS: [&str; 4] =
    ["controller-revision-hash", "controller-uid", "job-name", "pod-template-generation"];

/// Names that kubectl and controllers write for themselves.
const OF_TOOLS: [&str; 3] = ["batch.kubernetes.io/", "kubectl.kubernetes.io/", "cni.projectcalico.org/"];

/// What a Job says that has no meaning for a DaemonSet, with what to do.
const ONLY_OF_A_JOB: [(&str, &str); 6] = [
    ("backoffLimitPerIndex", "there are no indexes: each node runs the same"),
    ("managedBy", "the pods are those of a DaemonSet; leave it out"),
    ("maxFailedIndexes", "there are no indexes: each node runs the same"),
    ("podFailurePolicy", "each failure is tried again, as often as `backoffLimit` says; leave it out"),
    ("podReplacementPolicy", "the pods are those of a DaemonSet; leave it out"),
    ("successPolicy", "every node has to succeed; leave it out"),
];

/// What the operator gave.
#[derive(Debug, Clone)]
pub struct Input {
    kind: &'static str,
    /// The pod as it was given, with quantities as texts.
    raw: Value,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    namespace: Option<String>,
    tries: Option<u32>,
    timeout: Option<Duration>,
    /// By kind and name.
    given: BTreeMap<(String, String), Value>,
    said: Vec<String>,
}

impl Input {
    /// A command in an image.
    pub fn of_command(name: &str, image: &str, command: &[String], is_privileged: bool) -> Self {
        let mut container = json!({ "name": name, "image": image, "command": command });
        if is_privileged {
            container["securityContext"] = json!({ "privileged": true });
        }
        Self::of_pod("Pod", json!({ "containers": [container] }))
    }

    /// The objects of a manifest: one with a pod in it, and those that it refers to.
    pub fn of_documents(documents: Vec<Value>) -> Result<Self, Error> {
        let mut input: Option<Self> = None;
        let mut given = BTreeMap::new();
        for object in documents.into_iter().flat_map(expanded) {
            let kind = object["kind"].as_str().unwrap_or_default().to_owned();
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if GIVEN.contains(&kind.as_str()) {
                given.insert((kind, name), object);
                continue;
            }
            let found = Self::of_object(&kind, &name, &object)?;
            if let Some(earlier) = &input {
                let reason = format!("there is a {} before it, and a task is one of them", earlier.kind);
                return Err(Error::refused("the input", format!("{kind}/{name}"), reason));
            }
            input = Some(found);
        }
        let mut input = input.ok_or_else(|| {
            Error::refused("the input", "", "there is no Pod, Job, CronJob or DaemonSet in it")
        })?;
        input.given = given;
        Ok(input)
    }

    /// Adds objects that the pod refers to.
    pub fn add(&mut self, documents: Vec<Value>) -> Result<(), Error> {
        for object in documents.into_iter().flat_map(expanded) {
            let kind = object["kind"].as_str().unwrap_or_default().to_owned();
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if !GIVEN.contains(&kind.as_str()) {
                let reason = format!("only these are copied for a pod: {}", GIVEN.join(", "));
                return Err(Error::refused("the object", format!("{kind}/{name}"), reason));
            }
            self.given.insert((kind, name), object);
        }
        Ok(())
    }

    fn of_object(kind: &str, name: &str, object: &Value) -> Result<Self, Error> {
        let spec = &object["spec"];
        let mut input = match kind {
            "Pod" => Self::of_pod("Pod", spec.clone()).with_metadata(&object["metadata"]),
            "DaemonSet" => Self::of_template("DaemonSet", &spec["template"]),
            "Job" => Self::of_job("Job", name, spec)?,
            "CronJob" => {
                refuse_if_suspended("CronJob", name, spec)?;
                let mut input = Self::of_job("CronJob", name, &spec["jobTemplate"]["spec"])?;
                let schedule = spec["schedule"].as_str().unwrap_or_default();
                input.said.push(format!(
                    "the schedule `{schedule}` of CronJob `{name}` is left out: it runs once on each node, and again with \
                     another --generation"
                ));
                input
            }
            "" => return Err(Error::refused("the input", "", "an object has no `kind`")),
            other => {
                let reason = "a task is a Pod, Job, CronJob or DaemonSet, and ConfigMaps, Secrets and \
                              PersistentVolumeClaims beside it";
                return Err(Error::refused("the input", format!("{other}/{name}"), reason));
            }
        };
        input.namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
        if !input.raw.is_object() {
            return Err(Error::refused("the input", format!("{kind}/{name}"), "there is no pod in it"));
        }
        Ok(input)
    }

    fn of_job(kind: &'static str, name: &str, spec: &Value) -> Result<Self, Error> {
        let refused = |field: &str, reason: &str| {
            Err(Error::refused(kind, name, format!("`{field}` has no meaning here: {reason}")))
        };
        refuse_if_suspended(kind, name, spec)?;
        for field in ["parallelism", "completions"] {
            if spec[field].as_i64().is_some_and(|number| number != 1) {
                return refused(field, "each node runs it once; leave it out");
            }
        }
        if spec["completionMode"].as_str().is_some_and(|mode| mode != "NonIndexed") {
            return refused("completionMode", "there are no indexes: each node runs the same");
        }
        if let Some((field, reason)) = ONLY_OF_A_JOB.into_iter().find(|(field, _)| !spec[field].is_null()) {
            return refused(field, reason);
        }
        let mut input = Self::of_template(kind, &spec["template"]);
        if !spec["ttlSecondsAfterFinished"].is_null() {
            input.said.push(format!(
                "`ttlSecondsAfterFinished` of {kind} `{name}` is left out: a pod goes as soon as its node is done"
            ));
        }
        if let Some(limit) = spec["backoffLimit"].as_u64() {
            input.tries = Some(u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1));
        }
        input.timeout = seconds(&spec["activeDeadlineSeconds"]).or(input.timeout);
        Ok(input)
    }

    fn of_template(kind: &'static str, template: &Value) -> Self {
        Self::of_pod(kind, template["spec"].clone()).with_metadata(&template["metadata"])
    }

    fn of_pod(kind: &'static str, pod: Value) -> Self {
        let timeout = seconds(&pod["activeDeadlineSeconds"]);
        Self {
            kind,
            raw: with_quantities(pod),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            namespace: None,
            tries: None,
            timeout,
            given: BTreeMap::new(),
            said: Vec::new(),
        }
    }

    /// Labels and annotations that a person wrote: ours take the place of their like.
    fn with_metadata(mut self, metadata: &Value) -> Self {
        let texts = |map: &Value| -> BTreeMap<String, String> {
            let entries = map.as_object().into_iter().flatten();
            let kept = entries.filter(|(key, _)| {
                !OF_TOOLS.iter().any(|tool| key.starts_with(tool)) && !OF_CONTROLLERS.contains(&key.as_str())
            });
            kept.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        };
        self.labels = texts(&metadata["labels"]);
        self.labels.retain(|key, _| !labels::ALL.contains(&key.as_str()));
        self.annotations = texts(&metadata["annotations"]);
        self
    }

    /// The kind of object that held the pod.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// The pod as it was given.
    pub(super) fn raw(&self) -> &Value {
        &self.raw
    }

    pub(super) fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    pub(super) fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    pub(super) fn tries(&self) -> Option<u32> {
        self.tries
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The namespace that the pod's references are in, as a flag of kubectl.
    pub(super) fn namespace_flag(&self) -> String {
        self.namespace.as_ref().map(|namespace| format!(" --namespace {namespace}")).unwrap_or_default()
    }

    /// The objects that were given beside the pod: kind, name and the object.
    pub(super) fn given(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.given.iter().map(|((kind, name), object)| (kind.as_str(), name.as_str(), object))
    }

    /// One of them.
    pub(super) fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.given.get(&(kind.to_owned(), name.to_owned()))
    }

    /// What of the input is left out, in words.
    pub fn said(&self) -> Vec<String> {
        let mut said = self.said.clone();
        said.extend(super::pod::left_out(&self.raw, self.kind));
        said
    }

    /// The pod. A field that this version does not know is refused, since it would be lost.
    pub(super) fn pod(&self) -> Result<PodSpec, Error> {
        let pod: PodSpec = serde_json::from_value(self.raw.clone())
            .map_err(|error| Error::refused("the pod of the", self.kind, format!("it is none: {error}")))?;
        let known = serde_json::to_value(&pod).map_err(Error::Json)?;
        if let Some(path) = unknown_field(&self.raw, &known) {
            let reason = "this version does not know the field, and would lose it; is it misspelled?";
            return Err(Error::refused("the field", path, reason));
        }
        Ok(pod)
    }
}

/// The objects of a List, or the object itself.
fn expanded(object: Value) -> Vec<Value> {
    match object {
        Value::Null => Vec::new(),
        Value::Object(mut map) if map.get("kind").is_some_and(|kind| kind == "List") => {
            match map.remove("items") {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            }
        }
        other => vec![other],
    }
}

fn refuse_if_suspended(kind: &'static str, name: &str, spec: &Value) -> Result<(), Error> {
    if spec["suspend"] == true {
        let reason = "it is suspended; leave `suspend` out, or print a set that waits with --hold";
        return Err(Error::refused(kind, name, reason));
    }
    Ok(())
}

fn seconds(value: &Value) -> Option<Duration> {
    value.as_u64().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// Kubernetes takes a number for a quantity, the library's type a text alone.
fn with_quantities(mut pod: Value) -> Value {
    let to_text = |value: &mut Value| {
        if value.is_number() {
            *value = Value::from(value.to_string());
        }
    };
    let all_to_text = |map: &mut Value| {
        if let Value::Object(map) = map {
            map.values_mut().for_each(to_text);
        }
    };
    let of_resources = |resources: &mut Value| {
        for field in ["limits", "requests"] {
            if let Some(map) = resources.get_mut(field) {
                all_to_text(map);
            }
        }
    };
    for list in ["containers", "initContainers"] {
        for container in pod.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(resources) = container.get_mut("resources") {
                of_resources(resources);
            }
        }
    }
    if let Some(resources) = pod.get_mut("resources") {
        of_resources(resources);
    }
    for volume in pod.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(limit) = volume.pointer_mut("/emptyDir/sizeLimit") {
            to_text(limit);
        }
    }
    pod
}

/// The path of a field that is in what was given, and not in what was understood.
fn unknown_field(given: &Value, known: &Value) -> Option<String> {
    fn joined(key: &str, below: &str) -> String {
        let dot = if below.is_empty() || below.starts_with('[') { "" } else { "." };
        format!("{key}{dot}{below}")
    }
    let empty = Map::new();
    match given {
        Value::Object(map) => {
            let known = known.as_object().unwrap_or(&empty);
            map.iter().filter(|(_, value)| !value.is_null()).find_map(|(key, value)| match known.get(key) {
                None if is_empty(value) => None,
                None => Some(key.clone()),
                Some(known) => Some(joined(key, &unknown_field(value, known)?)),
            })
        }
        Value::Array(list) => {
            let known = known.as_array()?;
            let mut pairs = list.iter().zip(known).enumerate();
            pairs.find_map(|(index, (value, known))| {
                Some(joined(&format!("[{index}]"), &unknown_field(value, known)?))
            })
        }
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}
