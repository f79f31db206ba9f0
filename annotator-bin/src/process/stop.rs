//! The request to stop: SIGTERM or SIGINT to the process, or a call in a test.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The end that asks for a stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// The end that hears of it. Clones hear the same request.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A pair of both ends. A dropped [`Stopper`] asks for nothing.
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks for a stop. Asking twice is asking once.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// A stop that SIGTERM and SIGINT ask for.
    ///
    /// PID 1 ignores a signal without a handler, so this comes first in a process that runs as a container.
    pub fn on_signals() -> io::Result<Self> {
        let (stopper, stop) = channel();
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stopper.stop();
            // A second signal finds the handlers still there; the run is bounded by its deadline.
            std::future::pending::<()>().await;
        });
        Ok(stop)
    }

    /// Whether a stop was asked for.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the request.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|stop| *stop).await.is_err() {
            // The stopper is gone: no request will come.
            std::future::pending::<()>().await;
        }
    }
}
