//! The requests that are tried in the name of our accounts, none of which is ever stored.

use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::core::{PartialObjectMeta, Request};
use kube::{Client, Resource};
use node_annotator_core::write::FIELD_MANAGER;
use node_annotator_deploy::policy::{Keys, Scope};
use serde_json::{Value, json};

use super::account::{Account, TokenNode};
use super::evidence::{Evidence, OurNamespace};
use super::tried_on::Nodes;
use crate::trouble::Trouble;

/// A value that is tried.
const NAME: &str = "doctor";

/// Like the name of a collector, but none can have it.
const UNKNOWN: &str = "doctor.unknown";

/// No object ever has this identity.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

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
    patch: fn(&Scope) -> Value,
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
        "labels",
        "a label of others",
        BoundTo::Own,
        |_| json!({ "metadata": { "labels": { "node-role.kubernetes.io/doctor": "" } } }),
    ),
    denial(
        "denies-foreign-annotation",
        "annotations",
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
        "labels",
        "the label that opts out",
        BoundTo::Own,
        |scope| json!({ "metadata": { "labels": { scope.prefix.opt_out(): NAME } } }),
    ),
    denial(
        "denies-large-value",
        "annotations",
        "a large annotation",
        BoundTo::Own,
        |scope| json!({ "metadata": { "annotations": { first_fact(scope): "x".repeat(scope.keys().max_bytes + 1) } } }),
    ),
    denial(
        "denies-unknown-annotation",
        "annotations",
        "an annotation that no collector declares",
        BoundTo::Own,
        |scope| json!({ "metadata": { "annotations": { scope.prefix.fact(UNKNOWN, None): NAME } } }),
    ),
    denial(
        "denies-unknown-label",
        "labels",
        "the done label of no collector",
        BoundTo::Own,
        |scope| json!({ "metadata": { "labels": { scope.prefix.done(UNKNOWN): NAME } } }),
    ),
];

const fn denial(
    check: &'static str,
    rule: &'static str,
    attempt: &'static str,
    bound_to: BoundTo,
    patch: fn(&Scope) -> Value,
) -> Denial {
    Denial { check, rule, attempt, bound_to, patch }
}

/// What a run writes: a fact and all labels.
pub(super) fn own_key(scope: &Scope) -> Value {
    let Keys { mut labels, fact_labels, .. } = scope.keys();
    labels.extend(fact_labels.into_iter().map(|key| (key, NAME.to_owned())));
    json!({ "metadata": { "annotations": { first_fact(scope): NAME }, "labels": labels } })
}

fn first_fact(scope: &Scope) -> String {
    scope.prefix.fact(scope.collectors.first().map_or(NAME, |collector| collector.name), None)
}

/// Sends patches in the name of an account.
pub(super) struct Sender<'a> {
    client: &'a Client,
    pub(super) account: &'a Account,
    nodes: &'a Nodes,
    scope: &'a Scope,
}

impl<'a> Sender<'a> {
    /// For the account of a namespace, unless there are no nodes to try it on.
    pub(super) fn new(all: &'a Evidence, one: &'a OurNamespace) -> Result<Self, Trouble> {
        Ok(Self {
            client: &all.impersonating,
            account: &one.account,
            nodes: all.tried_on.as_ref().map_err(Clone::clone)?,
            scope: &all.scope,
        })
    }

    /// Tries what has to be refused.
    pub(super) async fn try_denial(&self, denial: &Denial) -> Result<(), kube::Error> {
        let Nodes { own, uid, other } = self.nodes;
        let token_node = match denial.bound_to {
            BoundTo::Own => TokenNode::Node(own, uid),
            BoundTo::Other => TokenNode::Node(other, NO_UID),
            BoundTo::Replaced => TokenNode::Node(own, NO_UID),
            BoundTo::Nothing => TokenNode::None,
        };
        self.patch(token_node, &(denial.patch)(self.scope)).await.map(drop)
    }

    /// Tries what every run does, and returns the metadata that would have been stored.
    pub(super) async fn try_own_key(&self) -> Result<PartialObjectMeta<Node>, kube::Error> {
        let Nodes { own, uid, .. } = self.nodes;
        self.patch(TokenNode::Node(own, uid), &own_key(self.scope)).await
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
        let scope = super::super::Settings::default().all_collectors(&[]);
        // These would need other rights, objects of others, or forged managed fields. `policy.rs` sees when
        // they are missing.
        let others = [
            "update",
            "labels-kept",
            "annotations-kept",
            "total-size",
            "managed-fields",
            "claims",
            "claims-kept",
            "rate",
        ];
        for rule in policy::rules(&scope) {
            let tried = DENIALS.iter().any(|denial| denial.rule == rule.id);
            assert_ne!(tried, others.contains(&rule.id), "{}", rule.id);
        }
        for denial in &DENIALS {
            assert!(policy::rules(&scope).iter().any(|rule| rule.id == denial.rule), "{denial:?}");
        }
    }
}
