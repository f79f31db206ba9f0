//! The kernel's taint flags, decoded as its own documentation does.

/// Letter of each bit, as of Linux 6.18: `Documentation/admin-guide/tainted-kernels.rst`.
const LETTERS: &str = "PFSRMBUDAWCIOELKXTNJ";

/// Bits that distributions define for themselves, `include/linux/panic.h` of Red Hat's and SUSE's kernels.
///
/// They are words, since the letters that the distributions print mean something else in the kernel's list.
const OF_DISTRIBUTIONS: [(usize, &str); 5] = [
    (27, "support-removed"),
    (28, "hardware-unsupported"),
    (29, "tech-preview"),
    (30, "unprivileged-bpf"),
    (31, "no-support"),
];

/// The letters of the bits that are set, in order of the bits, joined by commas; `none` for 0. `None` if it
/// is no number.
///
/// A bit without a letter or a word is `bit-N`: a newer kernel than these tables, and worth seeing.
pub(super) fn parse(text: &str) -> Option<String> {
    let mask: u64 = text.trim().parse().ok()?;
    if mask == 0 {
        return Some("none".to_owned());
    }
    let set = (0..u64::BITS as usize).filter(|bit| mask >> bit & 1 == 1);
    Some(set.map(word).collect::<Vec<_>>().join(","))
}

fn word(bit: usize) -> String {
    let of_distribution =
        || OF_DISTRIBUTIONS.iter().find(|(own, _)| *own == bit).map(|(_, word)| (*word).to_owned());
    let letter = LETTERS.chars().nth(bit).map(|letter| letter.to_string());
    letter.or_else(of_distribution).unwrap_or_else(|| format!("bit-{bit}"))
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
            ("524288", Some("J")),
            ("1048576", Some("bit-20")),
            // Red Hat's and SUSE's own.
            ("536870912", Some("tech-preview")),
            ("1610612737", Some("P,tech-preview,unprivileged-bpf")),
            ("2147549184", Some("X,no-support")),
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
