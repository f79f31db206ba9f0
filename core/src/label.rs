//! Facts that are labels too, so that schedulers can select on them: which, and what a label says.

use std::collections::BTreeMap;

use crate::fact::Kind;
use crate::key::{MAX_LABEL_VALUE_BYTES, NFD, fact_name, nfd_label};
use crate::{Cardinality, Collector, Fact, Facts, Outcome, Prefix, Report};

/// The facts that are published as labels, beside their annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelFacts {
    /// Facts by the names of their collectors.
    facts: BTreeMap<&'static str, Vec<Option<&'static str>>>,
    /// Whether there are those of Node Feature Discovery, too.
    nfd: bool,
}

/// Labels of Node Feature Discovery that the facts of a collector tell too. They are a fixed list: nothing
/// else could be deleted without reading the Node.
#[derive(Debug, Clone, Copy)]
pub struct NfdLabels {
    /// Their names, such as `kernel-version.major`.
    pub names: &'static [&'static str],
    /// What the one of that name says.
    pub value: fn(&str, &Facts) -> Option<String>,
}

impl NfdLabels {
    /// There are none.
    pub const NONE: Self = Self { names: &[], value: |_, _| None };
}

impl LabelFacts {
    /// Reads the names of facts as listings have them: `cpu-model.isa-level`, and `virt` for a primary
    /// fact. The word `nfd` is for all labels of Node Feature Discovery that the collectors know.
    ///
    /// # Errors
    ///
    /// A name is that of no fact of these collectors, or of one that no label can be made of.
    pub fn parse<'a>(
        names: impl IntoIterator<Item = &'a str>,
        collectors: &[&'static Collector],
    ) -> Result<Self, LabelError> {
        let mut labels = Self::default();
        for name in names.into_iter().map(str::trim).filter(|name| !name.is_empty()) {
            if name == NFD {
                if collectors.iter().all(|collector| collector.nfd.names.is_empty()) {
                    return Err(LabelError::NoNfd);
                }
                labels.nfd = true;
                continue;
            }
            let (collector, fact) = find(name, collectors)?;
            let refused = match fact.cardinality {
                Cardinality::Shared => None,
                Cardinality::Unique => Some("its value is another one on every node"),
                Cardinality::FreeText => Some("it is text for people, of which no two values need be alike"),
            };
            if let Some(reason) = refused {
                return Err(LabelError::Unfit { name: name.to_owned(), reason });
            }
            let facts = labels.facts.entry(collector.name).or_default();
            if !facts.contains(&fact.name) {
                facts.push(fact.name);
                facts.sort_unstable();
            }
        }
        Ok(labels)
    }

