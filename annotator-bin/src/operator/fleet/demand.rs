//! What a DaemonSet of ours wants of a node, read from its affinity: also where this binary does not have its
//! collectors.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{NodeSelectorRequirement, Toleration};
use node_annotator_core::key::NFD;
use node_annotator_core::{Collector, DoneMark, Prefix};
use node_annotator_deploy::affinity;

use super::node::{Node, Taint};
use super::placement;

/// When a collector is due on a node, by the labels of the node.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// What holds of the done label where it has not run; one of them is enough.
    missing: Vec<NodeSelectorRequirement>,
    /// What holds of the failed label where it is not given up.
    not_given_up: Option<NodeSelectorRequirement>,
}

/// What the labels of a node say of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It is done.
    Done,
    /// It was given up.
    GivenUp,
    /// It is to run.
    Due,
}

impl Rule {
    /// As manifests of this version have it.
    pub(crate) fn generated(collector: &Collector, prefix: &Prefix, mark: &DoneMark) -> Self {
        Self {
            missing: affinity::missing(collector, prefix, mark),
            not_given_up: Some(affinity::not_given_up(collector, prefix, mark)),
        }
    }

    /// What the labels of a node say.
    pub(crate) fn mark(&self, node: &Node) -> Mark {
        if !self.missing.iter().any(|requirement| holds(requirement, node)) {
            Mark::Done
        } else if self.not_given_up.as_ref().is_some_and(|requirement| !holds(requirement, node)) {
            Mark::GivenUp
        } else {
            Mark::Due
        }
    }
}

/// A DaemonSet that leaves nodes alone on which its collectors are done.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Its collectors, each with when it is due.
    pub(crate) rules: BTreeMap<String, Rule>,
    node_selector: BTreeMap<String, String>,
    /// The label that releases a node, of a task that is held.
    release: Option<(String, String)>,
    /// What a node must have beside that: all of one of these lists. Those of collectors have one; a task has
    /// one for each term of its input.
    alternatives: Vec<Vec<NodeSelectorRequirement>>,
    tolerations: Vec<Toleration>,
    /// Whether its pods publish labels of Node Feature Discovery.
    pub(super) has_nfd: bool,
}

/// Why a DaemonSet makes no pod for a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It does not want the node.
    LeftOut(String),
    /// It wants it as soon as it has this label: a task that is held.
    Held(String, String),
    /// It wants it, and a taint is in the way.
    Taint(String),
}

impl Demand {
    /// Nothing for a DaemonSet that has no interest in our labels.
    pub(crate) fn read(set: &DaemonSet, prefix: &Prefix) -> Option<Self> {
        let pod = set.spec.as_ref()?.template.spec.as_ref()?;
        let mut rules = BTreeMap::new();
        let mut alternatives: Vec<Vec<NodeSelectorRequirement>> = Vec::new();
        for term in placement::terms(pod) {
            let (ours, others): (Vec<_>, Vec<_>) = term.iter().partition(|requirement| {
                prefix.is_failed(&requirement.key) || prefix.collector_of_done(&requirement.key).is_some()
            });
            let Some(missing) = ours.iter().find(|requirement| !prefix.is_failed(&requirement.key)) else {
                continue;
            };
            let collector = prefix.collector_of_done(&missing.key)?.to_owned();
            let not_given_up = ours.iter().find(|requirement| prefix.is_failed(&requirement.key));
            let rule: &mut Rule =
                rules.entry(collector).or_insert(Rule { missing: Vec::new(), not_given_up: None });
            rule.missing.push((*missing).clone());
            rule.not_given_up = not_given_up.map(|requirement| (*requirement).clone());
            let others: Vec<_> = others.into_iter().cloned().collect();
            if !alternatives.contains(&others) {
                alternatives.push(others);
            }
        }
        let mut node_selector = pod.node_selector.clone().unwrap_or_default();
        let release = rules.keys().find_map(|name| node_selector.remove_entry(&prefix.released(name)));
        (!rules.is_empty()).then(|| Self {
            namespace: set.metadata.namespace.clone().unwrap_or_default(),
            name: set.metadata.name.clone().unwrap_or_default(),
            rules,
            node_selector,
            release,
            alternatives,
            tolerations: pod.tolerations.clone().unwrap_or_default(),
            has_nfd: pod.containers.iter().flat_map(|container| container.args.iter().flatten()).any(|arg| {
                arg.strip_prefix("--labels=").is_some_and(|list| list.split(',').any(|word| word == NFD))
            }),
        })
    }

