//! The requests that are tried in the name of our accounts, none of which is ever stored.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{PartialObjectMeta, Request};
use kube::{Api, Client, Resource};
use node_annotator_core::Prefix;
use node_annotator_core::fact::MAX_DECLARED_BYTES;
use node_annotator_deploy::policy::{MAX_ANNOTATIONS, MAX_LABELS};
use serde_json::{Value, json};

use super::account::{Account, TokenNode};
use super::evidence::{Evidence, OurNamespace};
use crate::cluster::FIELD_MANAGER;
use crate::trouble::Trouble;

/// The name part of the key that is tried.
const NAME: &str = "doctor";

/// The node that is tried, and the name of another one.
#[derive(Debug, Clone)]
pub(super) struct Nodes {
    own: String,
    uid: String,
    other: String,
}

impl Nodes {
    /// Picks two nodes. In a cluster of one, the other is a name without a node: it only has to differ.
    pub(super) async fn pick(client: &Client) -> Result<Self, Trouble> {
        let list = Api::<Node>::all(client.clone()).list_metadata(&ListParams::default().limit(2)).await?;
        let mut nodes = list.items.into_iter().map(|node| node.metadata);
        let Some((Some(own), Some(uid))) = nodes.next().map(|node| (node.name, node.uid)) else {
            return Err(Trouble::new("there are no nodes to try it on", "add a node, and run it again"));
        };
        let other = nodes.next().and_then(|node| node.name).unwrap_or_else(|| format!("not-{own}"));
        Ok(Self { own, uid, other })
    }
}

/// A request, and the rule that has to refuse it.
#[derive(Debug)]
pub(super) struct Denial {
    /// The name of the check.
    pub(super) check: &'static str,
    /// The rule's id.
    pub(super) rule: &'static str,
    /// What is tried, in words.
    pub(super) attempt: &'static str,
    bound_to: BoundTo,
    patch: fn(&Prefix) -> Value,
}

/// The node that the token is bound to. The node that is changed is always the same.
#[derive(Debug, Clone, Copy)]
enum BoundTo {
    Own,
    Other,
    Replaced,
    Nothing,
}

/// Requests that a stolen token must not get through: one for each rule that a request can show.
pub(super) const DENIALS: [Denial; 11] = [
    denial(
        "denies-foreign-label",
        "foreign-labels",
        "a label of others",
        BoundTo::Own,
        |_| json!({ "metadata": { "labels": { "node-role.kubernetes.io/doctor": "" } } }),
    ),
    denial(
        "denies-foreign-annotation",
        "foreign-annotations",
        "an annotation of others",
        BoundTo::Own,
        |_| json!({ "metadata": { "annotations": { "example.com/doctor": "tried" } } }),
    ),
    denial("denies-other-node", "own-node", "a key on another node", BoundTo::Other, own_key),
    denial(
        "denies-replaced-node",
        "own-node",
        "a key on a later node of the same name",
        BoundTo::Replaced,
        own_key,
    ),
    denial("denies-unbound-token", "own-node", "a key with a token of no pod", BoundTo::Nothing, own_key),
    denial(
        "denies-spec",
        "spec",
        "a taint",
        BoundTo::Own,
        |_| json!({ "spec": { "taints": [{ "key": "example.com/doctor", "effect": "NoSchedule" }] } }),
    ),
    denial(
        "denies-finalizer",
        "ownership",
        "a finalizer",
        BoundTo::Own,
        |_| json!({ "metadata": { "finalizers": ["example.com/doctor"] } }),
    ),
    denial(
        "denies-opt-out",
        "opt-out",
        "the label that opts out",
        BoundTo::Own,
        |prefix| json!({ "metadata": { "labels": { prefix.opt_out(): NAME } } }),
    ),
    denial(
        "denies-large-value",
        "value-size",
        "a large annotation",
        BoundTo::Own,
        |prefix| json!({ "metadata": { "annotations": { prefix.fact(NAME, None): "x".repeat(MAX_DECLARED_BYTES + 1) } } }),
    ),
    denial(
        "denies-many-annotations",
        "annotation-count",
        "too many annotations",
        BoundTo::Own,
        |prefix| json!({ "metadata": { "annotations": many(prefix, MAX_ANNOTATIONS) } }),
    ),
    denial(
        "denies-many-labels",
        "label-count",
        "too many labels",
        BoundTo::Own,
        |prefix| json!({ "metadata": { "labels": many(prefix, MAX_LABELS) } }),
    ),
];

