//! What is still to do, and which pods do not get it done.

use k8s_openapi::api::apps::v1::DaemonSet;

use super::Settings;
use super::check::Conclusion;
use crate::operator::fleet::pods::{self, Event, FAILED_CREATE, Pod};

/// So many reasons are told.
const MAX_TEXTS: usize = 3;

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
        pods.iter().filter_map(|pod| Some((pod.metadata.name.as_str(), pod.trouble()?))).collect();
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

/// Why pods were not made: each text with the number of tries.
fn refusals(events: &[Event]) -> String {
    let counts = pods::refusals(events, None);
    let texts: Vec<_> =
        counts.iter().take(MAX_TEXTS).map(|(text, count)| format!("{count} × {text}")).collect();
    if texts.is_empty() { String::new() } else { format!("; {FAILED_CREATE}: {}", texts.join("; ")) }
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
        let pod = json!({ "metadata": { "name": "p" }, "status": { "containerStatuses": [container] } });
        let pod = serde_json::from_value(pod).unwrap();
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
