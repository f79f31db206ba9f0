//! Lists of CPUs as the kernel prints them: `0-3,8,10-11`.

use std::ops::RangeInclusive;

/// More than any kernel can be built for; a longer list is junk.
const MAX_CPUS: usize = 65_536;

/// Numbers of CPUs, as ranges: a list of thousands takes no more room than its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CpuList(Vec<RangeInclusive<u32>>);

impl CpuList {
    /// Reads a list; `None` if it is empty, malformed or absurdly long.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut ranges = Vec::new();
        let mut cpus = 0;
        for range in text.trim().split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            cpus += usize::try_from(last.checked_sub(first)?).ok()?.checked_add(1)?;
            if cpus > MAX_CPUS {
                return None;
            }
            ranges.push(first..=last);
        }
        Some(Self(ranges))
    }

    /// The numbers, in the order of the list.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().cloned().flatten()
    }

    /// How many numbers there are.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|range| range.clone().count()).sum()
    }

    /// The first number, by which two lists of a partition of all CPUs are told apart.
    pub(crate) fn first(&self) -> Option<u32> {
        self.iter().next()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_of_cpus_are_read() {
        let numbers = |text| CpuList::parse(text).map(|cpus| cpus.iter().collect::<Vec<_>>());
        assert_eq!(numbers("0-3,8,10-11\n"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(numbers("0"), Some(vec![0]));
        for text in ["", "\n", "a", "3-1", "0-", "-1", "0-4294967295", "0,,1", "99999999999", "0-65536"] {
            assert_eq!(numbers(text), None, "{text}");
        }
        let all = CpuList::parse("0-65535").unwrap();
        assert_eq!((all.len(), all.first()), (65_536, Some(0)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|[0-9,-]{0,30}") {
            prop_assert!(CpuList::parse(&text).is_none_or(|cpus| (1..=MAX_CPUS).contains(&cpus.len())));
        }
    }
}
