//! What is still to do, and which pods do not get it done.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};

use super::Settings;
use super::check::Conclusion;

/// So many reasons are told.
const MAX_TEXTS: usize = 3;

/// The reason of the events of a controller that cannot make a pod.
const FAILED_CREATE: &str = "FailedCreate";

/// How far the DaemonSets of one namespace are. Work that is under way is no trouble.
pub(super) fn conclude(
    sets: &[&DaemonSet],
    pods: &[Pod],
    events: &[Event],
    namespace: &str,
    settings: &Settings,
) -> Conclusion {
    if sets.is_empty() {
        return Conclusion::warn("there is no DaemonSet: nothing will run", settings.apply_command());
    }
    let failing: Vec<_> =
        pods.iter().filter_map(|pod| Some((pod.metadata.name.as_deref()?, trouble(pod)?))).collect();
    if let Some((name, trouble)) = failing.first() {
        return Conclusion::warn(
            format!("pods that do not get done: {}, such as `{name}`: {trouble}", failing.len()),
            format!("kubectl describe pod --namespace {namespace} {name}, and kubectl logs of the same"),
        );
    }
    let counts = sets.iter().filter_map(|set| set.status.as_ref());
    let (wanted, there) = counts.fold((0, 0), |(wanted, there), status| {
        (wanted + status.desired_number_scheduled, there + status.current_number_scheduled)
    });
    if there < wanted {
        return Conclusion::warn(
            format!("pods that are not there yet: {} of {wanted}{}", wanted - there, refusals(events)),
            format!("if it stays so: kubectl describe daemonsets --namespace {namespace}"),
        );
    }
    Conclusion::pass(match wanted {
        0 => "done on all nodes".to_owned(),
        wanted => format!("pods at work: {wanted}"),
    })
}

/// Why pods were not made, by what the controller tells of it: each text once, with the number of tries.
fn refusals(events: &[Event]) -> String {
    let of_sets = events.iter().filter(|event| {
        event.reason.as_deref() == Some(FAILED_CREATE)
            && event.involved_object.kind.as_deref() == Some("DaemonSet")
    });
    let mut counts: BTreeMap<&str, i32> = BTreeMap::new();
    for event in of_sets {
        let text = without_pod(event.message.as_deref().unwrap_or_default());
        *counts.entry(text).or_default() += event.count.unwrap_or(1);
    }
    let texts: Vec<_> =
        counts.iter().take(MAX_TEXTS).map(|(text, count)| format!("{count} × {text}")).collect();
    if texts.is_empty() { String::new() } else { format!("; {FAILED_CREATE}: {}", texts.join("; ")) }
}

/// The text of such an event without what differs each time, the name of the pod that was not made.
fn without_pod(text: &str) -> &str {
    let text =
        text.trim_start_matches("(combined from similar events): ").trim_start_matches("Error creating: ");
    let rest = text.strip_prefix("pods \"").and_then(|rest| rest.split_once("\" "));
    rest.map_or(text, |(_, rest)| rest)
}

/// Why a pod does not get done; nothing while it may still.
fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let mut containers = status.container_statuses.iter().flatten();
    containers.find_map(container_trouble).or_else(|| {
        let mut conditions = status.conditions.iter().flatten();
        let unscheduled =
            conditions.find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
        unscheduled.map(|condition| condition.message.clone().unwrap_or_else(|| "not scheduled".to_owned()))
    })
}

fn container_trouble(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    let ended = [&container.last_state, &container.state]
        .into_iter()
        .filter_map(|state| state.as_ref()?.terminated.as_ref())
        .find(|ended| ended.exit_code != 0);
    match (waiting.and_then(|waiting| waiting.reason.as_deref()), ended) {
        (_, Some(ended)) => Some(format!("exit code {}", ended.exit_code)),
        (Some(reason), None) if reason != "ContainerCreating" && reason != "PodInitializing" => {
            Some(reason.to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::check::Verdict;
    use super::*;

    fn concluded(desired: i32, current: i32, container: &Value) -> Conclusion {
        let mut set = DaemonSet::default();
        let status = set.status.get_or_insert_default();
        (status.desired_number_scheduled, status.current_number_scheduled) = (desired, current);
        let container = serde_json::from_value(container.clone()).unwrap();
        let mut pod = Pod::default();
        pod.metadata.name = Some("p".to_owned());
        pod.status.get_or_insert_default().container_statuses = Some(vec![container]);
        conclude(&[&set], &[pod], &events(), "node-annotator", &Settings::default())
    }

    /// Two tries of one kind, one of another, and what is about something else.
    fn events() -> Vec<Event> {
        let event = |kind: &str, reason: &str, message: &str, count: Option<i32>| {
            serde_json::from_value(json!({
                "metadata": {}, "involvedObject": { "kind": kind }, "reason": reason, "message": message, "count": count,
            }))
            .unwrap()
        };
        vec![
            event(
                "DaemonSet",
                "FailedCreate",
                "Error creating: pods \"a-x1\" is forbidden: exceeded quota",
                Some(2),
            ),
            event(
                "DaemonSet",
                "FailedCreate",
                "(combined from similar events): Error creating: pods \"a-x2\" is forbidden: exceeded quota",
                Some(6),
            ),
            event("DaemonSet", "FailedCreate", "denied the request", None),
            event("DaemonSet", "SuccessfulCreate", "created", None),
            event("ReplicaSet", "FailedCreate", "of others", None),
        ]
    }

    fn container(state: &Value) -> Value {
        json!({ "name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "state": state })
    }

    #[test]
    fn work_under_way_is_no_trouble() {
        let running = container(&json!({ "running": {} }));
        assert_eq!(concluded(2, 2, &running).finding(), "pods at work: 2");
        assert_eq!(concluded(0, 0, &running).finding(), "done on all nodes");
        let creating = container(&json!({ "waiting": { "reason": "ContainerCreating" } }));
        assert_eq!(concluded(1, 1, &creating).verdict(), Verdict::Pass);
        let missing = concluded(2, 1, &running);
        assert_eq!(missing.verdict(), Verdict::Warn);
        assert_eq!(
            missing.finding(),
            "pods that are not there yet: 1 of 2; FailedCreate: 1 × denied the request; 8 × is forbidden: exceeded quota"
        );
    }

    #[test]
    fn pods_that_do_not_get_done_are_named() {
        let pulling = container(&json!({ "waiting": { "reason": "ImagePullBackOff" } }));
        assert_eq!(
            concluded(1, 1, &pulling).finding(),
            "pods that do not get done: 1, such as `p`: ImagePullBackOff"
        );
        let mut crashed = container(&json!({ "waiting": { "reason": "CrashLoopBackOff" } }));
        crashed["lastState"] = json!({ "terminated": { "exitCode": 3 } });
        assert_eq!(
            concluded(1, 1, &crashed).finding(),
            "pods that do not get done: 1, such as `p`: exit code 3"
        );
    }
}
