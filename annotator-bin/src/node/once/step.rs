//! One step of a task: its command is tried until it succeeds or has failed as often as it may, and what
//! became of it is kept.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tracing::{info, warn};

use super::command::{Ending, Signals, run};
use super::facts;
use super::record::{End, Record};
use crate::exit::Exit;

/// The first pause is at most this long, and each at most twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// A step, as the pod asks for it.
#[derive(Debug, Clone)]
pub struct Step {
    /// The name of its container.
    pub name: String,
    /// Where the records of all steps are.
    pub state: PathBuf,
    /// Where its command puts files of facts.
    pub facts: PathBuf,
    /// The facts that its command may write, beside `value`.
    pub declared: Vec<String>,
    /// The steps that have to have succeeded before.
    pub after: Vec<String>,
    /// How long a try may take.
    pub timeout: Duration,
    /// How often it is tried.
    pub tries: u32,
    /// What it is for.
    pub role: Role,
    /// Whether what a failed command has printed last is not kept.
    pub hides_output: bool,
    /// The command.
    pub command: Vec<OsString>,
}

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It tells whether there is anything to do, and ends.
    Check,
    /// It ends, so that the next container starts.
    Init,
    /// It waits to be taken away, so that the kubelet sees no end and starts nothing again.
    Main,
}

impl Step {
    /// Runs the step to its end, and, as a main one, waits to be taken away.
    pub async fn run(&self) -> anyhow::Result<Exit> {
        let mut signals = Signals::start().context("cannot handle signals")?;
        let is_stopped = !self.reach_end(&mut signals).await?;
        if self.role == Role::Main && !is_stopped {
            info!("waiting to be taken away");
            signals.stop().await;
        }
        Ok(Exit::Done)
    }

    /// Whether it has come to an end that is kept, and not to that of the pod.
    async fn reach_end(&self, signals: &mut Signals) -> anyhow::Result<bool> {
        let mut record = Record::read(&self.state, &self.name).unwrap_or_else(|error| {
            warn!(%error, "the record of this step cannot be read, beginning anew");
            None
        });
        if let Some(end) = record.as_ref().and_then(|record| record.end)
            // A check looks again: a reboot may have been what was to do.
            && (self.role != Role::Check || end == End::Already)
        {
            info!(?end, "this step has ended before, and does not run again");
            return Ok(true);
        }
        if self.role == Role::Check {
            record = None;
        }
        let mut record = record.unwrap_or_default();
        if let Some(end) = self.end_of_others() {
            return self.end(record, end).map(|()| true);
        }
        if record.is_running {
            record.is_running = false;
            self.fail(
                &mut record,
                "it was started and did not end: killed for want of memory, by SIGKILL, or by a reboot"
                    .to_owned(),
            )?;
        }
        loop {
            if record.tries >= self.tries {
                return self.end(record, End::Failed).map(|()| true);
            }
            if record.tries > 0 {
                let pause = pause_after(record.tries, fastrand::f64());
                info!(?pause, "the command is tried again");
                if signals.stop_within(pause).await {
                    return Ok(false);
                }
            }
            record.tries += 1;
            record.is_running = true;
            self.keep(&record)?;
            info!(number = record.tries, of = self.tries, "the command starts");
            let (ending, tail) = self.attempt(signals).await;
            record.is_running = false;
            match self.judge(&ending, &tail) {
                Verdict::Stopped => return Ok(false),
                Verdict::Done(facts) => {
                    record.facts = facts;
                    let end = if self.role == Role::Check { End::Already } else { End::Done };
                    if end == End::Already {
                        info!(output = tail, "there is nothing to do on this node");
                    }
                    return self.end(record, end).map(|()| true);
                }
                Verdict::ToDo => return self.end(record, End::Done).map(|()| true),
                Verdict::Failed(failure) => self.fail(&mut record, failure)?,
            }
        }
    }

    async fn attempt(&self, signals: &mut Signals) -> (Ending, String) {
        match facts::prepare(&self.facts) {
            Ok(()) => run(&self.command, self.timeout, signals).await,
            Err(error) => {
                let what = format!("the folder of facts cannot be made: {error}");
                (Ending::NotStarted(what), String::new())
            }
        }
    }

    fn judge(&self, ending: &Ending, tail: &str) -> Verdict {
        let failure = match ending {
            Ending::Stopped => return Verdict::Stopped,
            Ending::Exited(0) => {
                return facts::collect(&self.facts, &self.declared)
                    .map_or_else(Verdict::Failed, Verdict::Done);
            }
            // Whatever it says: the task tells whether it can be done.
            _ if self.role == Role::Check => return Verdict::ToDo,
            Ending::Exited(code) => format!("exit code {code}"),
            Ending::Signaled(signal) => format!("ended by signal {signal}"),
            Ending::TimedOut => format!("timed out after {:?}", self.timeout),
            Ending::NotStarted(what) => what.clone(),
        };
        let is_told = !self.hides_output && !tail.is_empty();
        Verdict::Failed(if is_told { format!("{failure}: {tail}") } else { failure })
    }

    /// How this step ends without a try, by the steps before it.
    fn end_of_others(&self) -> Option<End> {
        self.after.iter().find_map(|step| match Record::read(&self.state, step) {
            Ok(Some(Record { end: Some(End::Done), .. })) => None,
            Ok(Some(Record { end: Some(End::Already), .. })) => Some(End::Already),
            _ => Some(End::Skipped),
        })
    }

    fn fail(&self, record: &mut Record, failure: String) -> anyhow::Result<()> {
        warn!(number = record.tries, of = self.tries, failure, "the command has failed");
        record.failure = Some(failure);
        self.keep(record)
    }

    fn end(&self, mut record: Record, end: End) -> anyhow::Result<()> {
        record.end = Some(end);
        if end != End::Failed {
            record.failure = None;
        }
        info!(?end, "this step has ended");
        self.keep(&record)
    }

    fn keep(&self, record: &Record) -> anyhow::Result<()> {
        record
            .write(&self.state, &self.name)
            .with_context(|| format!("cannot keep what became of the step in `{}`", self.state.display()))
    }
}

/// What a try has brought.
enum Verdict {
    /// It is done, with these facts.
    Done(std::collections::BTreeMap<String, String>),
    /// The check has found something to do.
    ToDo,
    /// It has failed, and how.
    Failed(String),
    /// The pod is taken away.
    Stopped,
}

/// Between half of the pause of this many tries and the whole of it; `random` is between 0 and 1.
fn pause_after(tries: u32, random: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE).mul_f64(1.0 - random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_minutes() {
        let seconds: Vec<_> = (1..=10).map(|tries| pause_after(tries, 0.0).as_secs()).collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pause_after(1, 1.0), Duration::from_secs(1));
        assert_eq!(pause_after(u32::MAX, 0.0), LONGEST_PAUSE);
    }
}
