//! Values of facts, compared as what they are: numbers, versions, lists.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use node_annotator_core::Kind;

/// How one value stands to another; nothing where they cannot be compared.
///
/// Where no kind is declared, two numbers compare as numbers, what begins with digits as versions, and
/// anything else is equal or not.
pub(crate) fn compare(kind: Option<Kind>, one: &str, other: &str) -> Option<Ordering> {
    match kind {
        Some(Kind::Number) => number(one)?.partial_cmp(&number(other)?),
        Some(Kind::Bytes) => Some(bytes(one)?.cmp(&bytes(other)?)),
        Some(Kind::Version) => Some(versions(one, other)),
        Some(Kind::List) => (words(one) == words(other)).then_some(Ordering::Equal),
        Some(_) => (one == other).then_some(Ordering::Equal),
        None => match (number(one), number(other)) {
            (Some(one), Some(other)) => one.partial_cmp(&other),
            _ if begin_with_digits(one, other) => Some(versions(one, other)),
            _ => (one == other).then_some(Ordering::Equal),
        },
    }
}

/// Whether a list has a word, or a text this part.
pub(crate) fn contains(kind: Option<Kind>, value: &str, part: &str) -> bool {
    match kind {
        Some(Kind::List) => words(value).contains(part),
        _ => value.contains(part),
    }
}

/// The words of a list that another one lacks, and how many are in both.
pub(crate) fn beyond<'a>(list: &'a str, other: &str) -> (Vec<&'a str>, usize) {
    let listed = |list: &'a str| list.split(',').filter(|word| *word != "none");
    let others = words(other);
    let beyond: Vec<_> = listed(list).filter(|word| !others.contains(word)).collect();
    let common = listed(list).count() - beyond.len();
    (beyond, common)
}

/// An order in which any two values stand, for sorting.
pub(crate) fn order(kind: Option<Kind>, one: &str, other: &str) -> Ordering {
    compare(kind, one, other).unwrap_or_else(|| versions(one, other)).then_with(|| one.cmp(other))
}

/// Whether a text is such a value as may be compared with one of this kind.
pub(crate) fn is_of(kind: Kind, text: &str) -> bool {
    match kind {
        Kind::Bytes => bytes(text).is_some(),
        kind => kind.admits(text),
    }
}

fn begin_with_digits(one: &str, other: &str) -> bool {
    [one, other].iter().all(|text| text.starts_with(|c: char| c.is_ascii_digit()))
}

fn number(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        // Hexadecimal facts are revisions and models, far below what a float tells apart.
        Some(digits) => u32::from_str_radix(digits, 16).ok().map(f64::from),
        None => text.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

/// Bytes, with the units that Kubernetes has for them.
fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
    ];
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (digits, factor) = unit.unwrap_or((text, 1));
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

fn words(list: &str) -> BTreeSet<&str> {
    list.split(',').collect()
}

/// Part by part: numbers as numbers, words as words, a number after a word. What goes on is later than what
/// has ended: `6.8` comes before `6.8.0-45`.
fn versions(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (parts(one), parts(other));
    loop {
        return match (one.next(), other.next()) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(other)) if one == other => continue,
            (Some(one), Some(other)) => one.cmp(&other),
        };
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Word(&'a str),
    /// Without its zeros in front: the longer number is the larger one.
    Number(usize, &'a str),
}

fn parts(version: &str) -> impl Iterator<Item = Part<'_>> {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut rest = version;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let first = rest.chars().next()?;
        let end =
            rest.find(|c: char| !c.is_alphanumeric() || is_digit(c) != is_digit(first)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(if is_digit(first) {
            let digits = part.trim_start_matches('0');
            Part::Number(digits.len(), digits)
        } else {
            Part::Word(part)
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_compare_part_by_part() {
        let ordered = [
            "5.15.0-100-generic",
            "6.1",
            "6.8",
            "6.8.0-9",
            "6.8.0-45-generic",
            "6.8.0-1015-aws",
            "6.10.1",
            "10.0.0-rc1",
            "10.0.0-01",
            "123456789012345678901234567890",
        ];
        for (at, one) in ordered.iter().enumerate() {
            for (other_at, other) in ordered.iter().enumerate() {
                assert_eq!(versions(one, other), at.cmp(&other_at), "{one} {other}");
            }
        }
    }

    #[test]
    fn units_of_bytes_are_those_of_kubernetes() {
        for (one, other, ordering) in [
            ("4096", "4Ki", Some(Ordering::Equal)),
            ("1000000000", "1Gi", Some(Ordering::Less)),
            ("99999999999999", "1T", Some(Ordering::Greater)),
            ("1", "99999999999999999T", None),
            ("1", "4KB", None),
        ] {
            assert_eq!(compare(Some(Kind::Bytes), one, other), ordering, "{one} {other}");
        }
    }

    const KINDS: [Option<Kind>; 7] = [
        None,
        Some(Kind::Text),
        Some(Kind::Number),
        Some(Kind::Version),
        Some(Kind::Flag),
        Some(Kind::List),
        Some(Kind::Bytes),
    ];

    proptest! {
        #[test]
        fn turned_around_a_comparison_is_the_opposite(one in "[0-9a-zx.,-]{0,8}", other in "[0-9a-zx.,-]{0,8}") {
            for kind in KINDS {
                let turned = compare(kind, &other, &one).map(Ordering::reverse);
                prop_assert_eq!(compare(kind, &one, &other), turned);
                prop_assert_eq!(order(kind, &one, &other), order(kind, &other, &one).reverse());
            }
        }

        #[test]
        fn versions_stand_in_one_order(mut texts in proptest::collection::vec("[0-9]{0,3}[.-]?[a-z]{0,2}[0-9]{0,2}", 3)) {
            texts.sort_by(|one, other| versions(one, other));
            prop_assert!(versions(&texts[0], &texts[2]).is_le());
        }
    }
}
