//! Lists as facts have them: words with commas between them, `none` for no word.

use std::collections::BTreeSet;

use node_annotator_core::fact::clean;

/// Longest word; what kernels and drivers name is shorter.
const MAX_BYTES: usize = 64;

/// The words, joined. What would end a word, and only junk has inside, becomes `_`.
pub(crate) fn list<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    let words = words.into_iter().map(|text| clean(text.as_ref(), MAX_BYTES).replace([' ', ','], "_"));
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(",") }
}

/// The words in order of the alphabet, each once, joined.
pub(crate) fn sorted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    list(words.into_iter().collect::<BTreeSet<_>>())
}

/// Whether a text is one word, such as the name of a driver or a controller.
pub(crate) fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use node_annotator_core::Kind;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_joined_by_commas() {
        assert_eq!(list(["C1", "C1E"]), "C1,C1E");
        assert_eq!(list(["", "\u{1b}"]), "none");
        assert_eq!(list(["a b,c", "\u{202e}d"]), "a_b_c,d");
        assert_eq!(sorted(["xfs", "ext4", "xfs"]), "ext4,xfs");
        assert_eq!(sorted([]), "none");
        assert!(is_plain("hyperv_clocksource_tsc_page") && is_plain("mct-frc"));
        assert!(["", "a b", "a,b", "\u{1b}[31m", "é"].iter().all(|word| !is_plain(word)));
    }

    proptest! {
        #[test]
        fn any_words_make_a_clean_list(words in proptest::collection::vec("\\PC*|[ ,a\u{7}]{0,9}", 0..4)) {
            let list = list(words);
            prop_assert!(Kind::List.admits(&list), "{}", list);
            prop_assert_eq!(clean(&list, 4096), list);
        }
    }
}
