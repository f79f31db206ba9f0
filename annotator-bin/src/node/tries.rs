//! What failed and is tried again, and what comes after each try: another one, giving up, or the end.

use std::collections::BTreeMap;
use std::time::Duration;

use node_annotator_core::error::FailureKind;
use node_annotator_core::{Collector, Entry, GiveUpAfter, Outcome, Report, Selection};
use tokio::time::Instant;
use tracing::warn;

use super::finished::{Finished, Written};

/// The first pause is at most this long, and each at most twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(6);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// How long an answer of another shape may be that of a proxy or agent which has not started yet.
const MALFORMED_FOR: Duration = Duration::from_mins(5);

/// How often in a row something that waiting does not mend has to fail.
const LASTING_TRIES: u32 = 2;

/// Giving up comes later by at most this part, so that a fleet does not write in one moment.
const LATENESS: f64 = 0.1;

/// The longest pause of a process that could not write its Node, before it writes again or ends.
const LONGEST_PAUSE_UNWRITTEN: Duration = Duration::from_mins(1);

/// What comes after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// What failed is tried again after a pause, and what is not written yet is written.
    TryAgain(Duration),
    /// Nothing is left to try: the pod waits to be taken away.
    Linger,
    /// The process ends after a pause.
    End(Duration),
}

/// What a try brought that is not on the Node.
#[derive(Debug)]
pub(super) struct News {
    /// The outcomes of another kind than before, and those with which collectors are given up.
    pub(super) changed: Report,
    /// Who is given up.
    pub(super) given_up: Vec<&'static Collector>,
}

impl News {
    /// What was not written yet and what is new, if there is anything.
    pub(super) fn all(unwritten: Option<Self>, new: Option<Self>) -> Option<Self> {
        let all = match (unwritten, new) {
            (Some(Self { changed, given_up }), Some(new)) => {
                Self { changed: changed.updated(new.changed), given_up: [given_up, new.given_up].concat() }
            }
            (unwritten, new) => unwritten.or(new)?,
        };
        (!all.changed.entries().is_empty()).then_some(all)
    }
}

/// The tries of a process.
#[derive(Debug)]
pub(super) struct Tries {
    started: Instant,
    /// `None`: there is one try.
    give_up_after: Option<GiveUpAfter>,
    /// By how much later than said this process gives up.
    lateness: f64,
    made: u32,
    /// What is tried again; nothing is known before the first try.
    failing: BTreeMap<&'static str, Failing>,
}

#[derive(Debug)]
struct Failing {
    outcome: Outcome,
    kind: FailureKind,
    /// How often in a row it has failed in this kind.
    in_a_row: u32,
}

impl Tries {
    /// Time counts from now.
    pub(super) fn new(give_up_after: Option<GiveUpAfter>) -> Self {
        let lateness = LATENESS * fastrand::f64();
        Self { started: Instant::now(), give_up_after, lateness, made: 0, failing: BTreeMap::new() }
    }

    /// What the next try runs: everything at first, then what failed and is not given up.
    pub(super) fn remaining(&self, all: &Selection) -> Option<Selection> {
        all.only(|collector| self.made == 0 || self.failing.contains_key(collector.name))
    }

    /// Takes in what a try brought.
    pub(super) fn take(&mut self, report: &Report) -> News {
        self.made += 1;
        let mut changed: Vec<Entry> = Vec::new();
        let mut given_up = Vec::new();
        for entry in report.entries() {
            let Entry { collector, outcome, .. } = entry;
            let before = self.failing.remove(collector.name);
            let is_new = before.as_ref().is_none_or(|before| !before.outcome.is_like(outcome));
            let Some(kind) = outcome.failure() else {
                changed.push(entry.clone());
                continue;
            };
            let in_a_row =
                before.filter(|before| before.kind == kind).map_or(1, |before| before.in_a_row + 1);
            let failing = Failing { outcome: outcome.clone(), kind, in_a_row };
            let is_given_up = self.gives_up(&failing);
            if is_given_up {
                warn!(collector = collector.name, tries = self.made, "giving up");
                given_up.push(*collector);
            } else {
                self.failing.insert(collector.name, failing);
            }
            if is_new || is_given_up {
                changed.push(entry.clone());
            }
        }
        News { changed: report.with_entries(changed), given_up }
    }

