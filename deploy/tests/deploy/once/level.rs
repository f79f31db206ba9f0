//! The Pod Security level of the namespace: the narrowest that admits the pod. A scenario asks the API server
//! about the same pods.

use node_annotator_deploy::once::Options;
use serde_json::{Value, json};

use super::{one, pod, task};

/// Pods, each with the level that it needs.
pub(crate) fn table() -> Vec<(Value, &'static str)> {
    serde_json::from_str::<Vec<(Value, String)>>(include_str!("levels.json"))
        .unwrap()
        .into_iter()
        .map(|(change, level)| {
            let level = ["restricted", "baseline", "privileged"].into_iter().find(|it| *it == level).unwrap();
            (change, level)
        })
        .collect()
}

/// A pod that `restricted` admits, changed: `pod` is put into it, `container` into its container.
pub(crate) fn changed(change: &Value) -> Value {
    let mut spec = one(&json!({"securityContext": {
        "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 1000,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    }}));
    merge(&mut spec, &change["pod"]);
    merge(&mut spec["containers"][0], &change["container"]);
    spec
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (into, from) => *into = from.clone(),
    }
}

#[test]
fn the_level_is_the_narrowest_that_admits_the_pod() {
    let mut levels = std::collections::BTreeSet::new();
    for (change, level) in table() {
        let settings = task(&pod(&changed(&change)), &Options::default()).unwrap();
        assert_eq!(settings.task.unwrap().class().as_str(), level, "{change}");
        levels.insert(level);
    }
    assert_eq!(levels.len(), 3);
}
