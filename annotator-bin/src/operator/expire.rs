//! `expire`: runs again what is stale, on nodes that are ready, once for each boot.

use std::collections::{BTreeMap, BTreeSet};

use http::header::{CONTENT_TYPE, HeaderValue};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Resource;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use node_annotator_core::context::BootId;
use serde_json::json;

use super::fleet::installed::Installed;
use super::fleet::node::Node;
use super::fleet::removal::{Removal, Removed, Tally, remove};
use super::fleet::selection::{Collectors, Nodes};
use super::fleet::state::{Entry, Oldest, State};
use super::lists::{Form as ListForm, Reader};
use super::rerun::Plan;
use crate::process::stop::Stop;
use crate::trouble::Trouble;

/// What stands in the record for a node whose boot is not known.
const UNKNOWN_BOOT: &str = "unknown";

/// Which boot of each node has been expired: a ConfigMap, by the name of the node.
///
/// Where a run has written since and the facts still differ, as in a sandbox that has a boot of its own, the
/// next would write the same.
#[derive(Debug)]
pub(crate) struct Record {
    namespace: String,
    name: String,
    boots: BTreeMap<String, String>,
    is_there: bool,
}

impl Record {
    /// Reads it. Without one nothing is remembered.
    pub(crate) async fn read(reader: &Reader, namespace: String, name: String) -> Result<Self, Trouble> {
        let found = reader.get::<ConfigMap, ConfigMap>(Some(&namespace), &name).await?;
        let is_there = found.is_some();
        let boots = found.and_then(|found| found.data).unwrap_or_default();
        Ok(Self { namespace, name, boots, is_there })
    }

    fn has(&self, node: &str, boot: &str) -> bool {
        self.boots.get(node).is_some_and(|known| known == boot)
    }

    /// Adds the boots of nodes, and takes away what has none, each by itself, so that two commands at once
    /// lose none.
    async fn change(&self, reader: &Reader, boots: &BTreeMap<String, Option<String>>) -> Result<(), Trouble> {
        if !self.is_there || boots.is_empty() {
            return Ok(());
        }
        let path = Request::new(ConfigMap::url_path(&(), Some(&self.namespace)));
        let body = Patch::Merge(json!({ "data": boots }));
        let request = path.patch_metadata(&self.name, &PatchParams::default(), &body).map(|mut request| {
            request
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/merge-patch+json"));
            request
        });
        reader.ask::<serde_json::Value>(request).await?;
        Ok(())
    }
}

/// What is stale, and what becomes of it.
#[derive(Debug, Default)]
pub(crate) struct Stale {
    pub(crate) plan: Plan,
    /// The boots of the nodes of the plan.
    boots: BTreeMap<String, String>,
    /// Nodes whose facts still differ after they ran again in this boot, each with why.
    pub(crate) still: Vec<(String, String)>,
    /// How many nodes are not ready, and wait.
    pub(crate) not_ready: usize,
    /// Nodes of the record that are gone.
    gone: BTreeSet<String>,
}

impl Stale {
    /// Reads the nodes, and finds what is to run again.
    pub(crate) async fn read(
        reader: &Reader,
        installed: &Installed,
        nodes: &Nodes,
        collectors: &Collectors,
        oldest: Oldest,
        record: &Record,
    ) -> Result<Self, Trouble> {
        let chosen = collectors.of(installed)?;
        let mut stale = Self::default();
        // Only who looks at all nodes can tell which of them are gone.
        let mut gone: BTreeSet<_> =
            if nodes.are_all() { record.boots.keys().cloned().collect() } else { BTreeSet::new() };
        let take = |node: Node| {
            gone.remove(node.name());
            let mut entries = installed.entries(&node, |name| chosen.contains(name), oldest);
            entries.retain(|entry| entry.state == State::Stale && installed.runs_on(&node, &entry.collector));
            if !entries.is_empty() {
                stale.add(&node, entries, installed, oldest, record);
            }
        };
        nodes.visit(reader, ListForm::Whole, installed.prefix(), take).await?;
        stale.gone = gone;
        Ok(stale)
    }

    fn add(
        &mut self,
        node: &Node,
        entries: Vec<Entry>,
        installed: &Installed,
        oldest: Oldest,
        record: &Record,
    ) {
        if !node.is_ready() {
            self.not_ready += 1;
            return;
        }
        let boot = BootId::parse(&node.status.node_info.boot_id);
        let boot = boot.map_or_else(|| UNKNOWN_BOOT.to_owned(), |boot| boot.to_string());
        let is_old = |entry: &Entry| installed.too_old(node, &entry.collector, oldest).is_some();
        let (old, entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_old);
        if !entries.is_empty() && record.has(node.name(), &boot) {
            let why =
                |entry: &Entry| format!("{}: {}", entry.collector, entry.why.as_deref().unwrap_or_default());
            let whys: Vec<_> = entries.iter().map(why).collect();
            self.still.push((node.name().to_owned(), whys.join(", ")));
            // What is too old is new after a run, whatever else differs.
            self.plan.add(node, old, installed);
            return;
        }
        if !entries.is_empty() {
            self.boots.insert(node.name().to_owned(), boot);
        }
        self.plan.add(node, old.into_iter().chain(entries).collect(), installed);
    }
}

/// Removes the labels, and writes down for which boots.
pub(crate) async fn expire(
    reader: &Reader,
    stale: &Stale,
    record: &Record,
    at_once: usize,
    stop: &Stop,
) -> Result<Tally, Trouble> {
    let mut tally = Tally::default();
    record.change(reader, &stale.gone.iter().map(|node| (node.clone(), None)).collect()).await?;
    // Few at once, so that what is stopped has few to do twice.
    for some in stale.plan.removals.chunks(at_once.max(1)) {
        let mut boots = BTreeMap::new();
        let tell = |removal: &Removal, removed: Removed| {
            tally.add(removal, &removed);
            let boot = stale.boots.get(&removal.node).filter(|_| matches!(removed, Removed::Done(_)));
            boots.extend(boot.map(|boot| (removal.node.clone(), Some(boot.clone()))));
        };
        remove(reader, some, at_once, stop, tell).await;
        record.change(reader, &boots).await?;
    }
    Ok(tally)
}
