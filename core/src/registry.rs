//! All collectors that are linked into this binary, checked and in order of name.

use std::collections::{BTreeMap, BTreeSet};

use crate::fact::{MAX_DECLARED_BYTES, clean};
use crate::key::{MAX_NAME_BYTES, MAX_REVISION, RESERVED_COLLECTORS, RESERVED_FACTS, is_dns_label};
use crate::{Collector, Fact, Need, Topic};

/// What [`register!`](crate::register) submits.
#[doc(hidden)]
pub struct Registration(pub &'static Collector);

inventory::collect!(Registration);

/// The collectors of this binary.
#[derive(Debug, Clone)]
pub struct Registry(Vec<&'static Collector>);

impl Registry {
    /// All collectors that were registered. The linker's order is not stable, so they are sorted.
    pub fn from_inventory() -> Result<Self, RegistryError> {
        Self::new(inventory::iter::<Registration>.into_iter().map(|registration| registration.0))
    }

    /// Checks and sorts the given collectors.
    pub fn new(collectors: impl IntoIterator<Item = &'static Collector>) -> Result<Self, RegistryError> {
        let mut collectors: Vec<_> = collectors.into_iter().collect();
        if collectors.is_empty() {
            return Err(RegistryError::Empty);
        }
        collectors.sort_by_key(|collector| collector.name);
        for pair in collectors.windows(2) {
            if pair[0].name == pair[1].name {
                return Err(RegistryError::Duplicate(pair[0].name));
            }
        }
        collectors.iter().try_for_each(|collector| checked(collector).map(drop))?;
        Ok(Self(collectors))
    }

    /// The collectors in order of name.
    pub fn iter(&self) -> impl Iterator<Item = &'static Collector> {
        self.0.iter().copied()
    }

    /// The collectors by topic, in order of name within each.
    pub fn by_topic(&self) -> BTreeMap<Topic, Vec<&'static Collector>> {
        let mut topics = BTreeMap::<_, Vec<_>>::new();
        for collector in self.iter() {
            topics.entry(collector.topic).or_default().push(collector);
        }
        topics
    }

    /// The collector of that name.
    pub fn find(&self, name: &str) -> Result<&'static Collector, UnknownCollector> {
        self.iter().find(|collector| collector.name == name).ok_or_else(|| UnknownCollector {
            name: name.to_owned(),
            nearest: self.nearest(name),
            valid: self.names(),
        })
    }

    /// All names, with commas between them.
    pub fn names(&self) -> String {
        self.iter().map(|collector| collector.name).collect::<Vec<_>>().join(", ")
    }

    /// The name that was probably meant, if one is near enough.
    fn nearest(&self, name: &str) -> Option<&'static str> {
        const NEAR: f64 = 0.7;
        self.iter()
            .map(|collector| (strsim::jaro_winkler(name, collector.name), collector.name))
            .filter(|(likeness, _)| *likeness >= NEAR)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, name)| name)
    }
}

/// A name that no linked collector has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no collector `{name}` in this binary{}\nvalid: {valid}", did_you_mean(*nearest))]
pub struct UnknownCollector {
    /// The name.
    pub name: String,
    /// A name that it resembles.
    pub nearest: Option<&'static str>,
    /// All names.
    pub valid: String,
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Why there is no usable registry: defects of the build, not of its use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No collector is linked.
    #[error(
        "no collector is linked into this binary\nhint: name each crate of collectors once, `use my_collectors as _;`"
    )]
    Empty,
    /// Two collectors have one name.
    #[error("two collectors are named `{0}`")]
    Duplicate(&'static str),
    /// A declaration contradicts the rules.
    #[error("collector `{collector}`: {defect}")]
    Declaration {
        /// The collector.
        collector: &'static str,
        /// What is wrong with it.
        defect: String,
    },
}

/// A collector whose declaration keeps the rules.
pub(crate) fn checked(collector: &'static Collector) -> Result<&'static Collector, RegistryError> {
    match check(collector) {
        Ok(()) => Ok(collector),
        Err(defect) => Err(RegistryError::Declaration { collector: collector.name, defect }),
    }
}

fn check(collector: &Collector) -> Result<(), String> {
    let name = collector.name;
    if RESERVED_COLLECTORS.contains(&name) {
        return Err(format!("the name is reserved, as {} are", RESERVED_COLLECTORS.join(", ")));
    }
    if !is_dns_label(name) {
        return Err("the name is not in kebab case".to_owned());
    }
    if !is_dns_label(collector.topic.as_str()) {
        return Err(format!("the topic `{}` is not in kebab case", collector.topic));
    }
    // The keys that every collector has or may come to have.
    for reserved in RESERVED_FACTS {
        check_length(name, reserved)?;
    }
    let Some((primary, others)) = collector.facts.split_first() else {
        return Err("it declares no fact".to_owned());
    };
    if primary.name.is_some() || others.iter().any(|fact| fact.name.is_none()) {
        return Err("the first fact, and no other, must be the primary one".to_owned());
    }
    collector.facts.iter().try_for_each(check_fact)?;
    let mut seen = BTreeSet::new();
    for fact in collector.named_facts() {
        if RESERVED_FACTS.contains(&fact) {
            let reserved = RESERVED_FACTS.join(", ");
            return Err(format!("fact `{fact}`: the name is reserved, as {reserved} are"));
        }
        if !is_dns_label(fact) {
            return Err(format!("fact `{fact}`: the name is not in kebab case"));
        }
        if !seen.insert(fact) {
            return Err(format!("fact `{fact}` is declared or retired twice"));
        }
        check_length(name, fact)?;
    }
    if collector.timeout.is_zero() {
        return Err("the timeout is zero".to_owned());
    }
    if !(1..=MAX_REVISION).contains(&collector.revision) {
        return Err(format!("the first revision is 1, and the highest {MAX_REVISION}"));
    }
    for need in collector.needs {
        if let Need::HostPath(path) = need
            && let Some(defect) = path.defect()
        {
            return Err(defect);
        }
    }
    Ok(())
}

fn check_fact(fact: &Fact) -> Result<(), String> {
    let name = fact.name.unwrap_or("(primary)");
    if fact.max_bytes > MAX_DECLARED_BYTES {
        return Err(format!("fact `{name}`: more than {MAX_DECLARED_BYTES} bytes are never published"));
    }
    if fact.example.is_empty() || clean(fact.example, fact.max_bytes) != fact.example {
        return Err(format!("fact `{name}`: the example could not be published as it is"));
    }
    if !fact.kind.admits(fact.example) {
        return Err(format!("fact `{name}`: the example is no {}", fact.kind));
    }
    Ok(())
}

fn check_length(collector: &str, fact: &str) -> Result<(), String> {
    let length = collector.len() + 1 + fact.len();
    if length > MAX_NAME_BYTES {
        return Err(format!(
            "the key `{collector}.{fact}` has {length} characters, and {MAX_NAME_BYTES} are allowed"
        ));
    }
    Ok(())
}
