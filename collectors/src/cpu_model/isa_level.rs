//! The levels of the x86-64 instruction set, by the flags that the kernel prints.

use std::fmt;

/// The levels of the x86-64 psABI. A level contains those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum IsaLevel {
    V1,
    V2,
    V3,
    V4,
}

/// What each level adds, in the kernel's words: SSE3 is `pni`, LZCNT is `abm`. OSXSAVE is not printed, but
/// the kernel takes `xsave` back, and `avx` with it, when it does not support it.
const LEVELS: [(IsaLevel, &[&str]); 4] = [
    (IsaLevel::V1, &["lm", "cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse", "sse2"]),
    (IsaLevel::V2, &["cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"]),
    (IsaLevel::V3, &["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"]),
    (IsaLevel::V4, &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"]),
];

impl IsaLevel {
    /// The highest level that the flags of a CPU reach; `None` for a CPU that is not even 64-bit.
    pub(super) fn from_flags(flags: &str) -> Option<Self> {
        let flags: Vec<_> = flags.split_ascii_whitespace().collect();
        let reached = LEVELS.iter().take_while(|(_, needed)| needed.iter().all(|flag| flags.contains(flag)));
        reached.last().map(|(level, _)| *level)
    }
}

impl fmt::Display for IsaLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "x86-64-v1",
            Self::V2 => "x86-64-v2",
            Self::V3 => "x86-64-v3",
            Self::V4 => "x86-64-v4",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flags(levels: usize) -> Vec<&'static str> {
        LEVELS[..levels].iter().flat_map(|(_, flags)| flags.iter().copied()).collect()
    }

    #[test]
    fn each_level_needs_all_flags_up_to_it() {
        assert_eq!(IsaLevel::from_flags(""), None);
        for (index, (level, _)) in LEVELS.iter().enumerate() {
            let all = flags(index + 1);
            assert_eq!(IsaLevel::from_flags(&all.join(" ")), Some(*level));
            for missing in &all {
                let others: Vec<_> = all.iter().filter(|flag| flag != &missing).copied().collect();
                assert!(IsaLevel::from_flags(&others.join(" ")) < Some(*level), "{level} without {missing}");
            }
        }
    }

    proptest! {
        #[test]
        fn more_flags_never_lower_the_level(picked in proptest::sample::subsequence(flags(4), 0..30), more in 0usize..30) {
            let less: Vec<_> = picked.iter().skip(more).copied().collect();
            prop_assert!(IsaLevel::from_flags(&less.join(" ")) <= IsaLevel::from_flags(&picked.join(" ")));
        }
    }
}
