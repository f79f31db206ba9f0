//! Sets of node names, folded for people: `worker-[001-120]`.

use std::collections::{BTreeMap, BTreeSet};

/// As many names may be written as one folded name.
const MAX_NAMES: u64 = 100_000;

/// A longer number is part of the name.
const MAX_DIGITS: usize = 18;

/// Names as short as can be, in order: those that differ in one number are put together.
pub(crate) fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut groups: BTreeMap<(&str, &str), BTreeSet<(usize, u64)>> = BTreeMap::new();
    let mut folded = Vec::new();
    for name in names {
        match number(name) {
            Some((head, digits, tail)) => {
                let value = digits.parse().expect("a number of at most 18 digits");
                // Numbers of one length are put together where one of them begins with a zero.
                groups.entry((head, tail)).or_default().insert((digits.len(), value));
            }
            None => folded.push(name.to_owned()),
        }
    }
    for ((head, tail), numbers) in groups {
        let is_padded = numbers.iter().any(|(length, value)| value.to_string().len() < *length);
        let mut by_length: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for (length, value) in numbers {
            by_length.entry(if is_padded { length } else { 0 }).or_default().push(value);
        }
        for (length, mut values) in by_length {
            values.sort_unstable();
            folded.push(match values[..] {
                [only] => format!("{head}{only:0length$}{tail}"),
                _ => format!("{head}[{}]{tail}", ranges(&values, length)),
            });
        }
    }
    folded.sort();
    folded
}

fn ranges(values: &[u64], length: usize) -> String {
    let runs = values.chunk_by(|one, next| next - one == 1);
    let run = |run: &[u64]| match run {
        [only] => format!("{only:0length$}"),
        [first, .., last] => format!("{first:0length$}-{last:0length$}"),
        [] => String::new(),
    };
    runs.map(run).collect::<Vec<_>>().join(",")
}

/// The last number in the first part of a name, which counts machines; a domain behind it does not.
fn number(name: &str) -> Option<(&str, &str, &str)> {
    let host = name.split('.').next().unwrap_or_default();
    let end = host.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = host[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    let digits = &name[start..end];
    (digits.len() <= MAX_DIGITS).then_some((&name[..start], digits, &name[end..]))
}

/// The names that a folded name stands for; a plain one stands for itself.
pub(crate) fn unfold(folded: &str) -> Result<Vec<String>, String> {
    let Some((head, rest)) = folded.split_once('[') else { return Ok(vec![folded.to_owned()]) };
    let wrong = || format!("`{folded}` is no set of names: write it as `worker-[001-120,125]`");
    let (numbers, end) = rest.split_once(']').ok_or_else(wrong)?;
    let mut names = Vec::new();
    for part in numbers.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let is_number = |text: &str| {
            !text.is_empty() && text.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_number(first) || !is_number(last) {
            return Err(wrong());
        }
        let length = if first.starts_with('0') { first.len() } else { 0 };
        let [first, last]: [u64; 2] = [first, last].map(|text| text.parse().unwrap_or_default());
        if last < first {
            return Err(wrong());
        }
        if last - first >= MAX_NAMES {
            return Err(format!("`{folded}` stands for more than {MAX_NAMES} names"));
        }
        names.extend((first..=last).map(|number| format!("{head}{number:0length$}{end}")));
    }
    Ok(names)
}

/// A list of names with commas, each plain or folded.
pub(crate) fn parse_list(text: &str) -> Result<BTreeSet<String>, String> {
    let (mut names, mut depth, mut start) = (BTreeSet::new(), 0_usize, 0);
    let mut words = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                words.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(&text[start..]);
    for word in words.into_iter().map(str::trim).filter(|word| !word.is_empty()) {
        names.extend(unfold(word)?);
    }
    if names.is_empty() { Err("no node is named".to_owned()) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_become_ranges() {
        for (names, folded) in [
            (&["a"][..], &["a"][..]),
            (&["worker-001", "worker-002", "worker-003", "worker-010"], &["worker-[001-003,010]"]),
            (&["w9", "w10", "w11"], &["w[9-11]"]),
            (&["w09", "w10", "w100"], &["w100", "w[09-10]"]),
            (
                &["ip-10-0-1-2.eu-west-1.internal", "ip-10-0-1-3.eu-west-1.internal"],
                &["ip-10-0-1-[2-3].eu-west-1.internal"],
            ),
            (&["gke-x7k2", "gke-abcd", "n1"], &["gke-abcd", "gke-x7k2", "n1"]),
            (&["n000000000000000000001"], &["n000000000000000000001"]),
        ] {
            assert_eq!(fold(names.iter().copied()), folded);
        }
    }

    #[test]
    fn what_is_no_set_of_names_is_refused() {
        for text in ["a[", "a[]", "a[1-]", "a[b]", "a[3-1]", "a[1-999999999]", "", ","] {
            assert!(parse_list(text).is_err(), "{text}");
        }
        assert_eq!(
            parse_list("a, b[08-10,12],c").unwrap().into_iter().collect::<Vec<_>>(),
            ["a", "b08", "b09", "b10", "b12", "c"]
        );
    }

    proptest! {
        #[test]
        fn what_is_folded_unfolds_to_the_same(names in proptest::collection::btree_set("[a-c]{1,2}-?[0-9]{0,3}(\\.[a-z0-9]{1,2})?", 1..30)) {
            let folded = fold(names.iter().map(String::as_str));
            prop_assert!(folded.len() <= names.len());
            prop_assert_eq!(parse_list(&folded.join(",")).unwrap(), names);
        }
    }
}