    /// Its namespace and its name: DaemonSets of both our namespaces may have one name.
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// What keeps its pods away from a node, whatever is to be done there.
    pub(crate) fn obstacle(&self, node: &Node, prefix: &Prefix) -> Option<Obstacle> {
        let opt_out = prefix.opt_out();
        let is_asked = |it: &Vec<NodeSelectorRequirement>| it.iter().any(|it| it.key == opt_out);
        if node.label(&opt_out).is_some() && self.alternatives.iter().all(is_asked) {
            return Some(Obstacle::LeftOut(format!("opted out by the label `{opt_out}`")));
        }
        let unlike = |(key, value): &(&String, &String)| node.label(key) != Some(value.as_str());
        if let Some((key, value)) = self.node_selector.iter().find(unlike) {
            let why = format!("DaemonSet `{}` selects nodes with the label `{key}={value}`", self.name);
            return Some(Obstacle::LeftOut(why));
        }
        let unmet = |it: &Vec<NodeSelectorRequirement>| it.iter().find(|it| !holds(it, node)).cloned();
        let unmet: Option<Vec<_>> = self.alternatives.iter().map(unmet).collect();
        if let Some(requirement) = unmet.as_ref().and_then(|unmet| unmet.first()) {
            let key = &requirement.key;
            let why = match node.label(key) {
                Some(value) => format!("left out by the label `{key}={value}`"),
                None => format!("DaemonSet `{}` selects nodes with a label `{key}`", self.name),
            };
            return Some(Obstacle::LeftOut(why));
        }
        if let Some((key, value)) = self.release.as_ref().filter(|(key, value)| unlike(&(key, value))) {
            return Some(Obstacle::Held(key.clone(), value.clone()));
        }
        let mut taints = node.spec.taints.iter().flatten();
        let taint = taints.find(|taint| self.is_kept_away_by(taint))?;
        let value = taint.value.as_deref().filter(|value| !value.is_empty());
        let value = value.map(|value| format!("={value}")).unwrap_or_default();
        Some(Obstacle::Taint(format!(
            "the taint `{}{value}:{}` is not tolerated by DaemonSet `{}`",
            taint.key, taint.effect, self.name
        )))
    }

    fn is_kept_away_by(&self, taint: &Taint) -> bool {
        // The DaemonSet controller adds tolerations for these.
        let of_controller = match taint.effect.as_str() {
            "NoExecute" => &["not-ready", "unreachable"][..],
            "NoSchedule" => &["disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"],
            _ => return false,
        };
        let condition = taint.key.strip_prefix("node.kubernetes.io/");
        !condition.is_some_and(|condition| of_controller.contains(&condition))
            && !self.tolerations.iter().any(|toleration| is_tolerated(taint, toleration))
    }
}

fn is_tolerated(taint: &Taint, toleration: &Toleration) -> bool {
    let Toleration { key, operator, value, effect, .. } = toleration;
    let of_effect = effect.as_deref().is_none_or(|effect| effect.is_empty() || effect == taint.effect);
    let key = key.as_deref().unwrap_or_default();
    let exists = operator.as_deref() == Some("Exists");
    let of_value =
        exists || value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default();
    of_effect && (key == taint.key || (key.is_empty() && exists)) && of_value
}

