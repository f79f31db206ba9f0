//! What happened to containers, in order: for assertions such as "none was restarted", and for telling
//! people.

use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};
use jiff::Timestamp;
use tokio::sync::watch;

use super::runtime::Exit;
use crate::wait;

/// How many are quoted in an error.
const SHOWN: usize = 40;

/// Something that happened to a container.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The node.
    pub node: String,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// The pod's identity: names come again, this does not.
    pub pod_uid: String,
    /// Name of the container; empty for [`What::Removed`].
    pub container: String,
    /// What.
    pub what: What,
}

/// What can happen to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It was started; `restart` counts from 0.
    Started {
        /// The process, when it is one.
        pid: Option<u32>,
        /// How often it was started before.
        restart: u32,
    },
    /// It could not be started.
    NotStarted {
        /// Why.
        error: String,
    },
    /// It was asked to end (SIGTERM).
    Terminating,
    /// It did not within the grace period, and was killed.
    Killed,
    /// It ended.
    Exited {
        /// How.
        exit: Exit,
        /// What it left in its termination message, or, if the pod says so, at the end of its logs.
        message: String,
    },
    /// All containers of the pod ended, and the pod object is gone.
    Removed,
}

/// All events of a cluster.
#[derive(Debug)]
pub struct Events {
    all: Mutex<Vec<Event>>,
    count: watch::Sender<usize>,
}

impl Default for Events {
    fn default() -> Self {
        Self { all: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl Events {
    /// All so far.
    pub fn all(&self) -> Vec<Event> {
        self.since(0)
    }

    /// All so far but the first `count`.
    pub fn since(&self, count: usize) -> Vec<Event> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(count..).unwrap_or_default().to_vec()
    }

    /// All so far on a node.
    pub fn on_node(&self, node: &str) -> Vec<Event> {
        self.all().into_iter().filter(|event| event.node == node).collect()
    }

    /// A receiver that changes with the number of events: for `since`, as they happen.
    pub fn subscribe(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    /// Waits until `pick` finds what it looks for in all events so far.
    pub async fn wait_for<T>(&self, what: &str, mut pick: impl FnMut(&[Event]) -> Option<T>) -> Result<T> {
        let mut changes = self.subscribe();
        let found = tokio::time::timeout(wait::DEADLINE, async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = pick(&self.all()) {
                    return found;
                }
                // Cannot fail: the sender lives as long as `self`.
                let _ = changes.changed().await;
            }
        });
        let found = found.await;
        found.map_err(|_| anyhow!("waited {:?} for {what}; {}", wait::DEADLINE, self.tail()))
    }

    /// The last of them as text, for error messages.
    pub fn tail(&self) -> String {
        let all = self.all();
        let last: Vec<_> = all[all.len().saturating_sub(SHOWN)..].iter().map(ToString::to_string).collect();
        format!("{} events, the last:\n{}", all.len(), last.join("\n"))
    }

    pub(super) fn record(&self, event: Event) {
        tracing::debug!("{event}");
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(event);
        self.count.send_replace(all.len());
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at, node, pod, container, what, .. } = self;
        write!(f, "{at:.3} {node} {pod} {container} ")?;
        match what {
            What::Started { restart: 0, .. } => write!(f, "started"),
            What::Started { restart, .. } => write!(f, "restarted ({restart})"),
            What::NotStarted { error } => write!(f, "not started: {error}"),
            What::Terminating => write!(f, "asked to end"),
            What::Killed => write!(f, "killed: the grace period is over"),
            What::Exited { exit: Exit { signal: Some(signal), .. }, .. } => {
                write!(f, "ended by signal {signal}")
            }
            What::Exited { exit, message } if message.is_empty() => write!(f, "ended: {}", exit.code),
            What::Exited { exit, message } => write!(f, "ended: {}: {}", exit.code, message.trim_end()),
            What::Removed => write!(f, "pod is gone"),
        }
    }
}
