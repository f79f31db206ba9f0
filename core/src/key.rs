//! The one place that knows how a key is spelled: the prefix, the keys under it, and the value of the done
//! label.

use std::fmt;
use std::str::FromStr;

/// The prefix used unless the operator picks another; the one that users of do-floating-ip-k8s have on their
/// nodes already.
pub const DEFAULT_PREFIX: &str = "k8s.haim.dev";

/// Longest name part of a key, the part behind the slash.
pub const MAX_NAME_BYTES: usize = 63;

/// Fact names that a collector may not use: their keys have a meaning of their own, or are kept free for one.
pub const RESERVED_FACTS: [&str; 5] = [ERROR, FAILED, PRIMARY_LABEL, BOOT_ID, COLLECTED_AT];

/// Names that no collector may have: words of the grammars of options, and the label that opts a node out.
pub const RESERVED_COLLECTORS: [&str; 4] = ["all", "default", NFD, OPT_OUT];

const ERROR: &str = "error";
const FAILED: &str = "failed";

/// What the label of a primary fact has in place of a fact's name: the collector's own key is its done label.
pub(crate) const PRIMARY_LABEL: &str = "value";

const BOOT_ID: &str = "boot-id";
const COLLECTED_AT: &str = "collected-at";
const RELEASED: &str = "released";
const OPT_OUT: &str = "opt-out";
const SAVED: &str = "saved";

/// What stands between a value of the done label and the revision.
const REVISION: &str = ".r";

/// The highest revision of a collector: the affinity lists all that came before.
pub const MAX_REVISION: u32 = 999;

/// The word of `--labels` for the labels of Node Feature Discovery.
pub const NFD: &str = "nfd";

/// What the labels of Node Feature Discovery begin with, by default.
const NFD_LABELS: &str = "feature.node.kubernetes.io/";

/// What the annotations begin with by which Node Feature Discovery knows its own labels.
const NFD_ANNOTATIONS: &str = "nfd.node.kubernetes.io/";

/// Longest value of a label.
pub(crate) const MAX_LABEL_VALUE_BYTES: usize = 63;

/// Longest generation, which leaves room for the highest revision.
const MAX_GENERATION_BYTES: usize = MAX_LABEL_VALUE_BYTES - REVISION.len() - 3;

/// The namespace of all our keys: a DNS subdomain such as `k8s.haim.dev`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix(String);

impl Prefix {
    /// The annotation that holds a fact; `None` is the primary fact, whose key is the collector's own.
    pub fn fact(&self, collector: &str, fact: Option<&str>) -> String {
        self.key(&fact_name(collector, fact))
    }

    /// The label that marks a collector done; the affinity of its DaemonSet excludes nodes that carry it.
    pub fn done(&self, collector: &str) -> String {
        self.key(collector)
    }

    /// The label that says that a collector was given up; its value is the one that the done label would have
    /// had.
    pub fn failed(&self, collector: &str) -> String {
        self.key(&fact_name(collector, Some(FAILED)))
    }

    /// The label with which an operator releases a task that is held. Never written by us.
    pub fn released(&self, task: &str) -> String {
        self.key(&fact_name(task, Some(RELEASED)))
    }

    /// Whether a key under this prefix is a failed label.
    pub fn is_failed(&self, key: &str) -> bool {
        self.parts(key).is_some_and(|(_, end)| end == Some(FAILED))
    }