/// Whether a node has what is asked of one of its labels, as the scheduler judges it.
fn holds(requirement: &NodeSelectorRequirement, node: &Node) -> bool {
    let value = node.label(&requirement.key);
    let values = requirement.values.as_deref().unwrap_or_default();
    let is_listed = value.is_some_and(|value| values.iter().any(|listed| listed == value));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let ordered = |wanted| {
        let (Some(value), Some(bound)) = (number(value), number(values.first().map(String::as_str))) else {
            return false;
        };
        value.cmp(&bound) == wanted
    };
    match requirement.operator.as_str() {
        "In" => is_listed,
        "NotIn" => !is_listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => ordered(std::cmp::Ordering::Greater),
        "Lt" => ordered(std::cmp::Ordering::Less),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use node_annotator_collectors as _;
    use node_annotator_core::{Registry, Selection};
    use node_annotator_deploy::{Layout, Manifests, Settings};
    use serde_json::{Value, json};

    use super::*;

    fn node(labels: &Value, taints: &Value) -> Node {
        serde_json::from_value(json!({
            "metadata": { "name": "n", "labels": labels }, "spec": { "taints": taints },
        }))
        .unwrap()
    }

    fn generated(change: impl FnOnce(&mut Settings)) -> Demand {
        let registry = Registry::from_inventory().unwrap();
        let selection = Selection::parse("kernel,cpu-model", &registry).unwrap();
        let mut settings = Settings { layout: Layout::Combined, ..Settings::new(selection) };
        change(&mut settings);
        let manifests = Manifests::new(&settings).unwrap();
        Demand::read(manifests.daemon_sets().next().unwrap(), &settings.prefix).unwrap()
    }

    #[test]
    fn the_affinity_of_manifests_says_what_is_done() {
        let demand = generated(|_| {});
        assert_eq!(demand.rules.keys().collect::<Vec<_>>(), ["cpu-model", "kernel"]);
        let value = |revision| DoneMark::Saved.label_value(revision);
        let kernel = Registry::from_inventory().unwrap().find("kernel").unwrap().revision;
        for (labels, mark) in [
            (json!({}), Mark::Due),
            (json!({ "k8s.haim.dev/kernel": value(kernel) }), Mark::Done),
            (json!({ "k8s.haim.dev/kernel": "another" }), Mark::Done),
            (json!({ "k8s.haim.dev/kernel.failed": value(kernel) }), Mark::GivenUp),
            (json!({ "k8s.haim.dev/kernel.failed": "another" }), Mark::Due),
        ] {
            assert_eq!(demand.rules["kernel"].mark(&node(&labels, &json!([]))), mark, "{labels}");
        }
        let generation = generated(|settings| settings.mark = DoneMark::Generation("7".parse().unwrap()));
        let other = node(&json!({ "k8s.haim.dev/kernel": "saved" }), &json!([]));
        assert_eq!(generation.rules["kernel"].mark(&other), Mark::Due);
    }

    #[test]
    fn one_term_of_a_task_is_enough() {
        let term = |zone: &str| {
            json!({"matchExpressions": [
                {"key": "k8s.haim.dev/tune", "operator": "NotIn", "values": ["h1"]},
                {"key": "zone", "operator": "In", "values": [zone]},
            ]})
        };
        let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [term("a"), term("b")],
        }}});
        let set = json!({"metadata": {"name": "s"}, "spec": {
            "selector": {}, "template": {"spec": {"containers": [], "affinity": affinity}},
        }});
        let prefix = Prefix::default();
        let demand = Demand::read(&serde_json::from_value(set).unwrap(), &prefix).unwrap();
        let is_wanted = |zone| demand.obstacle(&node(&json!({"zone": zone}), &json!([])), &prefix).is_none();
        assert_eq!(["a", "b", "c"].map(is_wanted), [true, true, false]);
    }

    #[test]
    fn a_node_of_a_held_task_lacks_a_label_with_the_value_of_this_input() {
        let held = |selector: Value| {
            let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "k8s.haim.dev/tune", "operator": "NotIn", "values": ["h1"]},
                ]}],
            }}});
            let pod = json!({"containers": [], "affinity": affinity, "nodeSelector": selector});
            let set = json!({"metadata": {"name": "s"}, "spec": {"selector": {}, "template": {"spec": pod}}});
            Demand::read(&serde_json::from_value(set).unwrap(), &Prefix::default()).unwrap()
        };
        let demand = held(json!({"k8s.haim.dev/tune.released": "h1", "pool": "a"}));
        let obstacle = |labels: Value| demand.obstacle(&node(&labels, &json!([])), &Prefix::default());
        let release = Obstacle::Held("k8s.haim.dev/tune.released".to_owned(), "h1".to_owned());
        assert_eq!(obstacle(json!({"pool": "a"})), Some(release.clone()));
        assert_eq!(obstacle(json!({"pool": "a", "k8s.haim.dev/tune.released": "h0"})), Some(release));
        assert_eq!(obstacle(json!({"pool": "a", "k8s.haim.dev/tune.released": "h1"})), None);
        assert!(matches!(obstacle(json!({"pool": "b"})), Some(Obstacle::LeftOut(_))));
    }

    #[test]
    fn each_obstacle_is_told_and_nothing_else_is_one() {
        let prefix = Prefix::default();
        let demand = generated(|settings| {
            settings.node_selector.insert("pool".to_owned(), "a".to_owned());
            settings.tolerations = "known=x:NoSchedule".parse().unwrap();
        });
        let usual = json!({ "kubernetes.io/os": "linux", "pool": "a" });
        let with = |key: &str, value: &str| {
            let mut labels = usual.clone();
            labels[key] = json!(value);
            labels
        };
        let taint =
            |key: &str, value: &str, effect: &str| json!([{ "key": key, "value": value, "effect": effect }]);
        for (labels, taints, why) in [
            (usual.clone(), json!([]), None),
            (usual.clone(), taint("known", "x", "NoSchedule"), None),
            (usual.clone(), taint("node.kubernetes.io/not-ready", "", "NoExecute"), None),
            (usual.clone(), taint("any", "", "PreferNoSchedule"), None),
            (
                usual.clone(),
                taint("known", "y", "NoSchedule"),
                Some("the taint `known=y:NoSchedule` is not tolerated by DaemonSet `node-annotator`"),
            ),
            (
                usual.clone(),
                taint("node.kubernetes.io/not-ready", "", "NoSchedule"),
                Some(
                    "the taint `node.kubernetes.io/not-ready:NoSchedule` is not tolerated by DaemonSet `node-annotator`",
                ),
            ),
            (
                with("k8s.haim.dev/opt-out", ""),
                json!([]),
                Some("opted out by the label `k8s.haim.dev/opt-out`"),
            ),
            (
                with("pool", "b"),
                json!([]),
                Some("DaemonSet `node-annotator` selects nodes with the label `pool=a`"),
            ),
            (with("type", "kwok"), json!([]), Some("left out by the label `type=kwok`")),
        ] {
            let found = demand.obstacle(&node(&labels, &taints), &prefix).map(|obstacle| match obstacle {
                Obstacle::LeftOut(why) | Obstacle::Taint(why) => why,
                Obstacle::Held(key, value) => panic!("{key}={value}"),
            });
            assert_eq!(found.as_deref(), why, "{labels} {taints}");
        }
    }
}
