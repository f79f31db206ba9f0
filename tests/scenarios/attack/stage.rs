//! The cluster on which all attacks take place: the generated manifests, nodes with things of others on them,
//! and tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt as _};
use node_annotator_deploy::{Layout, Settings};
use node_annotator_tests::{Cluster, NodeSpec, Options, wait};
use serde_json::{Value, json};

use super::attempt::{Answer, Attempt, Case, Expected, MANAGER, PatchType};
use crate::support::{self, COLLECTORS, NAMESPACE, key, node_of, saved, wait_for_label};

/// The namespace of the collectors that need the host's network.
pub(super) const PRIVILEGED: &str = "node-annotator-privileged";

/// A pod of ours on `n1`, whose token was stolen.
pub(super) const POD: &str = "a pod of ours on n1";
/// The same in the other namespace.
pub(super) const PRIVILEGED_POD: &str = "a privileged pod of ours on n1";
/// Its node is not `n1`.
pub(super) const POD_ELSEWHERE: &str = "a pod of ours on n2";
/// Its node has the opt-out label.
pub(super) const POD_OPTED_OUT: &str = "a pod of ours on the opted-out node";
/// All collectors were given up on its node.
pub(super) const POD_GIVEN_UP: &str = "a pod of ours on a node where everything was given up";
/// Its node has more field managers than the API server keeps apart.
pub(super) const POD_CROWDED: &str = "a pod of ours on the crowded node";
/// By the record of its node a run has just written there, and will have for a long time.
pub(super) const POD_BUSY: &str = "a pod of ours on a node that was written a moment ago";
/// Its node was deleted, and another one has the name now.
pub(super) const POD_OF_OLD_NODE: &str = "a pod of ours on a node that was replaced";
/// Its token was made before its node was there, and has the node's name alone.
pub(super) const POD_BEFORE_NODE: &str = "a pod of ours that was there before its node";
/// Made by somebody who may make tokens in our namespace.
pub(super) const BOUND_TO_NODE: &str = "our account with a token that is bound to n1 and to no pod";
/// Somebody who may impersonate accounts, and names another group.
pub(super) const IMPERSONATOR: &str = "somebody who impersonates our account without its groups";
/// As `kubectl create token` makes it.
pub(super) const UNBOUND: &str = "our account with a token that is bound to no pod";
/// Another account of our namespace that was given our role by mistake, in a pod on `n1`.
pub(super) const SIBLING: &str = "a second account of our namespace on n1";
/// The same without a pod.
pub(super) const SIBLING_UNBOUND: &str = "a second account of our namespace without a pod";
/// The account that each namespace has.
pub(super) const NO_RIGHTS: &str = "an account of our namespace without rights";
/// An account with our role, in a namespace that has nothing to do with ours.
pub(super) const STRANGER: &str = "an account of another namespace";
/// The same, in a namespace with a name that begins as ours.
pub(super) const LOOK_ALIKE: &str = "an account of a namespace named like ours";

/// Who applied what is not ours.
pub(super) const INVENTORY: &str = "inventory";

/// Where somebody makes mistakes with rights.
const MISTAKES: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: elsewhere}
---
apiVersion: v1
kind: Namespace
metadata: {name: node-annotator-evil}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: sibling, namespace: node-annotator}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: mistake}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: node-annotator}
subjects:
- {kind: ServiceAccount, name: sibling, namespace: node-annotator}
- {kind: ServiceAccount, name: default, namespace: elsewhere}
- {kind: ServiceAccount, name: default, namespace: node-annotator-evil}
";

/// Far wider than what we ask for.
const WIDE_RIGHTS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: wide}
rules:
- {apiGroups: [''], resources: [nodes, nodes/status, nodes/proxy, nodes/finalizers], verbs: ['*']}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: wide}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: wide}
subjects:
- {kind: ServiceAccount, name: node-annotator, namespace: node-annotator}
- {kind: ServiceAccount, name: node-annotator, namespace: node-annotator-privileged}
- {kind: ServiceAccount, name: sibling, namespace: node-annotator}
";

/// More than the API server keeps apart, of those who do not apply.
const MANAGERS: usize = 15;