    /// Whether no fact is one.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && !self.nfd
    }

    /// Those of either.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.nfd |= other.nfd;
        for (collector, facts) in &other.facts {
            let ours = self.facts.entry(collector).or_default();
            ours.extend(facts);
            ours.sort_unstable();
            ours.dedup();
        }
        self
    }

    /// Whether those of Node Feature Discovery are among them.
    pub fn has_nfd(&self) -> bool {
        self.nfd
    }

    /// The names of those of some collectors, as [`parse`](Self::parse) takes them.
    pub fn names(&self, collectors: &[&'static Collector]) -> Vec<String> {
        let facts = collectors.iter().flat_map(|collector| {
            self.facts(collector).map(|fact| fact_name(collector.name, fact.name)).collect::<Vec<_>>()
        });
        let nfd = self.nfd && collectors.iter().any(|collector| !collector.nfd.names.is_empty());
        facts.chain(nfd.then(|| NFD.to_owned())).collect()
    }

    /// The keys that those of a collector have as labels.
    pub fn keys(&self, collector: &Collector, prefix: &Prefix) -> impl Iterator<Item = String> {
        let facts = self.facts(collector).map(|fact| prefix.label(collector.name, fact.name));
        facts.chain(self.nfd(collector).map(nfd_label))
    }

    /// What the labels say after a report: of each collector that is done all of them, by their keys.
    pub fn of(&self, report: &Report, prefix: &Prefix) -> BTreeMap<String, Result<String, NoLabel>> {
        let mut labels = BTreeMap::new();
        for entry in report.entries().iter().filter(|entry| entry.outcome.is_done()) {
            let facts = match &entry.outcome {
                Outcome::Collected(facts) => Some(facts),
                _ => None,
            };
            for fact in self.facts(entry.collector) {
                let value = facts.and_then(|facts| facts.get(fact.name)).ok_or(NoLabel::Missing);
                let value = value.and_then(|value| label_value(fact, value));
                labels.insert(prefix.label(entry.collector.name, fact.name), value);
            }
            for name in self.nfd(entry.collector) {
                let value = facts.and_then(|facts| (entry.collector.nfd.value)(name, facts));
                let value = value.ok_or(NoLabel::Missing).and_then(|value| legal(&value));
                labels.insert(nfd_label(name), value);
            }
        }
        labels
    }

    /// Those that a collector declares, in order of name.
    pub fn facts(&self, collector: &Collector) -> impl Iterator<Item = &'static Fact> {
        self.facts.get(collector.name).into_iter().flatten().filter_map(|name| collector.fact(*name))
    }

    /// The names of the labels of Node Feature Discovery that a collector knows, if they are wanted.
    fn nfd(&self, collector: &Collector) -> impl Iterator<Item = &'static str> {
        let names = if self.nfd { collector.nfd.names } else { &[] };
        names.iter().copied()
    }
}

/// The fact of that name.
fn find(
    name: &str,
    collectors: &[&'static Collector],
) -> Result<(&'static Collector, &'static Fact), LabelError> {
    let (collector, fact) = name.split_once('.').map_or((name, None), |(name, fact)| (name, Some(fact)));
    let Some(found) = collectors.iter().find(|found| found.name == collector) else {
        let selected = collectors.iter().map(|found| found.name).collect::<Vec<_>>().join(", ");
        return Err(LabelError::NotSelected {
            name: name.to_owned(),
            collector: collector.to_owned(),
            selected,
        });
    };
    let Some(fact) = found.fact(fact) else {
        let is_shared = |fact: &&Fact| fact.cardinality == Cardinality::Shared;
        let valid = found.facts.iter().filter(is_shared).map(|fact| fact_name(found.name, fact.name));
        let valid = valid.collect::<Vec<_>>().join(", ");
        return Err(LabelError::UnknownFact { name: name.to_owned(), collector: found.name, valid });
    };
    Ok((found, fact))
}

/// What a label says of a fact. Each run of characters that a label cannot have becomes one `_`, and both
/// ends are trimmed to a letter or digit.
///
/// # Errors
///
/// A label cannot say it: two values that differ at their ends alone, or in their sign, would be one.
pub fn label_value(fact: &Fact, value: &str) -> Result<String, NoLabel> {
    if fact.kind == Kind::Number && value.starts_with('-') {
        return Err(NoLabel::Negative);
    }
    legal(value)
}

/// A text as a label can have it.
fn legal(value: &str) -> Result<String, NoLabel> {
    let mut label = String::with_capacity(value.len());
    let mut is_replaced = false;
    for c in value.chars() {
        let is_legal = c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if is_legal {
            label.push(c);
        } else if !is_replaced {
            label.push('_');
        }
        is_replaced = !is_legal;
    }
    let label = label.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    match label.len() {
        0 => Err(NoLabel::Empty),
        1..=MAX_LABEL_VALUE_BYTES => Ok(label.to_owned()),
        _ => Err(NoLabel::TooLong),
    }
}

/// Why a fact has no label on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoLabel {
    /// The fact is not there either.
    #[error("the node does not have the fact")]
    Missing,
    /// It is below zero.
    #[error("a label cannot be a negative number")]
    Negative,
    /// It has no letter and no digit.
    #[error("nothing in it can stand in a label")]
    Empty,
    /// Cut, it could be taken for another value.
    #[error("it is longer than the {MAX_LABEL_VALUE_BYTES} characters of a label")]
    TooLong,
}

