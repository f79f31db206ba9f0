//! The kernel's taint flags, decoded as its own documentation does.

/// Letter of each bit, as of Linux 6.18.
const LETTERS: &str = "PFSRMBUDAWCIOELKXTNJ";

/// The letters of the bits that are set, in order of the bits, joined by commas; `none` for 0. `None` if it is no number.
///
/// A bit without a letter is `bit-N`: a newer kernel than this table, and worth seeing.
pub(super) fn parse(text: &str) -> Option<String> {
    let mask: u64 = text.trim().parse().ok()?;
    if mask == 0 {
        return Some("none".to_owned());
    }
    let letter = |bit: usize| {
        LETTERS.chars().nth(bit).map_or_else(|| format!("bit-{bit}"), |letter| letter.to_string())
    };
    let set = (0..u64::BITS as usize).filter(|bit| mask >> bit & 1 == 1);
    Some(set.map(letter).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bits_become_letters() {
        for (text, letters) in [
            ("0\n", Some("none")),
            ("1", Some("P")),
            ("512", Some("W")),
            ("12289", Some("P,O,E")),
            ("1048576", Some("bit-20")),
            ("9223372036854775808", Some("bit-63")),
            ("", None),
            ("-1", None),
            ("18446744073709551616", None),
        ] {
            assert_eq!(parse(text).as_deref(), letters, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_set_bit_is_one_word(mask in 1u64..) {
            let words = parse(&mask.to_string()).unwrap().split(',').count();
            prop_assert_eq!(words, mask.count_ones() as usize);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
