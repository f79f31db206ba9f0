//! Lists of words for facts: which there are, and how often each.

use std::collections::{BTreeMap, BTreeSet};

use node_annotator_core::fact::clean;

/// The fact of a list that is empty.
const NONE: &str = "none";
/// What counts those for which there is no room.
const OTHERS: &str = "others";

/// Longest word in bytes.
const MAX_WORD_BYTES: usize = 64;

/// Different words, in order, with commas between them.
pub(crate) fn words<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    let words: BTreeSet<_> = words.into_iter().map(|word| plain(word.as_ref())).collect();
    if words.is_empty() { NONE.to_owned() } else { words.into_iter().collect::<Vec<_>>().join(",") }
}

/// Different words, in order, each with its number, in at most `max_bytes`: `8086:1592=2,15b3:101d=1`. Those
/// behind the bound are counted together, as `others`.
pub(crate) fn counts<T: AsRef<str>>(words: impl IntoIterator<Item = T>, max_bytes: usize) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for word in words {
        *counts.entry(plain(word.as_ref())).or_default() += 1;
    }
    if counts.is_empty() {
        return NONE.to_owned();
    }
    let of_others = |count: usize| format!("{OTHERS}={count}");
    let mut left: usize = counts.values().sum();
    let room = max_bytes.saturating_sub(of_others(left).len() + 1);
    let mut list: Vec<String> = Vec::new();
    let mut bytes = 0;
    for (word, count) in counts {
        let entry = format!("{word}={count}");
        bytes += entry.len() + 1;
        if bytes > room {
            list.push(of_others(left));
            break;
        }
        left -= count;
        list.push(entry);
    }
    list.join(",")
}

/// A word that does not end where it should not: without commas and signs of equality.
fn plain(word: &str) -> String {
    let word = word.replace([',', '='], " ");
    let word = clean(&word, MAX_WORD_BYTES);
    if word.is_empty() { "unknown".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_listed_once_and_counted() {
        assert_eq!(words(["b", "a", "b"]), "a,b");
        assert_eq!(words::<&str>([]), "none");
        assert_eq!(counts(["b", "a", "b"], 100), "a=1,b=2");
        assert_eq!(counts::<&str>([], 100), "none");
        assert_eq!(counts(["SAMSUNG  MZ,1 ", "\0"], 100), "SAMSUNG MZ 1=1,unknown=1");
    }

    #[test]
    fn what_has_no_room_is_counted_together() {
        assert_eq!(counts(["aaaa", "bbbb", "cccc", "dddd", "dddd"], 25), "aaaa=1,bbbb=1,others=3");
    }

    proptest! {
        #[test]
        fn any_words_are_counted_within_the_bound(list in proptest::collection::vec("\\PC{0,80}|[ab]", 0..20)) {
            let text = counts(&list, 200);
            prop_assert!(text.len() <= 200 && clean(&text, 200) == text, "{text}");
            let sum: usize = text.split(',').filter_map(|entry| entry.rsplit_once('=')?.1.parse::<usize>().ok()).sum();
            prop_assert_eq!(sum, list.len());
            prop_assert!(words(&list).split(',').all(|word| !word.is_empty()));
        }
    }
}