    /// The collector whose done label, or annotation with the primary fact, has this key.
    pub fn collector_of_done<'a>(&self, key: &'a str) -> Option<&'a str> {
        self.parts(key)
            .filter(|(name, end)| end.is_none() && *name != OPT_OUT)
            .map(|(collector, _)| collector)
    }

    /// The collector of a key under this prefix, and the fact, label or mark of it that the key is about.
    /// Collector names have no dot, so the first one ends it.
    pub fn parts<'a>(&self, key: &'a str) -> Option<(&'a str, Option<&'a str>)> {
        let name = key.strip_prefix(self.as_str())?.strip_prefix('/')?;
        Some(name.split_once('.').map_or((name, None), |(collector, fact)| (collector, Some(fact))))
    }

    /// The label that holds a fact, where it is one; `None` is the primary fact.
    pub fn label(&self, collector: &str, fact: Option<&str>) -> String {
        self.fact(collector, Some(fact.unwrap_or(PRIMARY_LABEL)))
    }

    /// The collector and the end of the name, of a key under this prefix that is the label of a fact.
    pub fn parts_of_label<'a>(&self, key: &'a str) -> Option<(&'a str, &'a str)> {
        let (collector, end) = self.parts(key)?;
        end.filter(|end| *end != FAILED).map(|end| (collector, end))
    }

    /// The annotation that holds the last failure of a collector.
    pub fn error(&self, collector: &str) -> String {
        self.fact(collector, Some(ERROR))
    }

    /// The annotation that says which boot the facts of a collector are of.
    pub fn boot_id(&self, collector: &str) -> String {
        self.fact(collector, Some(BOOT_ID))
    }

    /// The annotation that says on which day the facts of a collector were read.
    pub fn collected_at(&self, collector: &str) -> String {
        self.fact(collector, Some(COLLECTED_AT))
    }

    /// The label with which an operator keeps a node out. Never written by us.
    pub fn opt_out(&self) -> String {
        self.key(OPT_OUT)
    }

    /// What all our keys start with, slash included.
    pub fn key_start(&self) -> String {
        self.key("")
    }

    /// The key with this name part, such as `kernel.major`.
    pub fn named(&self, name: &str) -> String {
        self.key(name)
    }

    /// The bare prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self(DEFAULT_PREFIX.to_owned())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Prefix {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if !is_dns_subdomain(text) {
            return Err(KeyError::PrefixSyntax(text.to_owned()));
        }
        for owner in ["kubernetes.io", "k8s.io"] {
            if text == owner || text.ends_with(&format!(".{owner}")) {
                return Err(KeyError::PrefixReserved { prefix: text.to_owned(), owner });
            }
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name part of a fact's key. Collector names have no dot, so the first one ends the collector's name.
pub fn fact_name(collector: &str, fact: Option<&str>) -> String {
    match fact {
        None => collector.to_owned(),
        Some(fact) => format!("{collector}.{fact}"),
    }
}

/// The label of Node Feature Discovery with this name, such as `kernel-version.major`.
pub fn nfd_label(name: &str) -> String {
    format!("{NFD_LABELS}{name}")
}

/// The name of a label of Node Feature Discovery.
pub fn nfd_name(key: &str) -> Option<&str> {
    key.strip_prefix(NFD_LABELS)
}

/// Whether an annotation is one by which Node Feature Discovery knows its own labels.
pub fn is_nfd_annotation(key: &str) -> bool {
    key.starts_with(NFD_ANNOTATIONS)
}

/// What the done label says: that the facts are saved, or for which generation they were; and by which
/// revision of the collector, from the second one on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DoneMark {
    /// Any value of the label counts as done, but for those of older revisions.
    #[default]
    Saved,
    /// Only this value, of this revision, counts as done, so that another one runs the fleet again.
    Generation(Generation),
}

impl DoneMark {
    /// The value of the done label of a collector in that revision.
    pub fn label_value(&self, revision: u32) -> String {
        let mark = match self {
            Self::Saved => SAVED,
            Self::Generation(generation) => generation.as_str(),
        };
        if revision == 1 { mark.to_owned() } else { format!("{mark}{REVISION}{revision}") }
    }

    /// The values that earlier revisions have left, oldest first.
    pub fn older_values(&self, revision: u32) -> Vec<String> {
        (1..revision).map(|older| self.label_value(older)).collect()
    }

    /// Whether a done label of this value keeps that revision of a collector from running.
    pub fn is_done(&self, value: &str, revision: u32) -> bool {
        match self {
            Self::Saved => !self.older_values(revision).iter().any(|older| older == value),
            Self::Generation(_) => self.label_value(revision) == value,
        }
    }
}

