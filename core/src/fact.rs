//! Facts: what a collector declares that it may yield, what it yields, and how values are cleaned and bounded.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{CollectError, Collector};

/// Longest value of a fact in bytes, unless the fact declares another bound.
pub const MAX_VALUE_BYTES: usize = 1024;

/// The highest bound that a fact may declare. The admission policy refuses longer values.
pub const MAX_DECLARED_BYTES: usize = 4096;

/// All values of one run together, in bytes; errors, short ones, come on top. Kubernetes allows 256 KiB of annotations per object for everybody.
pub const MAX_RUN_BYTES: usize = 64 * 1024;

/// One named text value that a collector may yield.
#[derive(Debug, Clone, Copy)]
pub struct Fact {
    /// Kebab-case name; `None` for the primary fact, which has the collector's own key.
    pub name: Option<&'static str>,
    /// What the value is, with its shape and unit.
    pub summary: &'static str,
    /// A value as it may be found on a node.
    pub example: &'static str,
    /// How long the value holds.
    pub stability: Stability,
    /// Longest value in bytes; what exceeds it is cut.
    pub max_bytes: usize,
}

impl Fact {
    /// Declares the fact that has the collector's own key. It must be the first in the collector's list.
    pub const fn primary(summary: &'static str, example: &'static str, stability: Stability) -> Self {
        Self { name: None, summary, example, stability, max_bytes: MAX_VALUE_BYTES }
    }

    /// Declares a further fact.
    pub const fn named(
        name: &'static str,
        summary: &'static str,
        example: &'static str,
        stability: Stability,
    ) -> Self {
        Self { name: Some(name), summary, example, stability, max_bytes: MAX_VALUE_BYTES }
    }
}

/// How long a fact holds once it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stability {
    /// For the life of the machine.
    Immutable,
    /// Until the next boot; a resize or an update may change it then.
    PerBoot,
    /// May change while the node runs: the annotation says what was true when the collector ran.
    Dynamic,
}

impl Stability {
    /// The word for it in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Immutable => "immutable",
            Self::PerBoot => "per-boot",
            Self::Dynamic => "dynamic",
        }
    }
}

/// What a collector that did not fail has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collected {
    /// The facts, with the primary one among them.
    Facts(Facts),
    /// The facts do not exist on this node, and why. A success: it removes what an earlier run wrote.
    NotApplicable(String),
}

impl Collected {
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

/// The values that a collector yields: the primary one, which must not be empty, and any of the others it declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    primary: String,
    others: BTreeMap<&'static str, String>,
}

impl Facts {
    /// Facts of which only the primary one is known yet.
    pub fn new(primary: impl Into<String>) -> Self {
        Self { primary: primary.into(), others: BTreeMap::new() }
    }

    /// Adds a further fact.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "reads better at the call: `.with(\"cores\", cores)`")]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.others.insert(name, value.to_string());
        self
    }

    /// Adds a further fact if there is one.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
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

    /// The size of all values together.
    pub fn bytes(&self) -> usize {
        self.iter().map(|(_, value)| value.len()).sum()
    }

    /// Holds the facts against what the collector declared: values are cleaned and cut, empty ones left out.
    ///
    /// An undeclared fact or an empty primary fact is a defect of the collector, and an error.
    pub fn conform(self, collector: &Collector) -> Result<Self, CollectError> {
        let declared = |name: Option<&str>| collector.facts.iter().find(|fact| fact.name == name);
        let bound = declared(None).map_or(MAX_VALUE_BYTES, |fact| fact.max_bytes);
        let primary = clean(&self.primary, bound);
        if primary.is_empty() {
            return Err(CollectError::new("the primary fact is empty"));
        }
        let mut others = BTreeMap::new();
        for (name, value) in self.others {
            let Some(fact) = declared(Some(name)) else {
                return Err(CollectError::new(format!(
                    "yields the fact `{name}`, which it does not declare"
                )));
            };
            let value = clean(&value, fact.max_bytes);
            if !value.is_empty() {
                others.insert(name, value);
            }
        }
        Ok(Self { primary, others })
    }
}

/// One line of printable text of at most `max_bytes`: control characters and runs of white space become one space, the ends
/// are trimmed, and what is too long is cut at a character boundary and ends in `…`.
///
/// Firmware strings come from whoever made the machine, and an annotation is shown in terminals: nothing in it may move a
/// cursor or reverse the direction of the text around it.
pub fn clean(text: &str, max_bytes: usize) -> String {
    const CUT: &str = "…";
    let mut line = String::with_capacity(text.len().min(max_bytes));
    for word in text.split(|c: char| c.is_whitespace() || is_invisible(c)).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > max_bytes {
            let mark = if CUT.len() <= max_bytes { CUT } else { "" };
            line.truncate(line.floor_char_boundary(max_bytes - mark.len()));
            line.truncate(line.trim_end().len());
            line.push_str(mark);
            break;
        }
    }
    line
}

/// Control characters, and the format characters that override direction or join invisibly.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_become_one_printable_line() {
        assert_eq!(clean("  Intel(R)   Xeon(R)\t@ 2.20GHz\n", 100), "Intel(R) Xeon(R) @ 2.20GHz");
        assert_eq!(clean("evil\u{1b}[31m\u{202e}txt\0", 100), "evil [31m txt");
        assert_eq!(clean("\u{7}\u{200b} ", 100), "");
        assert_eq!(clean("äöü", 5), "ä…");
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abc…");
        assert_eq!(clean("abcdefg", 2), "ab");
    }

    #[test]
    fn nothing_that_turns_or_hides_text_is_left() {
        for c in
            "\u{9b}\u{ad}\u{61c}\u{200b}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}".chars()
        {
            assert_eq!(clean(&format!("a{c}b"), 100), "a b", "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn cleaning_bounds_and_is_idempotent(text in "\\PC*|.*", max in 0usize..40) {
            let once = clean(&text, max);
            prop_assert!(once.len() <= max);
            prop_assert!(!once.chars().any(is_invisible));
            prop_assert_eq!(clean(&once, max), once);
        }
    }
}
