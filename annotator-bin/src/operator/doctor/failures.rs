//! Which collectors have failed on which nodes, by what the nodes themselves tell: a pod that tries again is
//! ready.

use std::cmp::Reverse;
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
    /// Each error: on how many nodes, and the first of them.
    errors: BTreeMap<&'a str, (usize, &'a str)>,
}

/// How many errors of a collector are told.
const TOLD: usize = 3;

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
            let errors = &mut failing.entry(collector.name).or_default().errors;
            errors.entry(error).or_insert((0, node.name())).0 += 1;
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
        let Self { trying, given_up, errors } = self;
        let mut by_count: Vec<_> = errors.iter().collect();
        by_count.sort_by_key(|(_, (count, _))| Reverse(*count));
        let told = by_count.iter().take(TOLD);
        let mut told: Vec<_> =
            told.map(|(error, (count, node))| format!("{error} (on {count}, such as `{node}`)")).collect();
        if by_count.len() > TOLD {
            told.push(format!("and {} other errors", by_count.len() - TOLD));
        }
        format!(
            "`{collector}` on {}, given up on {} of them: {}",
            trying + given_up.len(),
            given_up.len(),
            told.join(", ")
        )
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
            node("n4", &json!({}), &error("no luck")),
        ];
        let warned = concluded(&nodes, DoneMark::Saved);
        assert_eq!(warned.verdict(), Verdict::Warn);
        assert_eq!(
            warned.finding(),
            "collectors that have failed: `virt` on 4, given up on 2 of them: no luck (on 2, such as `n1`), no error is told \
             (on 1, such as `n3`), out of order (on 1, such as `n2`)"
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
