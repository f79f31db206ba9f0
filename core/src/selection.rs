//! Which collectors run: the grammar of `--collectors`.

use std::collections::BTreeMap;

use crate::{Collector, Enabled, Registry};

/// A non-empty set of collectors, in order of name.
#[derive(Debug, Clone)]
pub struct Selection(Vec<&'static Collector>);

impl Selection {
    /// Reads a comma-separated list of words: a collector's name, `default`, `all`, or `-name`, which takes away.
    ///
    /// The order of the words does not matter. A list that only takes away starts from `default`.
    pub fn parse(text: &str, registry: &Registry) -> Result<Self, SelectionError> {
        let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Err(SelectionError::Empty { valid: names(registry) });
        }
        let (removed, added): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('-'));
        let mut selected = BTreeMap::new();
        for word in if added.is_empty() { vec!["default"] } else { added } {
            match word {
                "all" => selected.extend(registry.iter().map(|c| (c.name, c))),
                "default" => {
                    let enabled = registry.iter().filter(|c| c.enabled == Enabled::ByDefault);
                    selected.extend(enabled.map(|c| (c.name, c)));
                }
                name => {
                    let collector = find(name, registry)?;
                    selected.insert(collector.name, collector);
                }
            }
        }
        for word in removed {
            selected.remove(find(&word[1..], registry)?.name);
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

    /// A selection of one collector.
    pub fn of(collector: &'static Collector) -> Self {
        Self(vec![collector])
    }

    /// Splits the selection in two: the collectors for which the condition holds, and the others. Either may be missing.
    pub fn partition(&self, condition: impl Fn(&Collector) -> bool) -> (Option<Self>, Option<Self>) {
        let (yes, no): (Vec<_>, Vec<_>) = self.iter().partition(|collector| condition(collector));
        let some = |list: Vec<_>| (!list.is_empty()).then_some(Self(list));
        (some(yes), some(no))
    }
}

fn find(name: &str, registry: &Registry) -> Result<&'static Collector, SelectionError> {
    registry.get(name).ok_or_else(|| SelectionError::Unknown {
        name: name.to_owned(),
        nearest: registry.nearest(name),
        valid: names(registry),
    })
}

fn names(registry: &Registry) -> String {
    registry.iter().map(|collector| collector.name).collect::<Vec<_>>().join(", ")
}

/// Why a list of collectors was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// A word is neither a keyword nor the name of a collector.
    #[error("there is no collector `{name}`{}\nvalid: {valid}; or `default`, `all`, `-NAME`", did_you_mean(*nearest))]
    Unknown {
        /// The word.
        name: String,
        /// A name that it resembles.
        nearest: Option<&'static str>,
        /// All names.
        valid: String,
    },
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

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
