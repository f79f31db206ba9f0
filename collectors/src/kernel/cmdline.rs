//! The kernel's command line, of which only an allow-list is ever published: it may carry tokens, keys and addresses.

/// Parameters that say how the kernel runs, and whose values hold no secret. Words for init never pass, nor does anything else.
const ALLOWED: [&str; 34] = [
    "amd_iommu",
    "amd_pstate",
    "apparmor",
    "cgroup_disable",
    "cgroup_enable",
    "cgroup_no_v1",
    "clocksource",
    "default_hugepagesz",
    "fips",
    "hugepages",
    "hugepagesz",
    "ignition.platform.id",
    "intel_idle.max_cstate",
    "intel_iommu",
    "intel_pstate",
    "iommu",
    "irqaffinity",
    "isolcpus",
    "kpti",
    "lockdown",
    "lsm",
    "mitigations",
    "nohz_full",
    "nosmt",
    "numa_balancing",
    "preempt",
    "processor.max_cstate",
    "rcu_nocbs",
    "security",
    "selinux",
    "systemd.unified_cgroup_hierarchy",
    "talos.platform",
    "transparent_hugepage",
    "tsc",
];

/// The allowed parameters in their order, separated by spaces; `None` if there is none.
pub(super) fn allowed(cmdline: &str) -> Option<String> {
    // What follows `--` is for init, and is not read as parameters.
    let parameters = words(cmdline).into_iter().take_while(|word| word != "--");
    let allowed: Vec<_> = parameters.filter(|word| is_allowed(word)).collect();
    (!allowed.is_empty()).then(|| allowed.join(" "))
}

/// The kernel does not tell `-` from `_` in names, so this does not either. A value is one word of harmless characters: what
/// had to be quoted is none of the values that the parameters take.
fn is_allowed(word: &str) -> bool {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b",.:_-/+=*^".contains(&byte);
    ALLOWED.contains(&name.replace('-', "_").as_str()) && value.bytes().all(harmless)
}

/// Splits as the kernel does: at white space outside of double quotes. The quotes are dropped.
fn words(cmdline: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in cmdline.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_allowed_parameters_pass() {
        let cmdline = "BOOT_IMAGE=/boot/vmlinuz root=UUID=1234 ro isolcpus=2-15 ds=nocloud;s=http://u:hunter2@host/ \
                       nohz-full=2-15 mitigations=off hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=512 nosmt\n";
        let published = "isolcpus=2-15 nohz-full=2-15 mitigations=off hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=512 nosmt";
        assert_eq!(allowed(cmdline).as_deref(), Some(published));
        assert_eq!(allowed("root=/dev/vda1 ro quiet\n"), None);
        assert_eq!(allowed(""), None);
    }

    #[test]
    fn quotes_hide_what_is_inside() {
        assert_eq!(allowed(r#"dyndbg="file x +p mitigations=off" fips=1"#).as_deref(), Some("fips=1"));
        assert_eq!(allowed(r#""token=x isolcpus=1" isolcpus="2-3""#).as_deref(), Some("isolcpus=2-3"));
        assert_eq!(allowed(r#"fips=1 token="never closed isolcpus=1"#).as_deref(), Some("fips=1"));
        assert_eq!(allowed(r#"isolcpus="1 2 3""#), None);
    }

    #[test]
    fn what_is_for_init_is_not_published() {
        assert_eq!(allowed("fips=1 -- mitigations=off").as_deref(), Some("fips=1"));
    }

    #[test]
    fn the_list_is_sorted_and_in_one_spelling() {
        assert!(ALLOWED.is_sorted());
        assert!(ALLOWED.iter().all(|name| !name.contains('-')));
    }

    proptest! {
        #[test]
        fn any_text_yields_allowed_names_alone(cmdline in "\\PC*|(isolcpus|=|\"| |secret|-- |fips=1|\t){0,12}") {
            let published = allowed(&cmdline).unwrap_or_default();
            for word in published.split_whitespace() {
                let name = word.split('=').next().unwrap().replace('-', "_");
                prop_assert!(ALLOWED.contains(&name.as_str()), "{}", word);
            }
            prop_assert_eq!(allowed(&published).unwrap_or_default(), published);
        }
    }
}
