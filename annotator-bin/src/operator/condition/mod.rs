//! `--where`: which nodes, by comparisons of their facts and labels.

mod grammar;
pub(crate) mod value;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use node_annotator_core::{Fact, Kind, Prefix, Registry};

use super::fleet::node::Node;
use super::fleet::values::is_told;

/// What must hold of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Each of these.
    All(Vec<Self>),
    /// One of these.
    Any(Vec<Self>),
    /// The opposite.
    Not(Box<Self>),
    /// It has the fact or label.
    Has(Key),
    /// Its value compares so with this one.
    Compare(Key, Operator, String),
    /// Its value is one of these.
    In(Key, Vec<String>),
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    /// `==`
    Equal,
    /// `!=`, which holds too where there is no value, as in a selector of labels.
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `contains`: a word of a list, a part of a text.
    Contains,
}

/// A fact or a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// A fact, by the name part of its key, such as `kernel.major`; with its kind, where this binary knows
    /// it. Otherwise it may be a label without a slash, such as `pool`, too.
    Fact(String, Option<Kind>),
    /// A label, by its whole key.
    Label(String),
}

impl Key {
    /// A key with a slash is that of a label, `kernel.major` that of a fact.
    ///
    /// # Errors
    /// A fact that its collector does not declare; a text that cannot be a key. A collector that this binary
    /// does not have is taken as it is: another binary may have run it.
    pub(crate) fn parse(text: &str, registry: &Registry) -> Result<Self, String> {
        if text.contains('/') {
            return Ok(Self::Label(text.to_owned()));
        }
        let (name, fact) = text.split_once('.').map_or((text, None), |(name, fact)| (name, Some(fact)));
        if name.is_empty() || fact == Some("") {
            return Err(format!("`{text}` is no fact: write COLLECTOR, COLLECTOR.FACT, or a whole label"));
        }
        let Ok(collector) = registry.find(name) else { return Ok(Self::Fact(text.to_owned(), None)) };
        let known = collector.fact(fact).map(|fact: &Fact| Some(fact.kind));
        // What stands beside the facts can be asked for too.
        let known = known.or_else(|| {
            fact.is_some_and(|fact| node_annotator_core::key::RESERVED_FACTS.contains(&fact)).then_some(None)
        });
        let known = known.or_else(|| collector.takes_named_facts.then_some(None));
        let known = known.ok_or_else(|| {
            let names = collector.facts.iter().filter_map(|fact| fact.name).collect::<Vec<_>>().join(", ");
            format!("`{name}` has no fact `{}`: it has {names}", fact.unwrap_or_default())
        })?;
        Ok(Self::Fact(text.to_owned(), known))
    }

    /// The value on a node.
    pub(crate) fn value<'a>(&self, node: &'a Node, prefix: &Prefix) -> Option<&'a str> {
        match self {
            // A label without a slash is told from a fact by who else has the name.
            Self::Fact(name, None) => node.annotation(&prefix.named(name)).or_else(|| node.label(name)),
            Self::Fact(name, Some(_)) => node.annotation(&prefix.named(name)),
            Self::Label(key) => node.label(key),
        }
    }

    /// Whether it is known what a node has: of a label it is, of a fact where there is a value or its
    /// collector is done. What no collector here has may be a label, of which it is known that it is not
    /// there.
    fn is_told(&self, node: &Node, prefix: &Prefix) -> bool {
        match self {
            Self::Label(_) | Self::Fact(_, None) => true,
            Self::Fact(name, Some(_)) => {
                let collector = name.split('.').next().unwrap_or_default();
                self.value(node, prefix).is_some() || is_told(node, collector, prefix)
            }
        }
    }

    /// How its values are to be read, where that is declared.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Fact(_, kind) => *kind,
            Self::Label(_) => None,
        }
    }

    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Fact(text, _) | Self::Label(text) => text,
        }
    }
}

impl Condition {
    /// Reads it, and holds what is compared against what the facts are declared to be.
    pub(crate) fn parse(text: &str, registry: &Registry) -> Result<Self, String> {
        grammar::parse(text, registry)
    }

    /// Whether it holds of a node.
    pub(crate) fn holds(&self, node: &Node, prefix: &Prefix) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(node, prefix)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(node, prefix)),
            Self::Not(condition) => !condition.holds(node, prefix),
            Self::Has(key) => key.value(node, prefix).is_some(),
            Self::In(key, values) => key.value(node, prefix).is_some_and(|found| {
                values.iter().any(|value| value::compare(key.kind(), found, value) == Some(Ordering::Equal))
            }),
            Self::Compare(key, operator, value) => match key.value(node, prefix) {
                None => *operator == Operator::Unequal,
                Some(found) => operator.holds(key.kind(), found, value),
            },
        }
    }

    /// The same, or nothing where it hangs on facts of collectors that are not done on the node.
    pub(crate) fn told(&self, node: &Node, prefix: &Prefix) -> Option<bool> {
        // Of several, one that decides is enough, whatever is unknown.
        let decided = |conditions: &[Self], by: bool| {
            let mut all = Some(!by);
            for condition in conditions {
                match condition.told(node, prefix) {
                    Some(value) if value == by => return Some(by),
                    Some(_) => {}
                    None => all = None,
                }
            }
            all
        };
        match self {
            Self::All(conditions) => decided(conditions, false),
            Self::Any(conditions) => decided(conditions, true),
            Self::Not(condition) => condition.told(node, prefix).map(|told| !told),
            Self::Has(key) | Self::In(key, _) | Self::Compare(key, ..) => {
                key.is_told(node, prefix).then(|| self.holds(node, prefix))
            }
        }
    }

    /// The facts and labels that it looks at, each once.
    pub(crate) fn keys(&self) -> Vec<&Key> {
        let mut keys = match self {
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().flat_map(Self::keys).collect(),
            Self::Not(condition) => condition.keys(),
            Self::Has(key) | Self::In(key, _) | Self::Compare(key, ..) => vec![key],
        };
        let mut seen = BTreeSet::new();
        keys.retain(|key| seen.insert(key.as_str()));
        keys
    }
}