/// Something about a node that is not for everybody.
pub(super) const PROVIDER_ID: &str = "cloud:///zone-a/machine-of-n2";

pub(super) struct Stage {
    pub(super) cluster: Cluster,
    attackers: BTreeMap<&'static str, Client>,
}

/// What the generated manifests are made from: with both privilege classes.
pub(super) fn settings() -> Settings {
    Settings { layout: Layout::Combined, host_network: true, ..support::settings(&COLLECTORS.join(",")) }
}

impl Stage {
    /// A cluster with these attackers.
    pub(super) fn with(cluster: Cluster, attackers: BTreeMap<&'static str, Client>) -> Self {
        Self { cluster, attackers }
    }

    /// Returns when the nodes are done for the first time, the policy is in force, and every token is there.
    pub(super) async fn start() -> Result<Self> {
        let cluster = Cluster::start(Options::default()).await?;
        support::install(&cluster, &settings()).await?;
        cluster.apply_yaml(MISTAKES).await?;
        for name in ["n1", "n2", "busy", "crowded", "replaced"] {
            support::add_settled(&cluster, machine(name)).await?;
        }
        support::add_settled(&cluster, machine("opted-out").label(&key("opt-out"), "yes")).await?;
        let given_up = COLLECTORS.into_iter().fold(machine("given-up"), |node, collector| {
            node.label(&key(&format!("{collector}.failed")), &saved(collector))
        });
        support::add_settled(&cluster, given_up).await?;
        let mut stage = Self::with(cluster, BTreeMap::new());
        stage.settle().await?;

        stage.furnish().await?;
        let early = add_pod(&stage.cluster, NAMESPACE, "node-annotator", "late").await?;
        stage.attackers.insert(
            POD_BEFORE_NODE,
            client(&stage.cluster, NAMESPACE, "node-annotator", Some(&early)).await?,
        );
        for (who, namespace, account, node) in [
            (POD, NAMESPACE, "node-annotator", "n1"),
            (PRIVILEGED_POD, PRIVILEGED, "node-annotator", "n1"),
            (POD_ELSEWHERE, NAMESPACE, "node-annotator", "n2"),
            (POD_OPTED_OUT, NAMESPACE, "node-annotator", "opted-out"),
            (POD_GIVEN_UP, NAMESPACE, "node-annotator", "given-up"),
            (POD_CROWDED, NAMESPACE, "node-annotator", "crowded"),
            (POD_BUSY, NAMESPACE, "node-annotator", "busy"),
            (POD_OF_OLD_NODE, NAMESPACE, "node-annotator", "replaced"),
            (SIBLING, NAMESPACE, "sibling", "n1"),
            (NO_RIGHTS, NAMESPACE, "default", "n1"),
            (STRANGER, "elsewhere", "default", "n1"),
            (LOOK_ALIKE, "node-annotator-evil", "default", "n1"),
        ] {
            let pod = add_pod(&stage.cluster, namespace, account, node).await?;
            stage.attackers.insert(who, client(&stage.cluster, namespace, account, Some(&pod)).await?);
        }
        for (who, account) in [(UNBOUND, "node-annotator"), (SIBLING_UNBOUND, "sibling")] {
            stage.attackers.insert(who, client(&stage.cluster, NAMESPACE, account, None).await?);
        }
        let n1 = stage.cluster.node("n1").await?;
        let bound = bound_to("Node", &n1.metadata);
        stage.attackers.insert(
            BOUND_TO_NODE,
            client_bound(&stage.cluster, NAMESPACE, "node-annotator", Some(bound)).await?,
        );
        let user = format!("system:serviceaccount:{NAMESPACE}:node-annotator");
        let impersonator = stage.cluster.control_plane().client_as(&user, &["developers"]).await?;
        stage.attackers.insert(IMPERSONATOR, impersonator);
        support::add_settled(&stage.cluster, machine("late")).await?;
        stage.replace_node("replaced").await?;
        stage.settle().await?;
        stage.wait_until_in_force().await?;
        Ok(stage)
    }

    /// Sends what a case tries.
    pub(super) async fn send(&self, case: &Case, dry_run: bool) -> Result<Answer> {
        self.send_as(case.who, &case.attempt, dry_run).await.with_context(|| case.to_string())
    }

