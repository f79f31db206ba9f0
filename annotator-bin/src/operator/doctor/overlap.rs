//! Which DaemonSets want which done labels, and which of them are in each other's way.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::NodeSelectorRequirement;
use node_annotator_core::Prefix;

use super::check::Conclusion;
use crate::operator::fleet::placement;

/// When a DaemonSet leaves a node alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Demand {
    /// Once the label is there.
    Any,
    /// Once the label has one of these values.
    Values(BTreeSet<String>),
}

/// A DaemonSet that goes away from nodes with a label of ours.
#[derive(Debug, Clone)]
struct Claimant<'a> {
    namespace: &'a str,
    name: &'a str,
    created: Option<Timestamp>,
    claims: Vec<Claim>,
}

/// A label that a DaemonSet waits for, and the nodes on which it does.
#[derive(Debug, Clone)]
struct Claim {
    label: String,
    demand: Demand,
    nodes: Vec<NodeSelectorRequirement>,
}

/// Whether each done label is claimed by one DaemonSet alone, wherever in the cluster it is.
pub(super) fn conclude(sets: &[DaemonSet], prefix: &Prefix, our_namespaces: &[String]) -> Conclusion {
    let claimants: Vec<_> = sets.iter().filter_map(|set| Claimant::new(set, prefix)).collect();
    let pairs = claimants.iter().enumerate().flat_map(|(index, first)| {
        claimants[index + 1..].iter().filter_map(move |second| clash(first, second))
    });
    let clashes: Vec<_> = pairs.collect();
    if clashes.is_empty() {
        let labels: BTreeSet<_> = claimants.iter().flat_map(|it| &it.claims).map(|it| &it.label).collect();
        return Conclusion::pass(format!("labels in use: {}, each of one DaemonSet", labels.len()));
    }
    let findings: Vec<_> = clashes.iter().map(ToString::to_string).collect();
    let left_over: BTreeSet<_> = clashes.iter().map(|clash| clash.left_over(our_namespaces)).collect();
    let commands: Vec<_> = left_over
        .iter()
        .map(|(namespace, name)| format!("kubectl delete daemonset --namespace {namespace} {name}"))
        .collect();
    Conclusion::fail(
        findings.join("; "),
        format!("delete the one that is left over, probably: {}", commands.join("; ")),
    )
}

impl<'a> Claimant<'a> {
    /// Nothing for a DaemonSet that has no interest in our labels, or waits for them.
    fn new(set: &'a DaemonSet, prefix: &Prefix) -> Option<Self> {
        let pod = set.spec.as_ref()?.template.spec.as_ref()?;
        let mut claims = Vec::new();
        for term in placement::terms(pod) {
            // What our labels say changes with each run, and tells nodes apart for no longer.
            let (ours, others): (Vec<_>, Vec<_>) = term.iter().partition(|it| is_written(&it.key, prefix));
            let nodes: Vec<_> = others.into_iter().cloned().chain(placement::of_selector(pod)).collect();
            for NodeSelectorRequirement { key, operator, values } in ours {
                let demand = match operator.as_str() {
                    "DoesNotExist" => Demand::Any,
                    "NotIn" => Demand::Values(values.iter().flatten().cloned().collect()),
                    _ => continue,
                };
                if !prefix.is_failed(key) {
                    claims.push(Claim { label: key.clone(), demand, nodes: nodes.clone() });
                }
            }
        }
        (!claims.is_empty()).then(|| Self {
            namespace: set.metadata.namespace.as_deref().unwrap_or_default(),
            name: set.metadata.name.as_deref().unwrap_or_default(),
            created: set.metadata.creation_timestamp.as_ref().map(|time| time.0),
            claims,
        })
    }
}

/// Whether a label is one that runs write.
fn is_written(key: &str, prefix: &Prefix) -> bool {
    key.starts_with(&prefix.key_start()) && *key != prefix.opt_out()
}

impl Claim {
    /// Whether both are about one label, on nodes that can be the same.
    fn meets(&self, other: &Self) -> bool {
        self.label == other.label && placement::can_all_hold(self.nodes.iter().chain(&other.nodes))
    }
}

/// Two DaemonSets with a label in common.
#[derive(Debug)]
struct Clash<'a> {
    first: &'a Claimant<'a>,
    second: &'a Claimant<'a>,
    claims: Vec<(&'a Claim, &'a Claim)>,
}

fn clash<'a>(first: &'a Claimant<'a>, second: &'a Claimant<'a>) -> Option<Clash<'a>> {
    let pairs = first.claims.iter().flat_map(|one| second.claims.iter().map(move |other| (one, other)));
    let claims: Vec<_> = pairs.filter(|(one, other)| one.meets(other)).collect();
    (!claims.is_empty()).then_some(Clash { first, second, claims })
}

