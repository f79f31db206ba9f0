//! What a collector yields, and how that is held against what it declared.

use std::collections::BTreeMap;
use std::error::Error;

use crate::error::MAX_ERROR_BYTES;
use crate::error::chain;
use crate::fact::{MAX_VALUE_BYTES, clean};
use crate::{CollectError, Collector, Fact};

/// What a collector that did not fail has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collected {
    /// The facts, with the primary one among them.
    Facts(Facts),
    /// The facts do not exist on this node, and why. A success: it removes what an earlier run wrote.
    NotApplicable(String),
    /// What was found is none of the names that this version knows. As if not applicable, and the reason is
    /// written on the Node.
    Unknown(String),
}

impl Collected {
    /// This version does not know the name of what it found: `reason` says what that is.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown(reason.into())
    }

    /// The facts do not exist on this node, because of `reason`.
    pub fn not_applicable(reason: impl Into<String>) -> Self {
        Self::NotApplicable(reason.into())
    }
}

impl From<Facts> for Collected {
    fn from(facts: Facts) -> Self {
        Self::Facts(facts)
    }
}

/// The values that a collector yields: the primary one, which must not be empty, and any of the others it
/// declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    primary: String,
    others: BTreeMap<&'static str, String>,
    left_out: Vec<LeftOut>,
}

/// A fact that could not be read, while the primary one could. It is reported, and its annotation is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The name of the fact; `None` for the primary one.
    pub fact: Option<&'static str>,
    /// Why it is not there.
    pub reason: String,
}

impl Facts {
    /// Facts of which only the primary one is known yet.
    pub fn new(primary: impl Into<String>) -> Self {
        Self { primary: primary.into(), others: BTreeMap::new(), left_out: Vec::new() }
    }

    /// Adds a further fact. A fact is a constant, so that a misspelled one does not compile:
    ///
    /// ```
    /// # use node_annotator_core::{Fact, Facts, Stability};
    /// const CORES: Fact = Fact::named("cores", "physical cores", "128", Stability::Dynamic);
    /// let facts = Facts::new("AMD EPYC 7763").with(&CORES, 128);
    /// ```
    ///
    /// ```compile_fail,E0425
    /// # use node_annotator_core::{Fact, Facts, Stability};
    /// const CORES: Fact = Fact::named("cores", "physical cores", "128", Stability::Dynamic);
    /// let facts = Facts::new("AMD EPYC 7763").with(&CORSE, 128);
    /// ```
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "reads better at the call: `.with(&CORES, cores)`")]
    pub fn with(mut self, fact: &Fact, value: impl ToString) -> Self {
        match fact.name {
            Some(name) => drop(self.others.insert(name, value.to_string())),
            None => self.primary = value.to_string(),
        }
        self
    }

    /// Adds a further fact if there is one.
    #[must_use]
    pub fn with_some(self, fact: &Fact, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(fact, value),
            None => self,
        }
    }

    /// Adds a further fact if there is one; if it could not be read, says why it is left out.
    #[must_use]
    pub fn with_read<V: ToString, E: Error + 'static>(self, fact: &Fact, read: Result<Option<V>, E>) -> Self {
        match read {
            Ok(value) => self.with_some(fact, value),
            Err(error) => self.without(fact, chain(&error)),
        }
    }

    /// Leaves a fact out, and says why.
    #[must_use]
    pub fn without(mut self, fact: &Fact, reason: impl Into<String>) -> Self {
        self.left_out.push(LeftOut { fact: fact.name, reason: reason.into() });
        self
    }

    /// The value of the primary fact (`None`) or of a named one.
    pub fn get(&self, name: Option<&str>) -> Option<&str> {
        match name {
            None => Some(&self.primary),
            Some(name) => self.others.get(name).map(String::as_str),
        }
    }

    /// Name and value of every fact, the primary one first.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&'static str>, &str)> {
        let others = self.others.iter().map(|(name, value)| (Some(*name), value.as_str()));
        std::iter::once((None, self.primary.as_str())).chain(others)
    }

    /// The facts that could not be read.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The size of all values together.
    pub fn bytes(&self) -> usize {
        self.iter().map(|(_, value)| value.len()).sum()
    }

    /// Holds the facts against what the collector declared: values are cleaned and cut, empty ones left out,
    /// and so are those that it does not declare.
    ///
    /// An empty primary fact is a defect of the collector, and an error.
    pub fn conform(self, collector: &Collector) -> Result<Self, CollectError> {
        let bound = collector.fact(None).map_or(MAX_VALUE_BYTES, |fact| fact.max_bytes);
        let mut facts = Self { left_out: self.left_out, ..Self::new(clean(&self.primary, bound)) };
        if facts.primary.is_empty() {
            return Err(CollectError::new("the primary fact is empty").lasting());
        }
        for (name, value) in self.others {
            let Some(fact) = collector.fact(Some(name)) else {
                facts.left_out.push(LeftOut { fact: Some(name), reason: UNDECLARED.to_owned() });
                continue;
            };
            let value = clean(&value, fact.max_bytes);
            if !value.is_empty() {
                facts.others.insert(name, value);
            }
        }
        for LeftOut { reason, .. } in &mut facts.left_out {
            *reason = clean(reason, MAX_ERROR_BYTES);
        }
        Ok(facts)
    }
}

/// Why a fact is left out that the collector's list lacks: a defect of the collector, which its contract test
/// shows.
pub const UNDECLARED: &str = "the collector does not declare it";
