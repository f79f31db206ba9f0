//! The pods of our DaemonSets, and why they do not get done.

use std::collections::BTreeMap;

use node_annotator_core::fact::clean;
use serde::Deserialize;

/// Longest text of a container or a condition that is told.
const MAX_TEXT_BYTES: usize = 300;

/// The reason of the events of a controller that cannot make a pod.
pub(crate) const FAILED_CREATE: &str = "FailedCreate";

/// A pod, decoded to what tells how it is getting on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Pod {
    pub(crate) metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
    owner_references: Option<Vec<Owner>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Owner {
    kind: String,
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: Option<String>,
    affinity: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    conditions: Option<Vec<Condition>>,
    container_statuses: Option<Vec<Container>>,
    init_container_statuses: Option<Vec<Container>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    message: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    state: State,
    last_state: State,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct State {
    running: Option<serde::de::IgnoredAny>,
    waiting: Option<Waiting>,
    terminated: Option<Terminated>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terminated {
    exit_code: i32,
    message: Option<String>,
}

impl Pod {
    /// The DaemonSet that it belongs to.
    pub(crate) fn daemon_set(&self) -> Option<&str> {
        let mut owners = self.metadata.owner_references.iter().flatten();
        owners.find(|owner| owner.kind == "DaemonSet").map(|owner| owner.name.as_str())
    }

    /// The node that it runs on, or is made for: the DaemonSet controller writes that into its affinity.
    pub(crate) fn node(&self) -> Option<&str> {
        self.spec.node_name.as_deref().or_else(|| {
            let terms =
                self.spec.affinity.as_ref()?.pointer(
                    "/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms",
                )?;
            terms.pointer("/0/matchFields/0/values/0")?.as_str()
        })
    }

    /// Whether its container runs, and nothing has asked for its end. One that starts later, or again, runs
    /// all that is due then.
    pub(crate) fn is_running(&self) -> bool {
        let mut containers = self.status.container_statuses.iter().flatten();
        self.metadata.deletion_timestamp.is_none()
            && containers.any(|container| container.state.running.is_some())
    }

    /// Why it does not get done; nothing while it may still.
    pub(crate) fn trouble(&self) -> Option<String> {
        let Status { container_statuses, init_container_statuses, .. } = &self.status;
        let mut containers = container_statuses.iter().chain(init_container_statuses).flatten();
        containers.find_map(Container::trouble).or_else(|| {
            let mut conditions = self.status.conditions.iter().flatten();
            let unscheduled =
                conditions.find(|condition| condition.kind == "PodScheduled" && condition.status == "False");
            unscheduled.map(|condition| {
                condition.message.as_ref().map_or_else(|| "not scheduled".to_owned(), |text| told(text))
            })
        })
    }
}

impl Container {
    fn trouble(&self) -> Option<String> {
        let ended = [&self.last_state, &self.state]
            .into_iter()
            .filter_map(|state| state.terminated.as_ref())
            .find(|ended| ended.exit_code != 0);
        if let Some(ended) = ended {
            let message = ended.message.as_deref().map(termination).filter(|text| !text.is_empty());
            let message = message.map(|text| format!(": {text}")).unwrap_or_default();
            return Some(format!("exit code {}{message}", ended.exit_code));
        }
        let waiting = self.state.waiting.as_ref()?;
        let reason = waiting.reason.as_deref()?;
        if ["ContainerCreating", "PodInitializing"].contains(&reason) {
            return None;
        }
        let message = waiting.message.as_deref().map(|text| format!(": {}", told(text)));
        Some(reason.to_owned() + &message.unwrap_or_default())
    }
}

/// What a termination message says: the error of a summary of ours, else the text itself.
fn termination(message: &str) -> String {
    let summary: Option<serde_json::Value> = serde_json::from_str(message).ok();
    let error = summary.as_ref().and_then(|summary| summary.get("error")?.as_str());
    match (error, summary.is_some()) {
        (Some(error), _) => told(error),
        // Which collectors have failed stands on the Node, or would if it could be written.
        (None, true) => String::new(),
        (None, false) => told(message),
    }
}

fn told(text: &str) -> String {
    clean(text, MAX_TEXT_BYTES)
}

/// An event of a controller.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    involved_object: Involved,
    reason: Option<String>,
    message: Option<String>,
    count: Option<i32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Involved {
    kind: String,
    name: String,
}

/// Why pods of DaemonSets were not made, by what the controller tells of it: each text once, with the number
/// of tries.
pub(crate) fn refusals<'a>(
    events: impl IntoIterator<Item = &'a Event>,
    daemon_set: Option<&str>,
) -> BTreeMap<&'a str, i32> {
    let mut counts = BTreeMap::new();
    for event in events {
        let object = &event.involved_object;
        if event.reason.as_deref() == Some(FAILED_CREATE)
            && object.kind == "DaemonSet"
            && daemon_set.is_none_or(|name| object.name == name)
        {
            let text = without_pod(event.message.as_deref().unwrap_or_default());
            *counts.entry(text).or_default() += event.count.unwrap_or(1);
        }
    }
    counts
}

/// The text of such an event without what differs each time, the name of the pod that was not made.
fn without_pod(text: &str) -> &str {
    let text =
        text.trim_start_matches("(combined from similar events): ").trim_start_matches("Error creating: ");
    let rest = text.strip_prefix("pods \"").and_then(|rest| rest.split_once("\" "));
    rest.map_or(text, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> Pod {
        let affinity = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["n1"] }] }],
        } } });
        serde_json::from_value(json!({
            "metadata": { "name": "p", "ownerReferences": [{ "kind": "DaemonSet", "name": "set" }] },
            "spec": { "affinity": affinity },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_pod_that_is_not_scheduled_names_its_node_and_the_words_of_the_scheduler() {
        let words = "0/2 nodes are available: 1 Insufficient cpu.";
        let waiting =
            pod(&json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "message": words }] }));
        assert_eq!((waiting.node(), waiting.daemon_set()), (Some("n1"), Some("set")));
        assert_eq!(waiting.trouble().as_deref(), Some(words));
    }

    #[test]
    fn a_container_says_why_it_ended_or_waits() {
        for (container, trouble) in [
            (json!({ "state": { "running": {} } }), None),
            (json!({ "state": { "waiting": { "reason": "ContainerCreating" } } }), None),
            (
                json!({ "state": { "waiting": { "reason": "ImagePullBackOff", "message": "Back-off\npulling" } } }),
                Some("ImagePullBackOff: Back-off pulling"),
            ),
            (
                json!({
                    "state": { "waiting": { "reason": "CrashLoopBackOff" } },
                    "lastState": { "terminated": { "exitCode": 4, "message": "{\"exitCode\":4,\"error\":\"not allowed\"}" } },
                }),
                Some("exit code 4: not allowed"),
            ),
            (
                json!({ "state": { "terminated": { "exitCode": 139, "message": "signal: SEGV\u{1b}[2J" } } }),
                Some("exit code 139: signal: SEGV [2J"),
            ),
            (json!({ "state": { "terminated": { "exitCode": 3, "message": "{}" } } }), Some("exit code 3")),
        ] {
            let pod = pod(&json!({ "containerStatuses": [container] }));
            assert_eq!(pod.trouble().as_deref(), trouble, "{container}");
            assert_eq!(pod.is_running(), container["state"].get("running").is_some(), "{container}");
        }
    }
}
