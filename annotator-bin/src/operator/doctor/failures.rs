//! Which collectors have failed on which nodes, by what the nodes themselves tell: a pod that tries again is
//! ready.

use std::collections::BTreeMap;

use node_annotator_deploy::policy::Scope;

use super::check::Conclusion;
use crate::operator::fleet::demand::Rule;
use crate::operator::fleet::node::Node;
use crate::operator::fleet::state::{Standing, standing};

/// One collector, where it is not done and has failed.
#[derive(Debug, Default)]
struct Failing<'a> {
    /// On how many nodes it is tried again.
    trying: usize,
    /// Nodes on which it was given up.
    given_up: Vec<&'a str>,
    /// The first of them, and what it tells.
    first: Option<(&'a str, &'a str)>,
}

/// Holds what the nodes tell of the installed collectors against what is done.
pub(super) fn conclude(nodes: &[Node], scope: &Scope) -> Conclusion {
    let mut failing: BTreeMap<&str, Failing> = BTreeMap::new();
    let mut pending = 0;
    for node in nodes {
        for collector in &scope.collectors {
            let mark = Rule::generated(collector, &scope.prefix, &scope.mark).mark(node);
            let error = match standing(node, collector.name, mark, &scope.prefix) {
                Standing::GivenUp(error) => {
                    failing.entry(collector.name).or_default().given_up.push(node.name());
                    error
                }
                Standing::Failed(error) => {
                    failing.entry(collector.name).or_default().trying += 1;
                    error
                }
                Standing::GivenUpElsewhere => {
                    pending += 1;
                    continue;
                }
                Standing::Done | Standing::Pending => continue,
            };
            failing.entry(collector.name).or_default().first.get_or_insert((node.name(), error));
        }
    }
    let pending = match pending {
        0 => String::new(),
        count => format!("; pending where another generation gave up: {count}"),
    };
    let findings: Vec<_> = failing.iter().map(|(name, failing)| failing.tell(name)).collect();
    let Some((collector, first)) = failing.first_key_value() else {
        return Conclusion::pass(format!("no collector has failed{pending}"));
    };
    let again = match first.given_up.first() {
        Some(node) => format!(
            "what was given up runs again without its label: kubectl label node {node} {}-",
            scope.prefix.failed(collector)
        ),
        None => "what fails is tried again, and given up after a while".to_owned(),
    };
    Conclusion::warn(
        format!("collectors that have failed: {}{pending}", findings.join("; ")),
        format!("each node tells why in its annotations PREFIX/COLLECTOR.error; {again}"),
    )
}

impl Failing<'_> {
    fn tell(&self, collector: &str) -> String {
        let Self { trying, given_up, first } = self;
        let (node, error) = first.unwrap_or_default();
        let count = trying + given_up.len();
        format!("`{collector}` on {count}, given up on {} of them, such as `{node}`: {error}", given_up.len())
    }
}

#[cfg(test)]
mod tests {
    use node_annotator_collectors as _;
    use node_annotator_core::DoneMark;
    use serde_json::{Value, json};

    use super::super::Settings;
    use super::super::check::Verdict;
    use super::*;

    fn node(name: &str, labels: &Value, annotations: &Value) -> Node {
        let metadata = json!({ "name": name, "labels": labels, "annotations": annotations });
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    fn concluded(nodes: &[Node], mark: DoneMark) -> Conclusion {
        conclude(nodes, &Scope { mark, ..Settings::default().all_collectors(&[]) })
    }

    fn error(text: &str) -> Value {
        json!({ "k8s.haim.dev/virt.error": text })
    }

    #[test]
    fn what_is_done_or_has_not_run_has_not_failed() {
        let nodes = [
            node("new", &json!({}), &json!({})),
            node("done", &json!({ "k8s.haim.dev/virt": "saved" }), &error("of another run")),
            node("other", &json!({ "example.com/virt.failed": "saved" }), &json!({})),
        ];
        let passed = concluded(&nodes, DoneMark::Saved);
        assert_eq!((passed.verdict(), passed.finding()), (Verdict::Pass, "no collector has failed"));
    }

    #[test]
    fn failures_are_named_with_what_was_given_up() {
        let given_up = json!({ "k8s.haim.dev/virt.failed": "saved" });
        let nodes = [
            node("n1", &given_up, &error("no luck")),
            node("n2", &json!({}), &error("out of order")),
            node("n3", &given_up, &json!({})),
        ];
        let warned = concluded(&nodes, DoneMark::Saved);
        assert_eq!(warned.verdict(), Verdict::Warn);
        assert_eq!(
            warned.finding(),
            "collectors that have failed: `virt` on 3, given up on 2 of them, such as `n1`: no luck"
        );
        assert!(warned.hint().unwrap().ends_with("kubectl label node n1 k8s.haim.dev/virt.failed-"));
    }

    #[test]
    fn what_another_generation_gave_up_is_pending() {
        let labels = json!({ "k8s.haim.dev/virt.failed": "1", "k8s.haim.dev/virt": "0" });
        let mark = || DoneMark::Generation("2".parse().unwrap());
        let passed = concluded(&[node("n1", &labels, &error("no luck"))], mark());
        assert_eq!(passed.verdict(), Verdict::Pass);
        assert_eq!(passed.finding(), "no collector has failed; pending where another generation gave up: 1");
        let labels = json!({ "k8s.haim.dev/virt.failed": "2", "k8s.haim.dev/virt": "0" });
        assert_eq!(concluded(&[node("n1", &labels, &json!({}))], mark()).verdict(), Verdict::Warn);
    }
}
