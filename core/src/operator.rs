//! What an operator adds to a collector: names of facts that only the operator knows, and where they are
//! read.

use crate::registry::{RegistryError, checked};
use crate::{Collector, Fact, HostPath, Need, Selection, Stability};

/// Facts that an operator names, for a collector that [takes](Collector::takes_named_facts) some.
///
/// They are declared like those of the code, since nothing else can be deleted without reading the Node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedFacts {
    /// Their names.
    pub names: Vec<String>,
    /// Names of an earlier set, which are deleted.
    pub retired: Vec<String>,
    /// The path of the host that holds them, in place of the collector's own.
    pub path: Option<String>,
}

impl Collector {
    /// The same collector with the facts that an operator names. It lives as long as the process.
    ///
    /// # Errors
    ///
    /// A name or the path is none that a collector can declare.
    pub fn with_named_facts(&self, named: &NamedFacts) -> Result<&'static Self, RegistryError> {
        let text = |text: &String| -> &'static str { text.clone().leak() };
        let of_operator = |name: &String| {
            Fact::named(text(name), "named by the operator", "rack-17", Stability::Dynamic).free_text()
        };
        let facts: Vec<_> = self.facts.iter().copied().chain(named.names.iter().map(of_operator)).collect();
        let retired: Vec<_> = self.retired.iter().copied().chain(named.retired.iter().map(text)).collect();
        let needs = named.path.as_ref().map(|path| vec![Need::HostPath(below_root(text(path)))]);
        checked(Box::leak(Box::new(Self {
            facts: facts.leak(),
            retired: retired.leak(),
            needs: needs.map_or(self.needs, |needs| needs.leak()),
            ..*self
        })))
    }

    /// The facts that an operator has named, of a collector that takes some.
    pub fn named_by_operator(&self) -> Option<NamedFacts> {
        let facts = self.facts.iter().filter_map(|fact| Some(fact.name?.to_owned()));
        let path = self.needs.iter().find_map(|need| match need {
            Need::HostPath(path) => Some(path.path().to_owned()),
            _ => None,
        });
        self.takes_named_facts.then(|| NamedFacts {
            names: facts.collect(),
            retired: self.retired.iter().map(|&name| name.to_owned()).collect(),
            path,
        })
    }
}

impl Selection {
    /// The same collectors, of which those that take facts of an operator have these; `None` if none does.
    ///
    /// # Errors
    ///
    /// A name or the path is none that a collector can declare.
    pub fn with_named_facts(&self, named: &NamedFacts) -> Result<Option<Self>, RegistryError> {
        if !self.iter().any(|collector| collector.takes_named_facts) {
            return Ok(None);
        }
        let with = |collector: &'static Collector| {
            if collector.takes_named_facts { collector.with_named_facts(named) } else { Ok(collector) }
        };
        let collectors = self.iter().map(with).collect::<Result<_, _>>()?;
        Ok(Some(Self::in_order(collectors)))
    }
}

/// A path that a node may not have, reached through the directory below the root that every node has.
fn below_root(path: &'static str) -> HostPath {
    let end = path.char_indices().skip(1).find(|(_, c)| *c == '/').map(|(at, _)| at);
    end.map_or(HostPath::directory(path), |end| HostPath::optional(&path[..end], path))
}