/// Why a list of facts that are to be labels was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The collector of a fact does not run.
    #[error("`{name}` cannot be a label: the collector `{collector}` is not selected\nselected: {selected}")]
    NotSelected {
        /// The name.
        name: String,
        /// The part of it that names the collector.
        collector: String,
        /// The collectors that are selected.
        selected: String,
    },
    /// None of the collectors knows a label of Node Feature Discovery.
    #[error(
        "`nfd` stands for labels that none of the selected collectors knows\nhint: they are those of `cpu-features`, `cpu-model`, `kernel`, `os`, `pci` and `virt`"
    )]
    NoNfd,
    /// The collector has no such fact.
    #[error("`{name}` cannot be a label: the collector `{collector}` has no such fact\nvalid: {valid}")]
    UnknownFact {
        /// The name.
        name: String,
        /// The collector.
        collector: &'static str,
        /// The names of facts of it that can be labels.
        valid: String,
    },
    /// No label can be made of a fact.
    #[error(
        "`{name}` cannot be a label: {reason}\nhint: labels are for what groups of nodes have in common; the annotation has it all the same"
    )]
    Unfit {
        /// The name.
        name: String,
        /// What is in the way.
        reason: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Stability;

    const TEXT: Fact = Fact::primary("a text", "a", Stability::Immutable);
    const NUMBER: Fact = Fact::primary("a number", "1", Stability::Immutable).kind(Kind::Number);

    #[test]
    fn values_become_labels_by_one_rule() {
        for (value, label) in [
            ("kvm", "kvm"),
            ("x86-64-v3", "x86-64-v3"),
            ("6.8.0-45-generic", "6.8.0-45-generic"),
            ("Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel_R_Xeon_R_CPU_2.20GHz"),
            ("avx2,avx512f", "avx2_avx512f"),
            ("hdd=3,ssd=2", "hdd_3_ssd_2"),
            ("6.8.0+", "6.8.0"),
            ("a__b, c", "a__b_c"),
            ("ä x", "x"),
        ] {
            assert_eq!(label_value(&TEXT, value).as_deref(), Ok(label), "{value}");
        }
        assert_eq!(label_value(&TEXT, &"x".repeat(63)).map(|label| label.len()), Ok(63));
        assert_eq!(label_value(&TEXT, &"x".repeat(64)), Err(NoLabel::TooLong));
        assert_eq!(label_value(&TEXT, "(…)"), Err(NoLabel::Empty));
    }

    #[test]
    fn a_negative_number_is_not_told_as_a_positive_one() {
        assert_eq!(label_value(&NUMBER, "-1"), Err(NoLabel::Negative));
        assert_eq!(label_value(&NUMBER, "1").as_deref(), Ok("1"));
        assert_eq!(label_value(&TEXT, "-x").as_deref(), Ok("x"));
    }

    proptest! {
        #[test]
        fn a_label_is_legal_and_what_is_legal_stays(value in "\\PC{0,80}|[a-z0-9]([-a-z0-9._]{0,60}[a-z0-9])?") {
            let edge = |c: char| c.is_ascii_alphanumeric();
            let is_legal = |text: &str| {
                text.len() <= 63 && text.starts_with(edge) && text.ends_with(edge)
                    && text.chars().all(|c| edge(c) || "-_.".contains(c))
            };
            let label = label_value(&TEXT, &value);
            prop_assert!(label.as_ref().map_or(true, |label| is_legal(label)), "{label:?}");
            if is_legal(&value) {
                prop_assert_eq!(label, Ok(value));
            }
        }
    }
}
