//! The wait of a pod that has nothing left to try.

use std::time::Duration;

use tracing::{info, warn};

use crate::exit::Exit;
use crate::process::stop::Stop;

/// Waits for the DaemonSet controller to take the pod away. The kubelet would answer an exit with a restart.
///
/// The wait is bounded, and the bound varies by a tenth, so that a fleet whose labels were all taken away
/// does not come back in one moment.
pub async fn linger(limit: Duration, exit: Exit, stop: &Stop) {
    let limit = limit.mul_f64(0.9 + 0.2 * fastrand::f64());
    let what = if exit == Exit::Done { "done" } else { "given up" };
    info!(seconds = limit.as_secs(), "{what}; waiting to be taken away");
    tokio::select! {
        () = stop.requested() => info!("taken away"),
        () = tokio::time::sleep(limit) => {
            warn!(
                "nobody took this pod away: its label was removed, or the DaemonSet's affinity is not keyed on it; the \
                 next run repairs what was lost"
            );
        }
    }
}
