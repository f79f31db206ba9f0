//! The build string, `uname -v`: the only place where a kernel names its preemption model to everybody.

/// The model that the build string names, in the kernel's own word, lower case and with hyphens: `preempt`,
/// `preempt-dynamic`, `preempt-rt`. A kernel built with voluntary preemption names it no more than one built
/// without any: both are `none`.
pub(super) fn preemption(build: &str) -> String {
    let mut words = build.split_whitespace().skip_while(|word| !is_model(word));
    match words.next() {
        None => "none".to_owned(),
        // Before 5.4, the real-time patches wrote two words.
        Some("PREEMPT") if words.next() == Some("RT") => "preempt-rt".to_owned(),
        Some(word) => word.to_ascii_lowercase().replace('_', "-"),
    }
}

fn is_model(word: &str) -> bool {
    let Some(kind) = word.strip_prefix("PREEMPT") else { return false };
    kind.is_empty()
        || kind
            .strip_prefix(['_', '-'])
            .is_some_and(|kind| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_model_is_the_kernels_own_word() {
        for (build, model) in [
            ("#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)", "preempt-dynamic"),
            ("#1 SMP PREEMPT Mon Apr 29 14:10:58 UTC 2024", "preempt"),
            ("#1 SMP PREEMPT_RT Debian 6.1.76-1 (2024-02-01)", "preempt-rt"),
            ("#1 SMP PREEMPT RT Debian 4.19.289-2 (2023-08-08)", "preempt-rt"),
            ("#1 SMP PREEMPT-RT", "preempt-rt"),
            ("#1 PREEMPT RT", "preempt-rt"),
            ("#1 SMP PREEMPT Debian RT", "preempt"),
            ("#1 SMP PREEMPT_LAZY Debian 7.0", "preempt-lazy"),
            ("#58~20.04.1-Ubuntu SMP Mon Jan 22 17:15:01 UTC 2024", "none"),
            ("#1 SMP PREEMPTED_BY_A_HOST_NAME now", "none"),
            ("#1 SMP PREEMPT_ now", "none"),
            ("", "none"),
        ] {
            assert_eq!(preemption(build), model, "{build}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_a_word(build in "\\PC*|(#1 |SMP |PREEMPT|_[A-Z]*|RT| ){0,6}") {
            let model = preemption(&build);
            prop_assert!(model == "none" || model.starts_with("preempt"));
            prop_assert!(model.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        }
    }
}
