//! The request to stop: SIGTERM or SIGINT to the process, which the watchdog hears, or a call in a test.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

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
    /// Whether a stop was asked for.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the request, and no longer than this.
    pub async fn or_after(&self, pause: Duration) {
        // Both ends of the wait are as good.
        let _ = timeout(pause, self.requested()).await;
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