    /// Sends an attempt of one of the attackers.
    pub(super) async fn send_as(&self, who: &str, attempt: &Attempt, dry_run: bool) -> Result<Answer> {
        attempt.send(self.attacker(who)?, dry_run).await
    }

    /// The client of one of the attackers.
    pub(super) fn attacker(&self, who: &str) -> Result<&Client> {
        self.attackers.get(who).with_context(|| format!("nobody is {who}"))
    }

    /// A Node as it is stored.
    pub(super) async fn node(&self, name: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.cluster.node(name).await?)?)
    }

    /// Which Nodes there are, and in which version.
    pub(super) async fn versions(&self) -> Result<BTreeMap<String, [Option<String>; 2]>> {
        let nodes: Api<Node> = Api::all(self.cluster.client());
        let nodes = nodes.list_metadata(&ListParams::default()).await?;
        let version = |node: PartialObjectMeta<Node>| {
            (node.name_any(), [node.metadata.uid, node.metadata.resource_version])
        };
        Ok(nodes.into_iter().map(version).collect())
    }

    /// Makes a Node what it was.
    pub(super) async fn restore(&self, before: &Value) -> Result<()> {
        let mut node: Node = serde_json::from_value(before.clone())?;
        node.metadata.resource_version = None;
        let nodes: Api<Node> = Api::all(self.cluster.client());
        let name = node.name_any();
        nodes.replace(&name, &PostParams::default(), &node).await?;
        // Whose fields they are as well: restoring them made them the administrator's.
        let record = json!({"metadata": {"managedFields": before["metadata"]["managedFields"]}});
        nodes.patch(&name, &PatchParams::default(), &Patch::Merge(record)).await?;
        Ok(())
    }

    /// Gives all our accounts, and the second one, every right there is on nodes.
    pub(super) async fn grant_wide_rights(&self) -> Result<()> {
        self.cluster.apply_yaml(WIDE_RIGHTS).await?;
        for who in [POD, PRIVILEGED_POD, SIBLING] {
            let read = Attempt::new("GET", "/api/v1/nodes/n1", Value::Null);
            self.wait_for(who, &read, Expected::Done(|_, _| true)).await?;
        }
        Ok(())
    }

    /// Waits until nothing of ours runs on any node.
    async fn settle(&self) -> Result<()> {
        for node in ["n1", "n2", "busy", "crowded", "replaced"] {
            for collector in COLLECTORS {
                wait_for_label(&self.cluster, node, &key(collector)).await?;
            }
        }
        for namespace in [NAMESPACE, PRIVILEGED] {
            self.cluster.wait_until_done(namespace, "node-annotator").await?;
        }
        Ok(())
    }

    /// Puts on the Nodes what belongs to others.
    async fn furnish(&self) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.cluster.client());
        // An owner that is there: the garbage collector deletes what has none.
        let owner = Api::<Namespace>::all(self.cluster.client()).get("default").await?;
        let owner =
            json!({"apiVersion": "v1", "kind": "Namespace", "name": "default", "uid": owner.metadata.uid});
        let foreign = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "labels": {"example.com/pool": "gold", "example.com/check.failed": "no"},
                "annotations": {"example.com/owner": "team"},
                "finalizers": ["example.com/keep"], "ownerReferences": [owner],
            },
            "spec": {"taints": [{"key": "example.com/reserved", "value": "yes", "effect": "NoSchedule"}]},
        });
        let parameters = PatchParams::apply(INVENTORY).force();
        for name in ["n1", "n2"] {
            nodes.patch(name, &parameters, &Patch::Apply(&foreign)).await?;
        }
        let identity = json!({"spec": {"providerID": PROVIDER_ID}});
        nodes.patch("n2", &PatchParams::default(), &Patch::Merge(&identity)).await?;
        // Under our prefix too: a fact, and what no version has ever written.
        let applied = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"annotations": {
                key("kernel"): "by-hand", key("left-by-others"): "x".repeat(5000),
            }},
        });
        nodes.patch("n1", &PatchParams::apply("operator").force(), &Patch::Apply(&applied)).await?;
        let only = json!({"metadata": {"annotations": {key("cpu-model"): "by-hand"}}});
        let by_hand = PatchParams { field_manager: Some("by-hand".to_owned()), ..PatchParams::default() };
        nodes.patch("n1", &by_hand, &Patch::Merge(&only)).await?;
        let mut busy = self.node("busy").await?;
        let record = busy["metadata"]["managedFields"].as_array_mut().context("no record")?;
        let of_run = record.iter_mut().find(|entry| entry["manager"] == MANAGER);
        of_run.context("no run has written")?["time"] = json!("2099-01-01T00:00:00Z");
        // Times alone are not stored.
        let later = json!({"metadata": {"managedFields": record, "labels": {"example.com/pool": "gold"}}});
        nodes.patch("busy", &PatchParams::default(), &Patch::Merge(&later)).await?;
        for index in 0..MANAGERS {
            let name = format!("manager-{index}");
            let labels: BTreeMap<_, _> =
                (0..20).map(|label| (format!("example.com/{index}-{label}"), "x")).collect();
            let labels = json!({"metadata": {"labels": labels}});
            let parameters = PatchParams { field_manager: Some(name), ..PatchParams::default() };
            nodes.patch("crowded", &parameters, &Patch::Merge(&labels)).await?;
        }
        Ok(())
    }

    /// The machine goes, and another one comes under its name. The pods stay until somebody collects them.
    async fn replace_node(&self, name: &str) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.cluster.client());
        let mut node = nodes.get(name).await?;
        nodes.delete(name, &DeleteParams::default()).await?;
        node.metadata.resource_version = None;
        nodes.create(&PostParams::default(), &node).await.map(drop).context("cannot create the node again")
    }

    /// The policy and the rights are in force a moment after they were stored.
    async fn wait_until_in_force(&self) -> Result<()> {
        let attempt = Attempt::patch(PatchType::Merge, "n1", &super::changes::own());
        for who in [POD, PRIVILEGED_POD, SIBLING, STRANGER, LOOK_ALIKE] {
            self.wait_for(who, &attempt, Expected::Done(|_, _| true)).await?;
        }
        let refused = Expected::Refused(422, "only the Node that the pod runs on");
        self.wait_for(POD_ELSEWHERE, &attempt, refused).await
    }

    /// Tries it until it comes out so, and stores nothing.
    pub(super) async fn wait_for(&self, who: &str, attempt: &Attempt, expected: Expected) -> Result<()> {
        let what = format!("what is in force for {who}");
        wait::until_within(Duration::from_secs(20), &what, async || {
            let answer = self.send_as(who, attempt, true).await?;
            if expected.fits(&answer) { Ok(()) } else { Err(anyhow::anyhow!("{answer}")) }
        })
        .await
    }
}

