//! Facts as they are declared: name, meaning, kind, how long a value holds and how long it may be.

use std::fmt;

use serde::Serialize;

/// Longest value of a fact in bytes, unless the fact declares another bound.
pub const MAX_VALUE_BYTES: usize = 1024;

/// The highest bound that a fact may declare. The admission policy refuses longer values.
pub const MAX_DECLARED_BYTES: usize = 4096;

/// All values of one run together, in bytes; errors, short ones, come on top. Kubernetes allows 256 KiB of
/// annotations per object for everybody.
pub const MAX_RUN_BYTES: usize = 64 * 1024;

/// One named text value that a collector may yield.
///
/// A fact is a constant: the collector lists it, and yields its value by it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Fact {
    /// Kebab-case name; `None` for the primary fact, which has the collector's own key.
    pub name: Option<&'static str>,
    /// What the value is, with its shape and unit.
    pub summary: &'static str,
    /// A value as it may be found on a node.
    pub example: &'static str,
    /// How long the value holds.
    pub stability: Stability,
    /// How the text is to be read.
    pub kind: Kind,
    /// How many values a fleet has.
    pub cardinality: Cardinality,
    /// Longest value in bytes; what exceeds it is cut.
    pub max_bytes: usize,
    /// Where the Node object itself says the same.
    pub also_in: Option<NodeField>,
}

impl Fact {
    /// Declares the fact that has the collector's own key. It must be the first in the collector's list.
    pub const fn primary(summary: &'static str, example: &'static str, stability: Stability) -> Self {
        Self {
            name: None,
            summary,
            example,
            stability,
            kind: Kind::Text,
            cardinality: Cardinality::Shared,
            max_bytes: MAX_VALUE_BYTES,
            also_in: None,
        }
    }

    /// Declares a further fact.
    pub const fn named(
        name: &'static str,
        summary: &'static str,
        example: &'static str,
        stability: Stability,
    ) -> Self {
        Self { name: Some(name), ..Self::primary(summary, example, stability) }
    }

    /// Says how the text is to be read; without it, as text.
    #[must_use]
    pub const fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Says that each node has another value, as with addresses and numbers of machines.
    #[must_use]
    pub const fn unique(mut self) -> Self {
        self.cardinality = Cardinality::Unique;
        self
    }

    /// Says that the value is text that people read, of which no two need be alike.
    #[must_use]
    pub const fn free_text(mut self) -> Self {
        self.cardinality = Cardinality::FreeText;
        self
    }

    /// Names the field in which the Node object itself says the same.
    #[must_use]
    pub const fn also_in(mut self, field: NodeField) -> Self {
        self.also_in = Some(field);
        self
    }

    /// Sets the longest value in bytes.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

/// A field of a Node that Kubernetes keeps up to date by itself, so that a fact which says something else is
/// of another boot or another machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeField {
    /// `status.nodeInfo.kernelVersion`.
    KernelVersion,
    /// The last part of a `spec.providerID` that begins with this word and `://`: the number that the cloud
    /// gave the machine.
    ProviderId(&'static str),
}

/// How the text of a fact is to be read, by whoever compares, sorts or selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// Any text, such as `AuthenticAMD`.
    Text,
    /// A number, in decimal or, behind `0x`, in hexadecimal.
    Number,
    /// Numbers and words that order by their parts, such as `6.8.0-45-generic`.
    Version,
    /// `true` or `false`.
    Flag,
    /// Words with commas between them; `none` for no word.
    List,
    /// A number of bytes, in decimal.
    Bytes,
}

impl Kind {
    /// The word for it in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Version => "version",
            Self::Flag => "flag",
            Self::List => "list",
            Self::Bytes => "bytes",
        }
    }

    /// Whether a text is of this kind.
    pub fn admits(self, text: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Number => match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).is_ok(),
                None => text.parse::<f64>().is_ok_and(f64::is_finite),
            },
            Self::Version => text.starts_with(|c: char| c.is_ascii_digit()),
            Self::Flag => matches!(text, "true" | "false"),
            Self::List => text.split(',').all(|word| !word.is_empty()),
            Self::Bytes => text.parse::<u64>().is_ok(),
        }
    }
}

/// How many values a fact has in a fleet. Labels and comparisons of nodes are made of shared ones alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cardinality {
    /// A few, each on many nodes.
    Shared,
    /// One for each node.
    Unique,
    /// Text that people read; no two values need be alike.
    FreeText,
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

impl fmt::Display for Stability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of printable text of at most `max_bytes`: control characters and runs of white space become one
/// space, the ends are trimmed, and what is too long is cut at a character boundary and ends in `…`.
///
/// Firmware strings come from whoever made the machine, and an annotation is shown in terminals: nothing in
/// it may move a cursor or reverse the direction of the text around it.
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

    #[test]
    fn a_kind_admits_its_own_texts() {
        for (kind, right, wrong) in [
            (Kind::Number, &["42", "0xa0011d5", "2.5", "-1"][..], &["", "4 GB", "0x", "inf"][..]),
            (Kind::Version, &["6.8.0-45-generic", "2"], &["", "v1"]),
            (Kind::Flag, &["true", "false"], &["", "yes", "1"]),
            (Kind::List, &["none", "P,O,E"], &["", "a,,b", ","]),
            (Kind::Bytes, &["4096"], &["", "4 KiB", "-1"]),
            (Kind::Text, &["", "any"], &[]),
        ] {
            assert!(right.iter().all(|text| kind.admits(text)), "{kind:?}");
            assert!(!wrong.iter().any(|text| kind.admits(text)), "{kind:?}");
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