const fn denial(
    check: &'static str,
    rule: &'static str,
    attempt: &'static str,
    bound_to: BoundTo,
    patch: fn(&Prefix) -> Value,
) -> Denial {
    Denial { check, rule, attempt, bound_to, patch }
}

/// What a run writes: a fact and its done label.
pub(super) fn own_key(prefix: &Prefix) -> Value {
    let metadata = json!({ "annotations": { prefix.fact(NAME, None): "tried" }, "labels": { prefix.done(NAME): "tried" } });
    json!({ "metadata": metadata })
}

/// One more than there may be.
fn many(prefix: &Prefix, max: usize) -> BTreeMap<String, &'static str> {
    (0..=max).map(|number| (prefix.fact(&format!("{NAME}-{number}"), None), "")).collect()
}

/// Sends patches in the name of an account.
pub(super) struct Sender<'a> {
    client: &'a Client,
    pub(super) account: &'a Account,
    nodes: &'a Nodes,
    prefix: &'a Prefix,
}

impl<'a> Sender<'a> {
    /// For the account of a namespace, unless there are no nodes to try it on.
    pub(super) fn new(all: &'a Evidence, one: &'a OurNamespace) -> Result<Self, Trouble> {
        Ok(Self {
            client: &all.impersonating,
            account: &one.account,
            nodes: all.nodes.as_ref().map_err(Clone::clone)?,
            prefix: &all.settings.prefix,
        })
    }

    /// Tries what has to be refused.
    pub(super) async fn try_denial(&self, denial: &Denial) -> Result<(), kube::Error> {
        let Nodes { own, other, .. } = self.nodes;
        let token_node = match denial.bound_to {
            BoundTo::Own => TokenNode::Node(own),
            BoundTo::Other => TokenNode::Node(other),
            // No object ever has this account.
            BoundTo::Replaced => TokenNode::NodeObject(own, "00000000-0000-0000-0000-000000000000"),
            BoundTo::Nothing => TokenNode::None,
        };
        self.patch(token_node, &(denial.patch)(self.prefix)).await.map(drop)
    }

    /// Tries what every run does, and returns the metadata that would have been stored.
    pub(super) async fn try_own_key(&self) -> Result<PartialObjectMeta<Node>, kube::Error> {
        let Nodes { own, uid, .. } = self.nodes;
        self.patch(TokenNode::NodeObject(own, uid), &own_key(self.prefix)).await
    }

    async fn patch(
        &self,
        token_node: TokenNode<'_>,
        body: &Value,
    ) -> Result<PartialObjectMeta<Node>, kube::Error> {
        let parameters = PatchParams {
            dry_run: true,
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = Request::new(Node::url_path(&(), None));
        let mut request = request
            .patch_metadata(&self.nodes.own, &parameters, &Patch::Merge(body))
            .map_err(kube::Error::BuildRequest)?;
        request.headers_mut().extend(self.account.headers(token_node).map_err(kube::Error::HttpError)?);
        self.client.request(request).await
    }
}

#[cfg(test)]
mod tests {
    use node_annotator_deploy::policy;

    use super::*;

    #[test]
    fn every_rule_that_a_request_can_show_has_one() {
        // These would need other rights, objects of others, or forged managed fields. `policy.rs` sees when
        // they are missing.
        let others = ["update", "total-size", "applied-fields", "manager-count", "claim-size", "claim-depth"];
        for rule in policy::rules(&Prefix::default()) {
            let tried = DENIALS.iter().any(|denial| denial.rule == rule.id);
            assert_ne!(tried, others.contains(&rule.id), "{}", rule.id);
        }
        for denial in &DENIALS {
            assert!(
                policy::rules(&Prefix::default()).iter().any(|rule| rule.id == denial.rule),
                "{denial:?}"
            );
        }
    }
}
