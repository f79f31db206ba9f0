//! What becomes of a pod of the operator.

mod generation;
mod input;
mod level;
mod placement;
mod pod;

use k8s_openapi::api::core::v1::PodSpec;
use node_annotator_deploy::once::{Input, Options, Task};
use node_annotator_deploy::{Error, Manifests, Settings};
use serde_json::{Value, json};

use crate::fakes::{KERNEL, settings};

/// A pod with this spec as the input.
fn pod(spec: &Value) -> Input {
    of(json!({"kind": "Pod", "metadata": {"name": "x", "namespace": "apps"}, "spec": spec}))
}

/// An object as the input.
fn of(object: Value) -> Input {
    Input::of_documents(vec![object]).unwrap()
}

/// A container that does something and ends.
fn container(name: &str) -> Value {
    json!({"name": name, "image": "busybox", "command": ["true"]})
}

/// One container, with changes.
fn one(change: &Value) -> Value {
    let mut container = container("main");
    container.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    json!({"containers": [container]})
}

/// The settings that an input leads to, everything else as it is by default.
fn task(input: &Input, options: &Options) -> Result<Settings, Error> {
    let base = Settings {
        installation: "once-tune".parse().unwrap(),
        tolerations: "none".parse().unwrap(),
        ..settings(&[&KERNEL])
    };
    Task::settings("tune", input, options, base)
}

fn manifests(input: &Input, options: &Options) -> Manifests {
    Manifests::new(&task(input, options).unwrap()).unwrap()
}

/// The pod of the one DaemonSet.
fn made(input: &Input, options: &Options) -> PodSpec {
    let manifests = manifests(input, options);
    let set = manifests.daemon_sets().next().unwrap().clone();
    set.spec.unwrap().template.spec.unwrap()
}

/// Why an input is refused.
fn refusal(input: &Input) -> String {
    match task(input, &Options::default()).map(|settings| Manifests::new(&settings)) {
        Ok(Ok(_)) => panic!("it is not refused"),
        Ok(Err(error)) | Err(error) => error.to_string(),
    }
}
