//! A run as a process does it: signals, the watchdog, the termination message, printing, lingering.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use node_annotator_core::Context;
use tracing::info;

use super::linger::linger;
use super::report::render;
use super::run::{Run, Settings};
use super::termination;
use super::tries::Next;
use crate::cluster;
use crate::exit::Exit;
use crate::output::{Format, print};
use crate::process::children;
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
    /// How long it waits for SIGTERM at most, once nothing is left to try.
    pub linger_limit: Duration,
}

/// What a job tells whoever runs it.
#[derive(Debug)]
pub enum Moment {
    /// A try begins, which ends within this time.
    Begins(Duration),
    /// A try has ended. Were it the last one, the process would end so; the text is to be shown.
    Ended(Exit, String),
}

/// A try ends itself by its deadline. The watchdog acts this much later, if it cannot; a termination message
/// whose file hangs takes a second of it.
const OVERTIME: Duration = Duration::from_millis(1500);

impl Job {
    /// Runs with all that belongs to a process, and returns its exit code.
    pub async fn supervised(self) -> anyhow::Result<Exit> {
        // Set while the termination message is out: then only the output can be stuck.
        let ended = Arc::new(Mutex::new(None));
        let (watchdog, stop) = Watchdog::start({
            let (ended, path) = (Arc::clone(&ended), self.termination_message_path.clone());
            move || last_words(*ended.lock().unwrap_or_else(PoisonError::into_inner), &path)
        })
        .context("cannot handle signals")?;
        let set_ended = |exit| *ended.lock().unwrap_or_else(PoisonError::into_inner) = exit;
        self.until_done(&stop, |moment| {
            match moment {
                Moment::Begins(limit) => {
                    set_ended(None);
                    watchdog.work_begins(limit + OVERTIME);
                }
                Moment::Ended(exit, text) => {
                    set_ended(Some(exit));
                    print(&text)?;
                    watchdog.work_is_done();
                }
            }
            Ok(())
        })
        .await
    }

    /// Runs, as often as there is something to try. After each try it writes the termination message and
    /// hands over what is to be shown.
    pub async fn until_done(
        self,
        stop: &Stop,
        mut tell: impl FnMut(Moment) -> anyhow::Result<()>,
    ) -> anyhow::Result<Exit> {
        let (kubeconfig, user_agent) = (self.kubeconfig, self.user_agent);
        let configuration = async move { cluster::configuration(kubeconfig.as_deref(), &user_agent).await };
        let mut run = Run::start(&self.settings, self.context, configuration, stop);
        loop {
            tell(Moment::Begins(self.settings.deadline))?;
            let finished = run.attempt().await;
            let exit = finished.exit();
            let message = termination::message(exit, finished.trouble(), finished.report());
            termination::write(self.termination_message_path.clone(), message).await;
            tell(Moment::Ended(exit, render(&finished, &self.settings, self.output)))?;
            let pause = match run.next(&finished) {
                Next::TryAgain(pause) => {
                    if exit == Exit::Unfinished {
                        info!(?pause, "the API server is out of reach or busy, writing again");
                    } else {
                        info!(?pause, "collectors have failed, trying them again");
                    }
                    pause
                }
                Next::Linger => {
                    linger(self.linger_limit, exit, stop).await;
                    return Ok(exit);
                }
                Next::End(pause) => {
                    if !pause.is_zero() {
                        info!(?pause, "the process ends, each at another moment");
                        stop.or_after(pause).await;
                    }
                    return Ok(exit);
                }
            };
            stop.or_after(pause).await;
            if stop.is_requested() {
                info!("taken away before the next try");
                return Ok(exit);
            }
        }
    }
}

/// What is left to do for a process that is stuck.
fn last_words(ended: Option<Exit>, path: &Path) -> LastWords {
    children::end();
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
