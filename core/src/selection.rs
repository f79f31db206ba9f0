//! Which collectors run: the grammar of `--collectors`.

use std::collections::BTreeMap;

use crate::registry::UnknownCollector;
use crate::{Collector, Registry, Selected};

/// A non-empty set of collectors, in order of name.
#[derive(Debug, Clone)]
pub struct Selection(Vec<&'static Collector>);

impl Selection {
    /// Reads a comma-separated list of words: a collector's name, `default`, `all`, or `-name`, which takes
    /// away.
    ///
    /// The order of the words does not matter. A list that only takes away starts from `default`.
    pub fn parse(text: &str, registry: &Registry) -> Result<Self, SelectionError> {
        let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Err(SelectionError::Empty { valid: registry.names() });
        }
        let (removed, added): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('-'));
        let mut selected = BTreeMap::new();
        for word in if added.is_empty() { vec!["default"] } else { added } {
            match word {
                "all" => selected.extend(registry.iter().map(|c| (c.name, c))),
                "default" => {
                    let enabled = registry.iter().filter(|c| c.selected == Selected::ByDefault);
                    selected.extend(enabled.map(|c| (c.name, c)));
                }
                name => {
                    let collector = registry.find(name)?;
                    selected.insert(collector.name, collector);
                }
            }
        }
        for word in removed {
            selected.remove(registry.find(&word[1..])?.name);
        }
        if selected.is_empty() {
            return Err(SelectionError::Nothing { text: text.to_owned() });
        }
        Ok(Self(selected.into_values().collect()))
    }

    /// The collectors in order of name.
    pub fn iter(&self) -> impl Iterator<Item = &'static Collector> {
        self.0.iter().copied()
    }

    /// Those of its collectors for which `is_wanted` says so; nothing if there is none.
    pub fn only(&self, is_wanted: impl Fn(&Collector) -> bool) -> Option<Self> {
        let wanted: Vec<_> = self.iter().filter(|collector| is_wanted(collector)).collect();
        (!wanted.is_empty()).then_some(Self(wanted))
    }

    /// A selection of collectors, at least one, that are in order of name.
    pub(crate) fn in_order(collectors: Vec<&'static Collector>) -> Self {
        Self(collectors)
    }

    /// A selection of one collector.
    pub fn of(collector: &'static Collector) -> Self {
        Self(vec![collector])
    }
}

/// Why a list of collectors was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// A word is neither a keyword nor the name of a collector.
    #[error("{0}; or `default`, `all`, `-NAME`")]
    Unknown(#[from] UnknownCollector),
    /// The list has no word.
    #[error("no collector is named\nvalid: {valid}; or `default`, `all`, `-NAME`")]
    Empty {
        /// All names.
        valid: String,
    },
    /// Nothing is left of what the list names.
    #[error("`{text}` selects nothing: what it names is taken away or not on by default")]
    Nothing {
        /// The list.
        text: String,
    },
}
