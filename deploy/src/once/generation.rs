//! The value of a task's done label: it changes with the input, and with nothing else.

use node_annotator_core::Generation;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::{Input, Options};

/// How much of the digest is written: enough that no two inputs of a task meet.
const BYTES: usize = 8;

/// Where a pod may run does not change what it does: a node that an earlier input ran on is not run again
/// for more nodes.
const PLACEMENT: [&str; 3] = ["affinity", "nodeSelector", "tolerations"];

/// A digest of what the operator gave: the pod, the objects that are copied for it, the check and the names
/// of the facts. Nothing of ours is in it, and no type of a library decides what is: another version of
/// this program runs no task again.
pub(super) fn of(input: &Input, options: &Options) -> Generation {
    let mut pod = input.raw().clone();
    if let Value::Object(pod) = &mut pod {
        pod.retain(|key, _| !PLACEMENT.contains(&key.as_str()));
    }
    let facts = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    let contents = |object: &Value| {
        let mut object = object.clone();
        if let Value::Object(object) = &mut object {
            object.remove("metadata");
            object.remove("status");
        }
        object
    };
    let given: Map<String, Value> =
        input.given().map(|(kind, name, object)| (format!("{kind}/{name}"), contents(object))).collect();
    let hashed = json!({
        "pod": pod,
        "given": given,
        "check": options.check,
        "facts": facts(&options.facts.names),
        "retired": facts(&options.facts.retired),
        "perBoot": options.is_per_boot.then_some(true),
    });
    let mut text = String::new();
    write(&hashed, &mut text);
    let digest = digest(&SHA256, text.as_bytes());
    let number = digest.as_ref()[..BYTES].try_into().map(u64::from_be_bytes).expect("a digest is longer");
    // Not a number where YAML is read.
    format!("h{number:016x}").parse().expect("letters and digits are a generation")
}

/// JSON in one spelling: keys in order, without what is null or empty, which tools add or leave out as they
/// like.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().filter(|(_, value)| !is_nothing(value)).collect();
            keys.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (key, value) in keys {
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(list) => {
            text.push('[');
            for value in list {
                write(value, text);
                text.push(',');
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_nothing),
        Value::Array(list) => list.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
