//! On which nodes a DaemonSet may have pods, as its node selector and its required node affinity say.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, PodSpec};

/// The requirements of each term of the required node affinity; one term is enough.
pub(crate) fn terms(pod: &PodSpec) -> impl Iterator<Item = &[NodeSelectorRequirement]> {
    let affinity = pod.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required =
        affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    let terms = required.into_iter().flat_map(|required| &required.node_selector_terms);
    terms.filter_map(|term| term.match_expressions.as_deref())
}

/// What a node selector wants, as an affinity would say it.
pub(crate) fn of_selector(pod: &PodSpec) -> impl Iterator<Item = NodeSelectorRequirement> {
    pod.node_selector.iter().flatten().map(|(key, value)| NodeSelectorRequirement {
        key: key.clone(),
        operator: "In".to_owned(),
        values: Some(vec![value.clone()]),
    })
}

/// What all requirements on one label leave of its values.
#[derive(Debug, Default)]
struct Values<'a> {
    must_exist: bool,
    must_not_exist: bool,
    /// One of each list.
    among: Vec<BTreeSet<&'a str>>,
    except: BTreeSet<&'a str>,
}

/// Whether one node can have labels that fulfil all of them. Numbers are not compared: `Gt` and `Lt` want the
/// label, and no more.
pub(crate) fn can_all_hold<'a>(requirements: impl IntoIterator<Item = &'a NodeSelectorRequirement>) -> bool {
    let mut labels: BTreeMap<&str, Values> = BTreeMap::new();
    for NodeSelectorRequirement { key, operator, values } in requirements {
        let label = labels.entry(key).or_default();
        let values = values.iter().flatten().map(String::as_str);
        match operator.as_str() {
            "In" => label.among.push(values.collect()),
            "NotIn" => label.except.extend(values),
            "DoesNotExist" => label.must_not_exist = true,
            _ => label.must_exist = true,
        }
    }
    labels.values().all(Values::can_be)
}

impl Values<'_> {
    fn can_be(&self) -> bool {
        let Some((first, others)) = self.among.split_first() else {
            return !(self.must_exist && self.must_not_exist);
        };
        let is_left =
            |value: &&str| !self.except.contains(value) && others.iter().all(|other| other.contains(value));
        !self.must_not_exist && first.iter().any(is_left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement((key, operator, values): &(&str, &str, &[&str])) -> NodeSelectorRequirement {
        NodeSelectorRequirement {
            key: (*key).to_owned(),
            operator: (*operator).to_owned(),
            values: (!values.is_empty()).then(|| values.iter().map(|value| (*value).to_owned()).collect()),
        }
    }

    #[test]
    fn what_no_node_can_have_at_once_is_told() {
        let (none, a, b, ab): (&[&str], &[&str], &[&str], &[&str]) = (&[], &["a"], &["b"], &["a", "b"]);
        for (first, second, can) in [
            (("x", "In", a), ("x", "In", b), false),
            (("x", "In", a), ("x", "In", ab), true),
            (("x", "In", a), ("y", "In", b), true),
            (("x", "In", a), ("x", "NotIn", a), false),
            (("x", "In", ab), ("x", "NotIn", a), true),
            (("x", "In", a), ("x", "DoesNotExist", none), false),
            (("x", "In", a), ("x", "Exists", none), true),
            (("x", "NotIn", a), ("x", "DoesNotExist", none), true),
            (("x", "NotIn", a), ("x", "NotIn", b), true),
            (("x", "Exists", none), ("x", "DoesNotExist", none), false),
            (("x", "Gt", &["1"]), ("x", "DoesNotExist", none), false),
            (("x", "Gt", &["1"]), ("x", "Lt", &["1"]), true),
        ] {
            let pair = [requirement(&first), requirement(&second)];
            assert_eq!(can_all_hold(&pair), can, "{pair:?}");
            assert_eq!(can_all_hold(pair.iter().rev()), can, "{pair:?}");
        }
        let three = [("x", "In", ab), ("x", "NotIn", a), ("x", "NotIn", b)].map(|it| requirement(&it));
        assert!(!can_all_hold(&three));
    }
}
