//! The process around a command: its runtime, its signals, its logs, what it has started, and the exit code
//! of a defect.

pub(crate) mod children;
pub(crate) mod logging;
pub mod stop;
pub(crate) mod watchdog;

use std::panic::{UnwindSafe, catch_unwind};

use anyhow::Context as _;

use crate::exit::Exit;

/// Runs a future on a runtime of one thread, and leaves without waiting for threads that may never end.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    children::end();
    Ok(done)
}

/// Does the work, and turns what nobody expected into an exit code.
///
/// The panic hook has reported a panic already. Panics of collectors end in the report, and never arrive
/// here.
pub(crate) fn guarded(work: impl FnOnce() -> anyhow::Result<Exit> + UnwindSafe) -> Exit {
    catch_unwind(work).unwrap_or(Ok(Exit::Unexpected)).unwrap_or_else(|error| {
        // Logging may not have begun yet.
        eprintln!("error: {error:#}");
        Exit::Unexpected
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_defect_is_unexpected_and_not_the_exit_code_of_a_panic() {
        assert_eq!(guarded(|| panic!("a defect")), Exit::Unexpected);
        assert_eq!(guarded(|| Err(anyhow!("a full disk"))), Exit::Unexpected);
        assert_eq!(guarded(|| Ok(Exit::Failures)), Exit::Failures);
    }
}
