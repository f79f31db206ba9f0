//! Waits until collectors are done, and tells how far they are: `wait`, and `status --watch`.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::fleet::follow::{Change, Follow};
use super::fleet::installed::Installed;
use super::fleet::node::Node;
use super::fleet::selection::{Collectors, Nodes};
use super::fleet::state::{Entry, Oldest, State};
use super::lists::Reader;
use super::progress::Progress;
use crate::trouble::Trouble;

/// How often the time that has passed is told where nothing else changes.
const TICK: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// All is done.
    Done,
    /// What is left was given up: it does not change by itself.
    GivenUp,
    /// The time is over.
    TimedOut,
}

/// How far the collectors on one node are, or on all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    all: usize,
    /// It may still get done by itself.
    open: usize,
    given_up: usize,
}

impl Count {
    fn of(entries: &[Entry]) -> Self {
        let count = |wanted: &[State]| entries.iter().filter(|entry| wanted.contains(&entry.state)).count();
        Self {
            all: entries.len() - count(&[State::LeftOut]),
            open: count(&[State::Pending, State::Failed]),
            given_up: count(&[State::GivenUp]),
        }
    }

    fn done(self) -> usize {
        self.all - self.open - self.given_up
    }
}

/// How far all are, and how fast.
#[derive(Debug)]
struct Pace {
    nodes: BTreeMap<String, Count>,
    /// Those of the last list that have come so far.
    listed: BTreeSet<String>,
    began: Option<(Instant, usize)>,
    changed: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { nodes: BTreeMap::new(), listed: BTreeSet::new(), began: None, changed: Instant::now() }
    }

    fn apply(&mut self, change: Change<Count>) {
        match change {
            Change::Begin => self.listed.clear(),
            Change::Seen(name, count) => {
                self.listed.insert(name.clone());
                if self.nodes.insert(name, count) != Some(count) {
                    self.changed = Instant::now();
                }
            }
            Change::Gone(name) => drop(self.nodes.remove(&name)),
            // What is gone is dropped, and never waited for.
            Change::Listed => self.nodes.retain(|name, _| self.listed.contains(name)),
        }
    }

    fn total(&self) -> Count {
        self.nodes.values().fold(Count::default(), |sum, count| Count {
            all: sum.all + count.all,
            open: sum.open + count.open,
            given_up: sum.given_up + count.given_up,
        })
    }

    /// How far, with what that says of the rest.
    fn line(&mut self) -> String {
        let total = self.total();
        let (began, before) = *self.began.get_or_insert_with(|| (Instant::now(), total.done()));
        let mut line = format!("{} of {} done, {} to go", total.done(), total.all, total.open);
        if total.given_up > 0 {
            line = format!("{line}, {} given up", total.given_up);
        }
        let since = self.changed.elapsed();
        if since >= TICK * 10 {
            return format!("{line}; none has changed for {}", told(since));
        }
        let (new, time) = (total.done().saturating_sub(before), began.elapsed());
        if new > 0 && total.open > 0 && time >= TICK {
            let float = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            let left = time.mul_f64(float(total.open) / float(new));
            let rate = float(new) / time.as_secs_f64();
            line = format!("{line}; {rate:.1} a second, about {} left", told(left));
        }
        line
    }
}

/// In whole seconds, as people read them.
fn told(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Follows the nodes until the collectors are done, or cannot get done by themselves.
pub(crate) async fn wait(
    reader: &Reader,
    installed: &Installed,
    nodes: &Nodes,
    collectors: &Collectors,
    end: Option<Instant>,
) -> Result<Waited, Trouble> {
    let chosen = collectors.of(installed)?;
    let keep =
        |node: Node| Count::of(&installed.entries(&node, |name| chosen.contains(name), Oldest::default()));
    let mut follow = Follow::new(reader, nodes, installed.prefix(), keep);
    let (mut pace, mut progress) = (Pace::new(), Progress::new());
    let mut is_listed = false;
    loop {
        let changes = {
            // A list takes longer than a tick, and must not begin anew with each.
            let mut next = pin!(follow.next());
            loop {
                let tick = Instant::now() + TICK;
                tokio::select! {
                    changes = &mut next => break changes?,
                    () = sleep_until(end.map_or(tick, |end| end.min(tick))) => {}
                }
                if end.is_some_and(|end| Instant::now() >= end) {
                    return Ok(Waited::TimedOut);
                }
                if is_listed {
                    progress.tell(&pace.line());
                }
            }
        };
        for change in changes {
            is_listed |= change == Change::Listed;
            pace.apply(change);
        }
        if is_listed {
            let total = pace.total();
            if total.open == 0 {
                return Ok(if total.given_up == 0 { Waited::Done } else { Waited::GivenUp });
            }
            progress.tell(&pace.line());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(all: usize, open: usize, given_up: usize) -> Count {
        Count { all, open, given_up }
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_tells_the_rate_or_that_nothing_changes() {
        let mut pace = Pace::new();
        for change in [
            Change::Begin,
            Change::Seen("a".into(), count(3, 3, 0)),
            Change::Seen("b".into(), count(3, 3, 0)),
            Change::Listed,
        ] {
            pace.apply(change);
        }
        assert_eq!(pace.line(), "0 of 6 done, 6 to go");
        tokio::time::advance(Duration::from_secs(2)).await;
        pace.apply(Change::Seen("a".into(), count(3, 1, 0)));
        assert_eq!(pace.line(), "2 of 6 done, 4 to go; 1.0 a second, about 4 s left");
        tokio::time::advance(Duration::from_mins(5)).await;
        assert_eq!(pace.line(), "2 of 6 done, 4 to go; none has changed for 5 min");
        pace.apply(Change::Seen("a".into(), count(3, 0, 1)));
        pace.apply(Change::Gone("b".into()));
        assert!(pace.line().starts_with("2 of 3 done, 0 to go, 1 given up"), "{}", pace.line());
    }

    #[tokio::test]
    async fn a_node_that_is_not_in_the_next_list_is_dropped() {
        let mut pace = Pace::new();
        for change in [
            Change::Begin,
            Change::Seen("a".into(), count(1, 1, 0)),
            Change::Listed,
            Change::Begin,
            Change::Seen("b".into(), count(1, 0, 0)),
            Change::Listed,
        ] {
            pace.apply(change);
        }
        assert_eq!(pace.total(), count(1, 0, 0));
    }
}