/// A value of the done label that is picked by the operator: a valid label value with room for a revision,
/// not `saved`, and without what looks like a revision at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation(String);

impl Generation {
    /// The label value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Generation {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.len() > MAX_GENERATION_BYTES
            || !edge(text.chars().next())
            || !edge(text.chars().last())
            || !text.chars().all(inner)
        {
            return Err(KeyError::GenerationSyntax(text.to_owned()));
        }
        if text == SAVED {
            return Err(KeyError::GenerationReserved);
        }
        if text.rsplit_once(REVISION).is_some_and(|(_, end)| is_number(end)) {
            return Err(KeyError::GenerationRevision(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the text is a DNS subdomain as Kubernetes wants it for prefixes and for the names of nodes.
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// Whether the text is a lower-case DNS label: letters, digits and inner hyphens. Kebab-case names obey the
/// same rule.
pub fn is_dns_label(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= MAX_NAME_BYTES
        && text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && text.chars().all(|c| alphanumeric(c) || c == '-')
}

/// Why a prefix or a generation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The prefix is no DNS subdomain.
    #[error(
        "`{0}` is not a DNS subdomain: lower-case letters, digits and hyphens between dots, such as `{DEFAULT_PREFIX}`"
    )]
    PrefixSyntax(String),
    /// The prefix belongs to Kubernetes itself.
    #[error(
        "`{prefix}` is reserved: `{owner}` and everything under it belongs to Kubernetes; use a domain of your own"
    )]
    PrefixReserved {
        /// The prefix that was asked for.
        prefix: String,
        /// The domain that owns it.
        owner: &'static str,
    },
    /// The generation is no label value.
    #[error(
        "`{0}` is not a label value with room for a revision: at most {MAX_GENERATION_BYTES} letters, digits, `-`, `_` and `.`, a letter or digit at both ends"
    )]
    GenerationSyntax(String),
    /// The generation is the value that means "no generation".
    #[error("`{SAVED}` is what the label says without a generation; pick another value, such as `2`")]
    GenerationReserved,
    /// The generation ends as the value of a later revision does.
    #[error(
        "`{0}` ends as the label of a later revision of a collector does; leave out the `{REVISION}` and the number behind it"
    )]
    GenerationRevision(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spelled_as_documented() {
        let prefix = Prefix::default();
        assert_eq!(prefix.fact("kernel", None), "k8s.haim.dev/kernel");
        assert_eq!(prefix.fact("kernel", Some("build")), "k8s.haim.dev/kernel.build");
        assert_eq!(prefix.done("kernel"), "k8s.haim.dev/kernel");
        assert_eq!(prefix.failed("kernel"), "k8s.haim.dev/kernel.failed");
        assert!(prefix.is_failed(&prefix.failed("kernel")));
        assert_eq!(prefix.label("kernel", Some("major")), "k8s.haim.dev/kernel.major");
        assert_eq!(prefix.label("virt", None), "k8s.haim.dev/virt.value");
        assert_eq!(prefix.parts_of_label("k8s.haim.dev/virt.value"), Some(("virt", "value")));
        for other in [prefix.done("virt"), prefix.failed("virt"), prefix.opt_out()] {
            assert_eq!(prefix.parts_of_label(&other), None, "{other}");
        }
        for other in
            ["k8s.haim.dev/failed", "k8s.haim.dev/a.b.failed", "x/kernel.failed", "k8s.haim.dev/kernel"]
        {
            assert!(!prefix.is_failed(other), "{other}");
        }
        assert_eq!(prefix.parts("k8s.haim.dev/a.b.c"), Some(("a", Some("b.c"))));
        assert_eq!(prefix.parts("k8s.haim.dev.example/a"), None);
        assert_eq!(prefix.collector_of_done("k8s.haim.dev/kernel"), Some("kernel"));
        for other in [prefix.opt_out(), prefix.failed("kernel"), "x/kernel".to_owned()] {
            assert_eq!(prefix.collector_of_done(&other), None, "{other}");
        }
        assert_eq!(prefix.error("kernel"), "k8s.haim.dev/kernel.error");
        assert_eq!(prefix.boot_id("kernel"), "k8s.haim.dev/kernel.boot-id");
        assert_eq!(prefix.collected_at("kernel"), "k8s.haim.dev/kernel.collected-at");
        assert_eq!(prefix.opt_out(), "k8s.haim.dev/opt-out");
        assert_eq!(prefix.released("tune"), "k8s.haim.dev/tune.released");
        assert_eq!(prefix.key_start(), "k8s.haim.dev/");
    }

    #[test]
    fn prefixes_that_are_no_subdomain_are_refused() {
        let long = "a.".repeat(130) + "a";
        for text in ["", ".", "a..b", "A.b", "-a.b", "a-.b", "a/b", "a b", "ä.b", long.as_str()] {
            assert_eq!(text.parse::<Prefix>(), Err(KeyError::PrefixSyntax(text.to_owned())));
        }
    }

    #[test]
    fn prefixes_of_kubernetes_are_refused_and_lookalikes_are_not() {
        for text in ["kubernetes.io", "node-role.kubernetes.io", "k8s.io", "x.k8s.io"] {
            assert!(matches!(text.parse::<Prefix>(), Err(KeyError::PrefixReserved { .. })), "{text}");
        }
        for text in ["mykubernetes.io", "k8s.io.example.com", "k8s.haim.dev", "facts"] {
            assert!(text.parse::<Prefix>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_value_counts_unless_an_older_revision_or_another_generation_has_left_it() {
        for (value, done) in
            [("saved", false), ("saved.r2", false), ("saved.r3", true), ("saved.r4", true), ("2", true)]
        {
            assert_eq!(DoneMark::Saved.is_done(value, 3), done, "{value}");
        }
        assert!(DoneMark::Saved.is_done("saved", 1));
        let generation = DoneMark::Generation("2".parse().unwrap());
        for (value, done) in [("2", false), ("2.r3", true), ("2.r4", false), ("saved", false)] {
            assert_eq!(generation.is_done(value, 3), done, "{value}");
        }
    }

    #[test]
    fn generations_are_label_values_and_not_saved() {
        for text in ["2", "2026-11-22", "v1.2_a"] {
            assert_eq!(text.parse::<Generation>().unwrap().as_str(), text);
        }
        for text in ["", "-1", "1-", "a b", "a/b", &"a".repeat(MAX_GENERATION_BYTES + 1)] {
            assert_eq!(text.parse::<Generation>(), Err(KeyError::GenerationSyntax(text.to_owned())));
        }
        assert_eq!("saved".parse::<Generation>(), Err(KeyError::GenerationReserved));
    }

    #[test]
    fn generations_are_not_taken_for_revisions() {
        for text in ["2.r3", "saved.r2", "2.r", "1.r2.r0042"].map(str::to_owned) {
            let is_refused = text.parse::<Generation>() == Err(KeyError::GenerationRevision(text.clone()));
            assert_eq!(is_refused, !text.ends_with('r'), "{text}");
        }
        for text in ["r2", "1r2", "2.r3b", "2.r3.4", "2.R3"] {
            assert!(text.parse::<Generation>().is_ok(), "{text}");
        }
    }

    #[test]
    fn later_revisions_are_told_by_the_value_and_fit_into_it() {
        let generation = DoneMark::Generation("2".parse().unwrap());
        assert_eq!(DoneMark::Saved.label_value(1), "saved");
        assert_eq!(DoneMark::Saved.label_value(2), "saved.r2");
        assert_eq!(generation.label_value(1), "2");
        assert_eq!(generation.label_value(3), "2.r3");
        assert_eq!(DoneMark::Saved.older_values(1), [""; 0]);
        assert_eq!(DoneMark::Saved.older_values(4), ["saved", "saved.r2", "saved.r3"]);
        let longest = DoneMark::Generation("a".repeat(MAX_GENERATION_BYTES).parse().unwrap());
        assert_eq!(longest.label_value(MAX_REVISION).len(), MAX_LABEL_VALUE_BYTES);
    }
}