impl Operator {
    fn holds(self, kind: Option<Kind>, found: &str, value: &str) -> bool {
        let ordering = value::compare(kind, found, value);
        match self {
            Self::Equal => ordering == Some(Ordering::Equal),
            Self::Unequal => ordering != Some(Ordering::Equal),
            Self::Less => ordering == Some(Ordering::Less),
            Self::LessOrEqual => ordering.is_some_and(Ordering::is_le),
            Self::Greater => ordering == Some(Ordering::Greater),
            Self::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
            Self::Contains => value::contains(kind, found, value),
        }
    }

    /// As it is written.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Contains => "contains",
        }
    }
}

#[cfg(test)]
mod tests {
    use node_annotator_collectors as _;
    use serde_json::json;

    use super::*;

    fn holds(condition: &str) -> bool {
        let node: Node = serde_json::from_value(json!({ "metadata": {
            "name": "n1",
            "labels": { "kubernetes.io/arch": "amd64", "pool": "a", "pool.example.com/size": "12" },
            "annotations": {
                "k8s.haim.dev/kernel": "6.8.0-45-generic",
                "k8s.haim.dev/kernel.major": "6",
                "k8s.haim.dev/kernel.btf": "true",
                "k8s.haim.dev/kernel.taints": "P,O,E",
                "k8s.haim.dev/site-rack": "R 7",
                "k8s.haim.dev/site-rack.units": "9",
            },
        } }))
        .unwrap();
        let registry = Registry::from_inventory().unwrap();
        Condition::parse(condition, &registry).unwrap().holds(&node, &Prefix::default())
    }

    #[test]
    fn facts_and_labels_compare_by_what_they_are() {
        for condition in [
            "kernel.major < 10",
            "kernel >= 6.8 and kernel < 6.10",
            "kernel==6.8.0-45-generic",
            "kernel.btf",
            "kernel.btf == true",
            "kernel.taints contains O",
            "kernel.taints == 'E,O,P'",
            "kubernetes.io/arch in (arm64, amd64)",
            "pool.example.com/size > 9",
            "pool == a",
            "not virt and virt != kvm",
            "(kernel.major = 5 or kernel.major = 6) && !(kernel.btf == false)",
            "site-rack contains 7 and site-rack.units < 10",
        ] {
            assert!(holds(condition), "{condition}");
            assert!(!holds(&format!("not ({condition})")), "{condition}");
        }
        for condition in
            ["virt == kvm", "kernel.taints contains P,O", "site-rack > 1", "site-none > 1", "virt in (kvm)"]
        {
            assert!(!holds(condition), "{condition}");
        }
    }

    #[test]
    fn what_hangs_on_a_collector_that_is_not_done_is_unknown() {
        let node: Node = serde_json::from_value(json!({ "metadata": {
            "name": "n1",
            "labels": { "k8s.haim.dev/virt": "saved" },
            "annotations": { "k8s.haim.dev/kernel.major": "6" },
        } }))
        .unwrap();
        let registry = Registry::from_inventory().unwrap();
        for (condition, told) in [
            // A fact that a failed collector has left counts.
            ("kernel.major >= 6", Some(true)),
            ("kernel.minor >= 6", None),
            ("kernel.minor != 6", None),
            ("not kernel.minor", None),
            ("kernel.minor in (1, 2)", None),
            // Done without a value: there is none.
            ("virt == kvm", Some(false)),
            ("not virt", Some(true)),
            ("kernel.minor or kernel.major", Some(true)),
            ("kernel.minor or virt", None),
            ("kernel.minor and virt", Some(false)),
            ("kernel.minor and kernel.major", None),
            ("site-rack == 7 or example.com/rack", Some(false)),
        ] {
            let condition = Condition::parse(condition, &registry).unwrap();
            assert_eq!(condition.told(&node, &Prefix::default()), told, "{condition:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        let registry = Registry::from_inventory().unwrap();
        for (condition, error) in [
            ("", "at column 1, before the end: a comparison is expected"),
            ("kernel.major <", "at column 15, before the end"),
            ("kernel.major < 6 kernel", "at column 18, before `kernel`"),
            ("(kernel", "at column 8, before the end"),
            ("kernel.major < six", "`six` is no number, as `kernel.major` is"),
            ("kernel.btf == yes", "`yes` is no flag, as `kernel.btf` is"),
            ("kernel.btf > true", "`kernel.btf` is a flag, which `>` does not compare"),
            ("kernel.taints < O", "`kernel.taints` is a list, which `<` does not compare"),
            ("cpu-model < x", "`cpu-model` is text, which `<` does not compare"),
            ("kernel.major contains 6", "`kernel.major` is a number, which `contains` does not compare"),
            ("kernel.mayor == 6", "`kernel` has no fact `mayor`: it has major, minor"),
            ("kernel == v6", "`v6` is no version"),
        ] {
            let told = Condition::parse(condition, &registry).unwrap_err();
            assert!(told.contains(error), "{condition}: {told}");
        }
    }
}
