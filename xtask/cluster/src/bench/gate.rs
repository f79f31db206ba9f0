//! Holds containers back until all of them are there, so that a whole fleet starts in one moment.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use node_annotator_tests::kubelet::InProcess;
use node_annotator_tests::kubelet::runtime::{ContainerSpec, Running, Runtime, Stop, Stopper};
use tokio::sync::{oneshot, watch};

/// Runs containers in this process, those that come while it is closed once it opens.
#[derive(Debug)]
pub(super) struct Gate {
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { open: watch::Sender::new(true), waiting: watch::Sender::new(0) }
    }
}

impl Gate {
    /// From now on containers wait.
    pub(super) fn close(&self) {
        self.waiting.send_replace(0);
        self.open.send_replace(false);
    }

    /// Lets all in that wait, and all that come.
    pub(super) fn open(&self) {
        self.open.send_replace(true);
    }

    /// Returns when this many wait.
    pub(super) async fn crowded(&self, count: usize) {
        // The sender is this gate's own.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting >= count).await;
    }
}

impl Runtime for Gate {
    fn start(&self, spec: ContainerSpec) -> Result<Running> {
        if *self.open.borrow() {
            return InProcess.start(spec);
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
        let mut open = self.open.subscribe();
        let (sender, exited) = oneshot::channel();
        let inner = Arc::<Mutex<Option<Stopper>>>::default();
        let stopper = Arc::clone(&inner);
        let task = tokio::spawn(async move {
            if open.wait_for(|open| *open).await.is_err() {
                return;
            }
            let Ok(mut running) = InProcess.start(spec) else { return };
            *inner.lock().unwrap_or_else(PoisonError::into_inner) = Some(running.stopper());
            let _ = sender.send(running.exited().await);
        });
        let stop = move |how| match &*stopper.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(stopper) => stopper(how),
            // Nothing runs yet: the receiver takes a dropped sender for a killed container.
            None => task.abort(),
        };
        let stop: Arc<dyn Fn(Stop) + Send + Sync> = Arc::new(stop);
        Ok(Running::new(None, exited, stop))
    }
}
