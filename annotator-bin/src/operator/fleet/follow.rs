//! Nodes as they change: a list, and a watch from there on.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, TryStreamExt as _};
use k8s_openapi::api::core::v1::Node as K8sNode;
use kube::Resource;
use kube::api::{WatchEvent, WatchParams};
use kube::core::Request;
use node_annotator_core::Prefix;
use tokio::time::sleep;

use super::node::Node;
use super::selection::Nodes;
use crate::cluster::{ClusterError, Reason};
use crate::operator::lists::{Form, Reader};
use crate::trouble::Trouble;

/// Before a server is asked again that has ended a watch with an error.
const PAUSE: Duration = Duration::from_secs(1);

/// A server that gives no list so many times in a row is gone.
const MAX_FAILURES: u32 = 10;

/// What has changed. `S` is what is kept of a Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change<S> {
    /// All Nodes are listed now: what was known before is forgotten.
    Begin,
    /// A Node as it is now.
    Seen(String, S),
    /// The Node is gone, or none of those that are meant any more.
    Gone(String),
    /// The list is at its end.
    Listed,
}

type Events = Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<Node>>>>>;

/// Follows the Nodes that a selection means. A watch that breaks is taken up where it was; where the server
/// does not remember that any more, all is listed again, and no Node is lost.
pub(crate) struct Follow<'a, F> {
    reader: &'a Reader,
    nodes: &'a Nodes,
    prefix: &'a Prefix,
    /// What is kept of a Node.
    keep: F,
    version: Option<String>,
    events: Option<Events>,
    failures: u32,
}

impl<'a, S, F: Fn(Node) -> S> Follow<'a, F> {
    pub(crate) fn new(reader: &'a Reader, nodes: &'a Nodes, prefix: &'a Prefix, keep: F) -> Self {
        Self { reader, nodes, prefix, keep, version: None, events: None, failures: 0 }
    }

    /// The next changes; there is at least one.
    pub(crate) async fn next(&mut self) -> Result<VecDeque<Change<S>>, Trouble> {
        loop {
            let Some(version) = self.version.clone() else {
                match self.list().await {
                    Ok(changes) => return Ok(changes),
                    Err(trouble) if self.version.is_none() && self.failures >= MAX_FAILURES => {
                        return Err(trouble);
                    }
                    // The first list tells whether it works at all.
                    Err(trouble) if self.failures == 0 => return Err(trouble),
                    Err(_) => {
                        self.failures += 1;
                        sleep(PAUSE).await;
                        continue;
                    }
                }
            };
            if self.events.is_none() {
                match self.watch(&version).await {
                    Ok(events) => self.events = Some(events),
                    Err(error) => self.recover(&error).await?,
                }
                continue;
            }
            let event = match &mut self.events {
                Some(events) => events.try_next().await,
                None => Ok(None),
            };
            match event {
                Ok(Some(WatchEvent::Added(node) | WatchEvent::Modified(node))) => {
                    self.version = Some(node.metadata.resource_version.clone());
                    let name = node.name().to_owned();
                    // A change may have made it another one than those that are meant.
                    let change = if self.nodes.include(&node, self.prefix) {
                        Change::Seen(name, (self.keep)(node))
                    } else {
                        Change::Gone(name)
                    };
                    return Ok([change].into());
                }
                Ok(Some(WatchEvent::Deleted(node))) => {
                    self.version = Some(node.metadata.resource_version.clone());
                    return Ok([Change::Gone(node.name().to_owned())].into());
                }
                Ok(Some(WatchEvent::Bookmark(bookmark))) => {
                    self.version = Some(bookmark.metadata.resource_version);
                }
                Ok(Some(WatchEvent::Error(status))) => self.recover(&kube::Error::Api(status)).await?,
                // The server has ended it, as it does after some minutes.
                Ok(None) => self.events = None,
                Err(error) => self.recover(&error).await?,
            }
        }
    }

    async fn list(&mut self) -> Result<VecDeque<Change<S>>, Trouble> {
        let mut changes = VecDeque::from([Change::Begin]);
        let take = |node: Node| {
            let name = node.name().to_owned();
            changes.push_back(Change::Seen(name, (self.keep)(node)));
        };
        let version = self.nodes.visit(self.reader, Form::Whole, self.prefix, take).await?;
        changes.push_back(Change::Listed);
        self.version = Some(version);
        self.failures = 1;
        Ok(changes)
    }

    async fn watch(&self, version: &str) -> kube::Result<Events> {
        let parameters = WatchParams {
            label_selector: self.nodes.labels.clone(),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = Request::new(K8sNode::url_path(&(), None)).watch(&parameters, version);
        let events = self.reader.client().request_events(request.map_err(kube::Error::BuildRequest)?).await?;
        Ok(Box::pin(events))
    }

    /// After an error all is taken up where it was, unless the server has forgotten that.
    /// What is not allowed does not change by waiting.
    async fn recover(&mut self, error: &kube::Error) -> Result<(), Trouble> {
        self.events = None;
        let told = ClusterError::from(error);
        if matches!(told.reason(), Reason::Forbidden | Reason::Unauthorized) {
            return Err(told.into());
        }
        if matches!(error, kube::Error::Api(status) if status.code == 410) {
            self.version = None;
        } else {
            sleep(told.retry_after().unwrap_or(PAUSE)).await;
        }
        Ok(())
    }
}