    /// What comes after a try that ended so.
    pub(super) fn next(&self, finished: &Finished) -> Next {
        match finished {
            _ if self.give_up_after.is_none() => Next::End(Duration::ZERO),
            Finished::Stopped(_) => Next::End(Duration::ZERO),
            Finished::Ran { written: Written::Failed { passes, .. }, .. } if *passes && !self.is_over() => {
                Next::TryAgain(pause_unwritten())
            }
            Finished::Ran { written: Written::Failed { .. }, .. } => Next::End(pause_unwritten()),
            Finished::Ran { .. } if self.failing.is_empty() => Next::Linger,
            Finished::Ran { .. } => Next::TryAgain(self.pause(fastrand::f64())),
        }
    }

    /// Whether what may pass has had its time.
    fn is_over(&self) -> bool {
        self.limit(FailureKind::Passing).is_some_and(|limit| self.started.elapsed() >= limit)
    }

    fn gives_up(&self, failing: &Failing) -> bool {
        match (failing.kind, self.limit(failing.kind)) {
            (_, None) => false,
            (FailureKind::Lasting, Some(_)) if failing.in_a_row >= LASTING_TRIES => true,
            (_, Some(limit)) => self.started.elapsed() >= limit,
        }
    }

    /// When a failure of this kind is given up, counted from the start; `None` is never.
    fn limit(&self, kind: FailureKind) -> Option<Duration> {
        let time = match self.give_up_after {
            None | Some(GiveUpAfter::Never) => return None,
            Some(GiveUpAfter::Time(time)) => time,
        };
        let time = if kind == FailureKind::Malformed { time.min(MALFORMED_FOR) } else { time };
        Some(time.mul_f64(1.0 + self.lateness))
    }

    /// The pause before the next try, which ends when the next collector is to be given up at the latest.
    fn pause(&self, random: f64) -> Duration {
        let elapsed = self.started.elapsed();
        let limits = self.failing.values().filter_map(|failing| self.limit(failing.kind));
        let next_end = limits.map(|limit| limit.saturating_sub(elapsed)).min();
        pause_after(self.made, random).min(next_end.unwrap_or(Duration::MAX))
    }
}

/// The pause after a plan that is not written. If the API server may take it later, it is written again: a
/// fleet that starts anew would only add to what that has to do. What it refuses ends the process, since
/// the pod is the only place that can show it.
pub(super) fn pause_unwritten() -> Duration {
    LONGEST_PAUSE_UNWRITTEN.mul_f64(fastrand::f64())
}

/// Between half of the pause of this many tries and the whole of it; `random` is between 0 and 1.
fn pause_after(tries: u32, random: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
    let longest = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
    longest.mul_f64(1.0 - random / 2.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pauses_are_of_seconds_to_ten_minutes_and_grow(tries in 1..u32::MAX, random in 0.0..1.0) {
            let pause = pause_after(tries, random);
            prop_assert!(pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE, "{pause:?}");
            prop_assert!(pause_after(tries.saturating_add(1), random) >= pause);
            prop_assert!(pause_after(tries, 0.0) >= pause, "the random part shortens it");
        }

        /// Whoever started in one moment is spread over half of each pause.
        #[test]
        fn pauses_differ_by_up_to_a_half(tries in 1..u32::MAX) {
            prop_assert_eq!(pause_after(tries, 1.0) * 2, pause_after(tries, 0.0));
        }

        #[test]
        fn the_last_pause_ends_when_it_is_time_to_give_up(seconds in 1..100_000_u64, made in 1..50_u32, random in 0.0..1.0) {
            let limit = Duration::from_secs(seconds);
            let mut tries = Tries::new(Some(GiveUpAfter::Time(limit)));
            let outcome = Outcome::TimedOut(node_annotator_core::report::TimeLimit::Timeout(limit));
            tries.made = made;
            tries.failing.insert("slow", Failing { outcome, kind: FailureKind::Passing, in_a_row: 1 });
            let pause = tries.pause(random);
            prop_assert!(pause <= limit.mul_f64(1.0 + LATENESS));
            prop_assert!(pause <= pause_after(made, random));
        }
    }

    #[test]
    fn pauses_in_the_end_are_long_and_the_first_ones_short() {
        let seconds: Vec<_> = (1..=9).map(|tries| pause_after(tries, 0.0).as_secs()).collect();
        assert_eq!(seconds, [6, 12, 24, 48, 96, 192, 384, 600, 600]);
    }
}
