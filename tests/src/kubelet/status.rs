//! The status that a kubelet reports for a pod, made from the states of its containers. Pure.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::environment::Addresses;
use super::runtime::Exit;

/// How a container ended.
#[derive(Clone, Debug)]
pub(super) struct Termination {
    pub(super) exit: Exit,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// What a container is doing.
#[derive(Clone, Debug)]
enum Current {
    Waiting { reason: &'static str, message: String },
    Running { started: Timestamp },
    Terminated(Termination),
}

/// A container as its pod's status shows it.
#[derive(Clone, Debug)]
pub(super) struct State {
    name: String,
    image: String,
    /// Whether it is one that starts before the main containers.
    is_init: bool,
    restarts: u32,
    current: Current,
    last: Option<Termination>,
}

impl State {
    pub(super) fn new(name: &str, image: &str, is_init: bool) -> Self {
        let current = Current::Waiting { reason: "ContainerCreating", message: String::new() };
        Self { name: name.to_owned(), image: image.to_owned(), is_init, restarts: 0, current, last: None }
    }

    pub(super) fn running(&mut self, started: Timestamp, restarts: u32) {
        self.restarts = restarts;
        self.leave();
        self.current = Current::Running { started };
    }

    pub(super) fn terminated(&mut self, termination: Termination) {
        self.current = Current::Terminated(termination);
    }

    pub(super) fn backing_off(&mut self, pause: Duration) {
        self.leave();
        let message = format!("back-off {pause:?} restarting failed container={}", self.name);
        self.current = Current::Waiting { reason: "CrashLoopBackOff", message };
    }

    /// What ended becomes the last state when something else follows.
    fn leave(&mut self) {
        if let Current::Terminated(termination) = &self.current {
            self.last = Some(termination.clone());
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.current, Current::Running { .. })
    }

    /// Whether it has been started.
    pub(super) fn has_started(&self) -> bool {
        self.restarts > 0 || !matches!(self.current, Current::Waiting { .. })
    }

    fn json(&self) -> Value {
        let state = match &self.current {
            Current::Waiting { reason, message } => {
                json!({"waiting": {"reason": reason, "message": message}})
            }
            Current::Running { started } => json!({"running": {"startedAt": started}}),
            Current::Terminated(termination) => terminated(termination),
        };
        let id = format!("simulated://{}-{}", self.name, self.restarts);
        json!({
            "name": self.name, "image": self.image, "imageID": "", "containerID": id,
            "restartCount": self.restarts, "ready": self.is_running(), "started": self.is_running(),
            "state": state, "lastState": self.last.as_ref().map_or(json!({}), terminated),
        })
    }
}

fn terminated(termination: &Termination) -> Value {
    let Termination { exit, started, finished, reason, message } = termination;
    json!({"terminated": {
        "exitCode": exit.code, "signal": exit.signal.unwrap_or(0), "reason": reason, "message": message,
        "startedAt": started, "finishedAt": finished,
    }})
}

/// The pod's phase: with `ended`, none of its containers will be started again.
fn phase(states: &[State], ended: bool) -> &'static str {
    let failed = |state: &State| matches!(&state.current, Current::Terminated(end) if end.exit.code != 0);
    if ended {
        if states.iter().any(failed) { "Failed" } else { "Succeeded" }
    } else if states
        .iter()
        .any(|state| state.restarts == 0 && matches!(state.current, Current::Waiting { .. }))
    {
        "Pending"
    } else {
        "Running"
    }
}

/// A strategic merge patch for the status of the pod with this uid, and no other of its name.
pub(super) fn patch(
    uid: &str,
    addresses: &Addresses,
    started: Timestamp,
    states: &[State],
    ended: bool,
) -> Value {
    let (init, main): (Vec<_>, Vec<_>) = states.iter().partition(|state| state.is_init);
    let ready = !main.is_empty() && main.iter().all(|state| state.is_running());
    let condition = |kind: &str, holds: bool| {
        let holds = if holds { "True" } else { "False" };
        json!({"type": kind, "status": holds, "lastTransitionTime": Timestamp::now()})
    };
    let shown = |states: &[&State]| states.iter().map(|state| state.json()).collect::<Vec<_>>();
    json!({
        "metadata": {"uid": uid},
        "status": {
            "phase": phase(states, ended),
            "startTime": started,
            "hostIP": addresses.host, "hostIPs": [{"ip": addresses.host}],
            "podIP": addresses.pod, "podIPs": [{"ip": addresses.pod}],
            "conditions": [
                condition("PodReadyToStartContainers", !ended),
                condition("Initialized", init.iter().all(|state| state.has_started())),
                condition("ContainersReady", ready),
                condition("Ready", ready),
            ],
            "initContainerStatuses": shown(&init),
            "containerStatuses": shown(&main),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_becomes_the_last_state() {
        let now = Timestamp::UNIX_EPOCH;
        let end = Termination {
            exit: Exit { code: 3, signal: None },
            started: now,
            finished: now,
            reason: "Error",
            message: "why".into(),
        };
        let mut state = State::new("c", "image", false);
        assert_eq!(phase(&[state.clone()], false), "Pending");
        state.running(now, 0);
        state.terminated(end.clone());
        assert_eq!(phase(&[state.clone()], true), "Failed");
        state.running(now, 1);
        state.terminated(end);
        state.backing_off(Duration::from_secs(10));
        let json = state.json();
        assert_eq!(json["restartCount"], 1);
        assert_eq!(json["state"]["waiting"]["reason"], "CrashLoopBackOff");
        assert_eq!(json["lastState"]["terminated"]["exitCode"], 3);
        assert_eq!(json["lastState"]["terminated"]["message"], "why");
        assert_eq!(phase(&[state], false), "Running");
    }
}
