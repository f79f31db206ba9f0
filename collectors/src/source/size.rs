//! Sizes as Kubernetes writes them: `2Mi`.

/// A number of bytes with the largest binary suffix that leaves a whole number.
pub(crate) fn quantity(bytes: u64) -> String {
    const SUFFIXES: [(&str, u32); 4] = [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
    let fits = |(_, bits): &&(&str, u32)| bytes != 0 && bytes.trailing_zeros() >= *bits;
    match SUFFIXES.iter().find(fits) {
        Some((suffix, bits)) => format!("{}{suffix}", bytes >> bits),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_the_largest_suffix_that_leaves_a_whole_number() {
        for (bytes, text) in [
            (0, "0"),
            (1000, "1000"),
            (65_536, "64Ki"),
            (2 << 20, "2Mi"),
            (1 << 30, "1Gi"),
            (1280 << 10, "1280Ki"),
        ] {
            assert_eq!(quantity(bytes), text);
        }
    }
}
