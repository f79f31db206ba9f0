//! `rerun`: takes done and failed labels away, so that the DaemonSets run the collectors again, and releases
//! nodes for a task that is held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::fleet::follow::{Change, Follow};
use super::fleet::installed::{Hold, Installed};
use super::fleet::kept::Kept;
use super::fleet::names;
use super::fleet::node::Node;
use super::fleet::removal::{Removal, Removed, Tally, remove, version};
use super::fleet::selection::{Collectors, Nodes};
use super::fleet::state::{Entry, Oldest, State};
use super::lists::{Form as ListForm, Reader};
use super::progress::Progress;
use super::status::shortened;
use super::table::Table;
use crate::process::stop::Stop;
use crate::trouble::Trouble;

/// Which of the collectors that are meant run again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Which {
    /// Those that were given up.
    pub(crate) failed: bool,
    /// Those whose facts are stale.
    pub(crate) stale: bool,
}

impl Which {
    /// Whether it is not only those of some state.
    fn is_everything(self) -> bool {
        !self.failed && !self.stale
    }

    /// What is to run anyway is left alone.
    fn includes(self, state: State) -> bool {
        match state {
            State::GivenUp => self.failed || !self.stale,
            State::Stale => self.stale || !self.failed,
            State::Done => self.is_everything(),
            State::Failed | State::Pending | State::LeftOut => false,
        }
    }
}

/// How long the pods that have run are waited for, until their controller deletes them.
const LEAVING: Duration = Duration::from_secs(30);

/// How often it is looked whether they are gone.
const LOOK: Duration = Duration::from_secs(1);

/// What is to be removed.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) removals: Vec<Removal>,
    /// The same for nodes where a pod has run and is still there: without its labels it would stay, and run
    /// nothing until it lingers no more.
    leaving: Vec<Removal>,
    /// How many nodes are left alone, since a pod tries other collectors there again: it would do nothing
    /// about these until it ends.
    trying: usize,
    /// The collectors of each of them, which run again.
    collectors: BTreeMap<String, Arc<[Entry]>>,
    texts: Kept<str>,
    entries: Kept<[Entry]>,
}

impl Plan {
    /// Reads the nodes, and finds what to remove.
    pub(crate) async fn read(
        reader: &Reader,
        installed: &Installed,
        nodes: &Nodes,
        collectors: &Collectors,
        which: Which,
        oldest: Oldest,
    ) -> Result<Self, Trouble> {
        let chosen = collectors.of(installed)?;
        let mut plan = Self::default();
        let take = |node: Node| {
            let mut entries = installed.entries(&node, |name| chosen.contains(name), oldest);
            entries.retain(|Entry { collector, state, .. }| {
                let runs = which.includes(*state) && installed.runs_on(&node, collector);
                runs || (which.is_everything() && installed.release(&node, collector).is_some())
            });
            plan.add(&node, entries, installed);
        };
        nodes.visit(reader, ListForm::Whole, installed.prefix(), take).await?;
        Ok(plan)
    }

    /// Adds the removal of the labels that keep collectors from running on a node.
    pub(crate) fn add(&mut self, node: &Node, entries: Vec<Entry>, installed: &Installed) {
        let prefix = installed.prefix();
        let is_tried = |entry: &Entry| installed.hold(node, &entry.collector) == Some(Hold::Trying);
        let (tried, entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_tried);
        self.trying += usize::from(!tried.is_empty());
        let keys =
            entries.iter().flat_map(|entry| [prefix.done(&entry.collector), prefix.failed(&entry.collector)]);
        let mut keep = |key: String, value: &str| (self.texts.keep(&key), self.texts.keep(value));
        let labels: Vec<_> = keys
            .filter_map(|key| {
                let value = node.label(&key)?;
                Some(keep(key, value))
            })
            .collect();
        let released = entries.iter().filter_map(|entry| installed.release(node, &entry.collector));
        let released: Vec<_> = released.map(|(key, value)| keep(key, &value)).collect();
        if labels.is_empty() && released.is_empty() {
            return;
        }
        // The facts of a run in between are of another boot, and its labels say the same as before.
        let boot_ids = entries.iter().map(|entry| prefix.boot_id(&entry.collector));
        let while_annotated = boot_ids.filter_map(|key| {
            let value = node.annotation(&key)?;
            Some(keep(key, value))
        });
        let removal = Removal {
            node: node.name().to_owned(),
            labels,
            released,
            while_annotated: while_annotated.collect(),
            ..Removal::default()
        };
        let is_held = entries.iter().any(|entry| installed.hold(node, &entry.collector).is_some());
        if is_held { &mut self.leaving } else { &mut self.removals }.push(removal);
        self.collectors.insert(node.name().to_owned(), self.entries.keep(&entries));
    }

