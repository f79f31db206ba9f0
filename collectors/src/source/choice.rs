//! Files of sysfs that list all choices, with the one in force in brackets: `always [madvise] never`.

/// The word in brackets.
pub(crate) fn chosen(text: &str) -> Option<&str> {
    let word = text.split_ascii_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))?;
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_in_brackets_is_the_chosen_one() {
        for (text, word) in [
            ("always [madvise] never\n", Some("madvise")),
            ("[none] integrity confidentiality", Some("none")),
            ("always madvise", None),
            ("[]", None),
            ("[broken", None),
        ] {
            assert_eq!(chosen(text), word, "{text}");
        }
    }
}
