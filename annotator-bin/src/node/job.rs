//! A run as a process does it: signals, the watchdog, the termination message, printing, lingering.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use node_annotator_core::Context;

use super::linger::linger;
use super::report::render;
use super::run::{Settings, run};
use super::termination;
use crate::cluster;
use crate::exit::Exit;
use crate::output::{Format, print};
use crate::process::stop::Stop;
use crate::process::watchdog::{LastWords, Watchdog};
use crate::trouble::Trouble;

/// One run, ready to start.
#[derive(Debug)]
pub struct Job {
    /// What to run.
    pub settings: Settings,
    /// The world as the collectors see it.
    pub context: Arc<Context>,
    /// Who it is in the API server's audit log.
    pub user_agent: String,
    /// The kubeconfig, if it is not looked for.
    pub kubeconfig: Option<PathBuf>,
    /// The shape of what is printed.
    pub output: Format,
    /// Where the kubelet reads the termination message.
    pub termination_message_path: PathBuf,
    /// How long a successful run waits for SIGTERM; `None` does not wait.
    pub linger: Option<Duration>,
}

/// The run ends itself by its deadline. The watchdog acts this much later, if it cannot; a termination message
/// whose file hangs takes a second of it.
const OVERTIME: Duration = Duration::from_millis(1500);

impl Job {
    /// Runs with all that belongs to a process, and returns its exit code.
    pub async fn supervised(self) -> anyhow::Result<Exit> {
        // Set once the termination message is out: from then on only the output can be stuck.
        let ended = Arc::new(OnceLock::new());
        let (watchdog, stop) = Watchdog::start(self.settings.deadline + OVERTIME, {
            let (ended, path) = (Arc::clone(&ended), self.termination_message_path.clone());
            move || last_words(ended.get().copied(), &path)
        })
        .context("cannot handle signals")?;
        self.until_done(&stop, |exit, text| {
            ended.set(exit).expect("a run ends once");
            print(&text)?;
            watchdog.work_is_done();
            Ok(())
        })
        .await
    }

    /// Runs, writes the termination message, hands the report over to be shown, and lingers.
    pub async fn until_done(
        self,
        stop: &Stop,
        show: impl FnOnce(Exit, String) -> anyhow::Result<()>,
    ) -> anyhow::Result<Exit> {
        let (kubeconfig, user_agent) = (self.kubeconfig, self.user_agent);
        let configuration = async move { cluster::configuration(kubeconfig.as_deref(), &user_agent).await };
        let finished = run(&self.settings, self.context, configuration, stop).await;
        let exit = finished.exit();
        let message = termination::message(exit, finished.trouble(), finished.report());
        termination::write(self.termination_message_path, message).await;
        show(exit, render(&finished, &self.settings, self.output))?;
        if let (Exit::Done, Some(limit)) = (exit, self.linger) {
            linger(limit, stop).await;
        }
        Ok(exit)
    }
}

/// What is left to do for a process that is stuck.
fn last_words(ended: Option<Exit>, path: &Path) -> LastWords {
    if let Some(exit) = ended {
        return LastWords {
            code: exit.code(),
            message: "stuck: nobody reads what is written to stdout or stderr",
        };
    }
    let trouble = Trouble::new(
        "stuck: the run had to end, and the runtime does not answer",
        "a collector, the credential plugin of a kubeconfig, or a log that nobody reads blocks the thread on which \
         everything else waits",
    );
    termination::write_now(path, &termination::message(Exit::Unfinished, Some(&trouble), None));
    LastWords {
        code: Exit::Unfinished.code(),
        message: "stuck: a collector, a credential plugin or the log blocks the runtime",
    }
}