    /// Whether there is nothing to do, now or later.
    pub(crate) fn is_empty(&self) -> bool {
        self.removals.is_empty() && self.leaving.is_empty() && self.trying == 0
    }

    /// Waits for the pods that have run to go, for a while.
    pub(crate) async fn release(
        &mut self,
        reader: &Reader,
        installed: &mut Installed,
        stop: &Stop,
    ) -> Result<(), Trouble> {
        let end = Instant::now() + LEAVING;
        while !self.leaving.is_empty() && Instant::now() < end && !stop.is_requested() {
            tokio::select! {
                () = sleep(LOOK) => {}
                () = stop.requested() => break,
            }
            installed.refresh_pods(reader).await?;
            let has_pod = |removal: &Removal| {
                let entries = self.collectors.get(&removal.node);
                let mut entries = entries.into_iter().flat_map(|entries| &**entries);
                entries.any(|entry| installed.running(&removal.node, &entry.collector).next().is_some())
            };
            let (still, free): (Vec<_>, Vec<_>) = self.leaving.drain(..).partition(has_pod);
            self.leaving = still;
            self.removals.extend(free);
        }
        self.removals.sort_by(|one, other| one.node.cmp(&other.node));
        Ok(())
    }

    /// Which nodes are left for later.
    pub(crate) fn held(&self) -> Option<String> {
        let counts = [
            (self.leaving.len(), "whose pod has run and has not gone yet"),
            (self.trying, "whose pod tries other collectors again"),
        ];
        let told = counts.into_iter().filter(|(count, _)| *count > 0);
        let told: Vec<_> = told.map(|(count, what)| format!("nodes {what}, and wait: {count}")).collect();
        (!told.is_empty()).then(|| told.join("\n"))
    }

    /// What would be removed, for who asks before.
    pub(crate) fn table(&self) -> Table {
        let mut rows: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
        for (node, entries) in &self.collectors {
            let collectors = entries.iter().map(|entry| entry.collector.as_str()).collect();
            rows.entry(collectors).or_default().push(node);
        }
        let mut table = Table::new(["nodes", "count", "collectors"]);
        table.rows.extend(rows.into_iter().map(|(collectors, nodes)| {
            let folded = names::fold(nodes.iter().copied());
            vec![shortened(&folded, false), nodes.len().to_string(), collectors.join(",")]
        }));
        table
    }
}

/// How the nodes run again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// So many nodes at once.
    pub(crate) at_once: usize,
    /// Whether each wave is waited for, and for how long.
    pub(crate) wait: Option<Duration>,
    /// After so many nodes that do not get done no wave is begun any more.
    pub(crate) max_failures: usize,
}

/// How it ended.
#[derive(Debug, Default)]
pub(crate) struct Reran {
    pub(crate) tally: Tally,
    /// Nodes that were done again.
    pub(crate) done: usize,
    /// Nodes that were not, each with why.
    pub(crate) failed: Vec<(String, String)>,
}