impl Clash<'_> {
    /// The one outside of our namespaces. Of two inside or two outside it is the older one, which the newer
    /// one replaces.
    fn left_over(&self, our_namespaces: &[String]) -> (&str, &str) {
        let is_ours =
            |claimant: &Claimant| our_namespaces.iter().any(|namespace| *namespace == claimant.namespace);
        let one = match (is_ours(self.first), is_ours(self.second)) {
            (true, false) => self.second,
            (false, true) => self.first,
            _ if self.second.created < self.first.created => self.second,
            _ => self.first,
        };
        (one.namespace, one.name)
    }

    /// Whether both want values that exclude each other: then each sees the other's value as unfinished work.
    fn is_endless(&self) -> bool {
        self.claims.iter().any(|(first, second)| match (&first.demand, &second.demand) {
            (Demand::Values(first), Demand::Values(second)) => first.is_disjoint(second),
            _ => false,
        })
    }
}

impl fmt::Display for Clash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, second, claims } = self;
        let demands = claims.first().map(|(first, second)| (&first.demand, &second.demand)).unzip();
        for (conjunction, claimant, demand) in [("", first, demands.0), (" and ", second, demands.1)] {
            let Claimant { namespace, name, .. } = claimant;
            write!(f, "{conjunction}`{namespace}/{name}`")?;
            if let Some(Demand::Values(values)) = demand {
                let values = values.iter().map(String::as_str).collect::<Vec<_>>();
                write!(f, " (generation `{}`)", values.join("`, `"))?;
            }
        }
        f.write_str(if self.is_endless() {
            " re-create each other's pods for ever over "
        } else {
            " both run on every new node for "
        })?;
        let labels: BTreeSet<_> = claims.iter().map(|(claim, _)| format!("`{}`", claim.label)).collect();
        f.write_str(&labels.into_iter().collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::check::Verdict;
    use super::*;

    fn set(namespace: &str, name: &str, selector: &Value, terms: &Value) -> DaemonSet {
        let affinity = json!({ "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms }
        } });
        let template =
            json!({ "spec": { "nodeSelector": selector, "affinity": affinity, "containers": [] } });
        serde_json::from_value(json!({
            "metadata": { "namespace": namespace, "name": name, "creationTimestamp": "2026-01-02T03:04:05Z" },
            "spec": { "selector": {}, "template": template },
        }))
        .unwrap()
    }

    fn term(name: &str, generation: Option<&str>) -> Value {
        let key = format!("k8s.haim.dev/{name}");
        let done = match generation {
            Some(value) => json!({ "key": key, "operator": "NotIn", "values": [value] }),
            None => json!({ "key": key, "operator": "DoesNotExist" }),
        };
        let given_up = json!({
            "key": format!("{key}.failed"), "operator": "NotIn", "values": [generation.unwrap_or("saved")],
        });
        json!({ "matchExpressions": [done, given_up, { "key": "k8s.haim.dev/opt-out", "operator": "DoesNotExist" }] })
    }

    fn ours(name: &str, terms: &Value) -> DaemonSet {
        set("node-annotator", name, &json!({ "kubernetes.io/os": "linux" }), terms)
    }

    /// As the seed of this project has it in its manifests.
    fn seed() -> DaemonSet {
        let key = "k8s.haim.dev/digital-ocean-anchor-ip";
        let terms = json!([{ "matchExpressions": [{ "key": key, "operator": "DoesNotExist" }] }]);
        set("default", "anchor-ip-annotator", &Value::Null, &terms)
    }

    fn concluded(sets: &[DaemonSet]) -> Conclusion {
        conclude(sets, &Prefix::default(), &["node-annotator".to_owned()])
    }

    #[test]
    fn sets_with_labels_of_their_own_pass() {
        let waiting =
            json!([{ "matchExpressions": [{ "key": "k8s.haim.dev/kernel", "operator": "Exists" }] }]);
        let sets = [
            ours("a", &json!([term("kernel", None)])),
            ours("b", &json!([term("cpu-model", Some("2")), term("numa", Some("2"))])),
            set("default", "waits-for-facts", &Value::Null, &waiting),
            DaemonSet::default(),
        ];
        let passed = concluded(&sets);
        assert_eq!(
            (passed.verdict(), passed.finding()),
            (Verdict::Pass, "labels in use: 3, each of one DaemonSet")
        );
        assert_eq!(concluded(&[]).verdict(), Verdict::Pass);
    }

    #[test]
    fn two_generations_fight_for_ever() {
        let old = set("facts", "kernel", &Value::Null, &json!([term("kernel", Some("1"))]));
        let failed =
            concluded(&[old, ours("kernel", &json!([term("cpu-model", None), term("kernel", Some("2"))]))]);
        assert_eq!(failed.verdict(), Verdict::Fail);
        assert_eq!(
            failed.finding(),
            "`facts/kernel` (generation `1`) and `node-annotator/kernel` (generation `2`) re-create each other's pods for ever \
             over `k8s.haim.dev/kernel`"
        );
        assert!(failed.hint().unwrap().ends_with(": kubectl delete daemonset --namespace facts kernel"));
    }

    #[test]
    fn the_seeds_own_set_counts() {
        let anchor =
            ours("node-annotator-digital-ocean-anchor-ip", &json!([term("digital-ocean-anchor-ip", None)]));
        let failed = concluded(&[anchor, seed()]);
        assert_eq!(failed.verdict(), Verdict::Fail);
        assert!(
            failed.finding().contains("`default/anchor-ip-annotator` both run on every new node"),
            "{failed:?}"
        );
        assert!(failed.hint().unwrap().ends_with("--namespace default anchor-ip-annotator"));
        let newer = ours("node-annotator", &json!([term("digital-ocean-anchor-ip", Some("2"))]));
        assert!(concluded(&[newer, seed()]).finding().contains("both run on every new node"));
    }

    #[test]
    fn the_older_of_two_of_ours_is_left_over() {
        let mut combined = ours("node-annotator", &json!([term("kernel", None), term("cpu-model", None)]));
        let alone = ours("node-annotator-kernel", &json!([term("kernel", None)]));
        let hint = |sets: &[DaemonSet]| concluded(sets).hint().unwrap().to_owned();
        combined.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            "2026-02-02T03:04:05Z".parse().unwrap(),
        ));
        assert!(hint(&[combined.clone(), alone.clone()]).ends_with(" node-annotator-kernel"));
        assert!(hint(&[alone, combined]).ends_with(" node-annotator-kernel"));
    }

    #[test]
    fn sets_for_different_nodes_do_not_meet() {
        let plain = ours("a", &json!([term("kernel", None)]));
        let verdict = |one: DaemonSet, other: DaemonSet| concluded(&[one, other]).verdict();
        let of = |arch: &str| {
            set("facts", arch, &json!({ "kubernetes.io/arch": arch }), &json!([term("kernel", None)]))
        };
        assert_eq!(verdict(of("amd64"), of("arm64")), Verdict::Pass);
        assert_eq!(verdict(of("amd64"), plain.clone()), Verdict::Fail);
        let with = |key: &str, operator: &str, values: &[&str]| {
            let mut term = term("kernel", None);
            let requirement = json!({ "key": key, "operator": operator, "values": values });
            term["matchExpressions"].as_array_mut().unwrap().push(requirement);
            ours("b", &json!([term]))
        };
        // An exclusion, and architectures that a node selector cannot say.
        let (out, inside) = (with("pool", "NotIn", &["gpu"]), with("pool", "In", &["gpu"]));
        assert_eq!(verdict(out.clone(), inside.clone()), Verdict::Pass);
        assert_eq!(verdict(out, plain.clone()), Verdict::Fail);
        assert_eq!(verdict(inside, plain.clone()), Verdict::Fail);
        let two = with("kubernetes.io/arch", "In", &["amd64", "arm64"]);
        assert_eq!(verdict(two.clone(), of("s390x")), Verdict::Pass);
        assert_eq!(verdict(two, of("arm64")), Verdict::Fail);
        // What is kept out by hand is the same label for all, and what is done passes.
        assert_eq!(verdict(with("k8s.haim.dev/numa", "Exists", &[]), plain), Verdict::Fail);
    }

    #[test]
    fn terms_are_held_against_each_other_label_by_label() {
        let at = |name: &str, pool: &str| {
            let mut term = term(name, None);
            let requirement = json!({ "key": "pool", "operator": "In", "values": [pool] });
            term["matchExpressions"].as_array_mut().unwrap().push(requirement);
            term
        };
        // Both are on all nodes, each with another collector.
        let one = ours("a", &json!([at("kernel", "x"), at("numa", "y")]));
        let apart = set("facts", "b", &Value::Null, &json!([at("kernel", "y"), at("numa", "x")]));
        assert_eq!(concluded(&[one.clone(), apart]).verdict(), Verdict::Pass);
        let met = set("facts", "b", &Value::Null, &json!([at("kernel", "y"), at("numa", "y")]));
        assert!(concluded(&[one, met]).finding().ends_with(" for `k8s.haim.dev/numa`"));
    }
}