/// A pod that does nothing but being there.
pub(crate) async fn add_pod(cluster: &Cluster, namespace: &str, account: &str, node: &str) -> Result<Pod> {
    let restricted = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let pod = json!({
        "metadata": {"generateName": "stolen-"},
        "spec": {
            "nodeName": node,
            "serviceAccountName": account,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {"name": "pod", "image": "none", "command": ["sleep", "3600"], "securityContext": restricted},
            ],
        },
    });
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await.context("cannot create a pod")
}

/// Somebody with an account's token, bound to a pod or to nothing.
pub(crate) async fn client(
    cluster: &Cluster,
    namespace: &str,
    account: &str,
    pod: Option<&Pod>,
) -> Result<Client> {
    client_bound(cluster, namespace, account, pod.map(|pod| bound_to("Pod", &pod.metadata))).await
}

async fn client_bound(
    cluster: &Cluster,
    namespace: &str,
    account: &str,
    bound: Option<BoundObjectReference>,
) -> Result<Client> {
    let spec = TokenRequestSpec { bound_object_ref: bound, ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), namespace);
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await?;
    cluster.client_with_token(&answer.status.context("no token in the answer")?.token).await
}

fn bound_to(kind: &str, metadata: &ObjectMeta) -> BoundObjectReference {
    BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some(kind.to_owned()),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
    }
}

/// Machines of which the collectors find everything.
fn machine(name: &str) -> NodeSpec {
    node_of(name, "intel-xeon")
}