/// Removes what is planned, in waves if each is waited for.
pub(crate) async fn rerun(
    reader: &Reader,
    installed: &Installed,
    nodes: &Nodes,
    plan: &Plan,
    pace: Pace,
    stop: &Stop,
) -> Result<Reran, Trouble> {
    let mut reran = Reran::default();
    let mut progress = Progress::new();
    let Some(time) = pace.wait else {
        let tell = |removal: &Removal, removed: Removed| {
            reran.tally.add(removal, &removed);
            progress.tell(&format!("{} of {} nodes changed", reran.tally.done, plan.removals.len()));
        };
        remove(reader, &plan.removals, pace.at_once, stop, tell).await;
        return Ok(reran);
    };
    // A condition may not hold any more of a node that has run again.
    let followed = Nodes { condition: None, ..nodes.clone() };
    let keep = |node: Node| {
        let planned = plan.collectors.get(node.name());
        let is_planned =
            |name: &str| planned.is_some_and(|planned| planned.iter().any(|entry| entry.collector == name));
        (version(&node.metadata.resource_version), installed.entries(&node, is_planned, Oldest::default()))
    };
    let mut follow = Follow::new(reader, &followed, installed.prefix(), keep);
    for wave in plan.removals.chunks(pace.at_once.max(1)) {
        if stop.is_requested() || reran.failed.len() >= pace.max_failures.max(1) {
            reran.tally.not_begun += wave.len();
            continue;
        }
        let mut open: BTreeMap<String, u64> = BTreeMap::new();
        let tell = |removal: &Removal, removed: Removed| {
            reran.tally.add(removal, &removed);
            if let Removed::Done(version) = removed {
                open.insert(removal.node.clone(), version);
            }
        };
        remove(reader, wave, pace.at_once, stop, tell).await;
        let end = Instant::now() + time;
        let mut listed = BTreeSet::new();
        while !open.is_empty() {
            progress.tell(&format!(
                "{} of {} nodes done again, {} at work, {} failed",
                reran.done,
                plan.removals.len(),
                open.len(),
                reran.failed.len()
            ));
            let changes = tokio::select! {
                changes = timeout_at(end, follow.next()) => changes,
                () = stop.requested() => return Ok(reran),
            };
            let Ok(changes) = changes else {
                let late = std::mem::take(&mut open).into_keys();
                reran.failed.extend(late.map(|node| (node, format!("not done within {time:?}"))));
                break;
            };
            for change in changes? {
                match change {
                    Change::Begin => listed.clear(),
                    Change::Seen(node, (version, entries)) => {
                        listed.insert(node.clone());
                        if open.get(&node).is_some_and(|removed| version > *removed) {
                            match ended(&entries, plan.collectors.get(&node).map(|entries| &**entries)) {
                                None => continue,
                                Some(Ok(())) => reran.done += 1,
                                Some(Err(why)) => reran.failed.push((node.clone(), why)),
                            }
                            open.remove(&node);
                        }
                    }
                    Change::Gone(node) => reran.tally.gone += usize::from(open.remove(&node).is_some()),
                    Change::Listed => {
                        let before = open.len();
                        open.retain(|node, _| listed.contains(node));
                        reran.tally.gone += before - open.len();
                    }
                }
            }
        }
    }
    Ok(reran)
}

/// Whether a node is done again, or has failed. An error from before stays until a run succeeds, and tells
/// nothing.
fn ended(now: &[Entry], before: Option<&[Entry]>) -> Option<Result<(), String>> {
    let mut is_done = true;
    for entry in now {
        let of_before = before.into_iter().flatten().find(|before| before.collector == entry.collector);
        match entry.state {
            State::GivenUp => {}
            State::Failed if of_before.is_none_or(|before| before.why != entry.why) => {}
            State::Failed | State::Pending => {
                is_done = false;
                continue;
            }
            State::Done | State::Stale | State::LeftOut => continue,
        }
        return Some(Err(format!("{}: {}", entry.collector, entry.why.as_deref().unwrap_or_default())));
    }
    is_done.then_some(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_again_is_what_was_asked_for() {
        let states = |failed, stale| {
            let which = Which { failed, stale };
            State::ALL.into_iter().filter(|state| which.includes(*state)).collect::<Vec<_>>()
        };
        assert_eq!(states(false, false), [State::Done, State::GivenUp, State::Stale]);
        assert_eq!(states(true, false), [State::GivenUp]);
        assert_eq!(states(false, true), [State::Stale]);
        assert_eq!(states(true, true), [State::GivenUp, State::Stale]);
    }

    #[test]
    fn an_error_from_before_is_no_new_failure() {
        let entry =
            |state, why: &str| Entry { collector: "kernel".to_owned(), state, why: Some(why.to_owned()) };
        let before = vec![entry(State::GivenUp, "no luck")];
        for (now, expected) in [
            (entry(State::Failed, "no luck"), None),
            (entry(State::Pending, "no pod"), None),
            (entry(State::Failed, "another"), Some(Err("kernel: another".to_owned()))),
            (entry(State::GivenUp, "no luck"), Some(Err("kernel: no luck".to_owned()))),
            (entry(State::Done, ""), Some(Ok(()))),
        ] {
            assert_eq!(ended(std::slice::from_ref(&now), Some(&before)), expected, "{now:?}");
        }
    }
}
