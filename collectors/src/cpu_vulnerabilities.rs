//! `cpu-vulnerabilities`: which hardware vulnerabilities the kernel leaves open.
//!
//! Reads each file of `/sys/devices/system/cpu/vulnerabilities`, and of the boot parameters those that switch
//! mitigations off. Not applicable to kernels that are built without the directory.

use std::collections::BTreeMap;

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::cmdline::{self, assignment};
use crate::source::list::list;

const VULNERABLE: Fact = Fact::primary(
    "vulnerabilities without a full mitigation, by their names in sysfs, joined by commas; `none` if all are mitigated or \
     do not affect the CPUs",
    "spec_rstack_overflow,tsa",
    Stability::PerBoot,
)
.kind(Kind::List);
const UNKNOWN: Fact = Fact::named(
    "unknown",
    "vulnerabilities of which the kernel cannot tell, mostly since it depends on the hypervisor; not there if it can tell \
     of all",
    "gather_data_sampling",
    Stability::PerBoot,
)
.kind(Kind::List);
const SMT: Fact = Fact::named(
    "smt",
    "vulnerabilities that are mitigated but between two threads of one core; `none` where the kernel says that there are \
     none; not there where it does not speak of threads",
    "mmio_stale_data",
    Stability::Dynamic,
)
.kind(Kind::List);
const OFF: Fact = Fact::named(
    "off",
    "boot parameters that switch mitigations off, by name, joined by commas; `none` if there is none",
    "mitigations",
    Stability::PerBoot,
)
.kind(Kind::List);

/// The collector.
pub static CPU_VULNERABILITIES: Collector = Collector::new(
    "cpu-vulnerabilities",
    Topic::Cpu,
    "Hardware vulnerabilities that are open, and mitigations that were switched off",
    &[VULNERABLE, UNKNOWN, SMT, OFF],
    Collect::Blocking(collect),
)
.reads(&[VULNERABILITIES, "/sys/devices/system/cpu/vulnerabilities/*", cmdline::PATH])
.not_applicable("where the kernel lists no vulnerabilities, as on riscv64");

register!(CPU_VULNERABILITIES);

const VULNERABILITIES: &str = "/sys/devices/system/cpu/vulnerabilities";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let Some(states) = read(&cx.host)? else {
        return Ok(Collected::not_applicable(format!("the kernel has no `{VULNERABILITIES}`")));
    };
    let unknown = names(&states, |state| state.says == Says::Unknown);
    let smt = states.iter().any(|(_, state)| state.smt.is_some());
    let smt = smt.then(|| list(names(&states, |state| state.smt == Some(Smt::Vulnerable))));
    let off = cx.host.text(cmdline::PATH).map(|text| text.map(|text| list(switched_off(&text))));
    Ok(Facts::new(list(names(&states, |state| state.says == Says::Vulnerable)))
        .with_some(&UNKNOWN, (!unknown.is_empty()).then(|| list(unknown)))
        .with_some(&SMT, smt)
        .with_read(&OFF, off)
        .into())
}

/// The state of each vulnerability, by name; `None` if the kernel lists none.
fn read(host: &HostRoot) -> Result<Option<Vec<(String, State)>>, HostError> {
    let Some(files) = host.list(VULNERABILITIES)? else { return Ok(None) };
    let mut states = Vec::new();
    for name in files {
        let text = host.line(&format!("{VULNERABILITIES}/{name}"))?;
        states.extend(text.map(|text| (name, State::parse(&text))));
    }
    Ok((!states.is_empty()).then_some(states))
}

fn names(states: &[(String, State)], is: impl Fn(&State) -> bool) -> Vec<String> {
    states.iter().filter(|(_, state)| is(state)).map(|(name, _)| name.clone()).collect()
}

/// What the text of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    says: Says,
    /// None where it does not speak of threads, or cannot tell.
    smt: Option<Smt>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Vulnerable,
    Unknown,
    /// Mitigated, or not affected.
    Safe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Smt {
    Vulnerable,
    Safe,
}

impl State {
    /// `Not affected`, `Vulnerable`, `Vulnerable: …`, `Mitigation: …` or `Unknown…`. Before that
    /// `itlb_multihit` says `KVM: ` or `Processor `.
    fn parse(text: &str) -> Self {
        let rest = ["KVM: ", "Processor "].iter().find_map(|subject| text.strip_prefix(subject));
        let verdict =
            rest.unwrap_or(text).split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let says = match verdict {
            _ if verdict.eq_ignore_ascii_case("vulnerable") => Says::Vulnerable,
            "Mitigation" | "Not" => Says::Safe,
            _ => Says::Unknown,
        };
        let smt = if text.contains("SMT vulnerable") {
            Some(Smt::Vulnerable)
        } else if text.contains("SMT mitigated") || text.contains("SMT disabled") {
            Some(Smt::Safe)
        } else {
            None
        };
        Self { says, smt }
    }
}

/// Boot parameters that switch a mitigation off by their name.
const OFF_BY_NAME: &str = "nopti nosmap nosmep nospec_store_bypass_disable nospectre_bhb nospectre_v1 nospectre_v2 \
    no_entry_flush no_rfi_flush no_stf_barrier no_uaccess_flush";

/// Boot parameters that switch a mitigation off by their value.
const OFF_BY_VALUE: &str = "gather_data_sampling indirect_target_selection kpti kvm.nx_huge_pages \
    kvm_intel.vmentry_l1d_flush l1tf mds mitigations mmio_stale_data pti reg_file_data_sampling retbleed \
    spec_rstack_overflow spec_store_bypass_disable spectre_bhi spectre_v2 spectre_v2_user srbds ssbd tsa \
    tsx_async_abort vmscape";

/// The parameters that switch mitigations off, sorted. The last of a name counts.
fn switched_off(cmdline: &str) -> Vec<String> {
    let is_one_of = |list: &str, name: &str| list.split_ascii_whitespace().any(|known| known == name);
    let mut parameters = BTreeMap::new();
    for parameter in cmdline::parameters(cmdline) {
        let (name, value) = assignment(&parameter);
        if is_one_of(OFF_BY_NAME, &name) {
            parameters.insert(name, true);
        } else if is_one_of(OFF_BY_VALUE, &name) {
            parameters.insert(name, is_off(value));
        }
    }
    parameters.into_iter().filter(|(_, is_off)| *is_off).map(|(name, _)| name).collect()
}

/// `mitigations=auto;no_user_kernel` leaves out what one kind of attack needs.
fn is_off(value: &str) -> bool {
    let mut words = value.split([',', ';']);
    words.any(|word| matches!(word, "off" | "never" | "0" | "no" | "force-off") || word.starts_with("no_"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_word_of_a_file_is_its_verdict() {
        use self::Smt::Vulnerable as Open;
        for (text, says, smt) in [
            ("Not affected", Says::Safe, None),
            ("Vulnerable", Says::Vulnerable, None),
            ("Vulnerable: No microcode", Says::Vulnerable, None),
            ("Vulnerable, ori31 speculation barrier enabled", Says::Vulnerable, None),
            (
                "Vulnerable: Clear CPU buffers attempted, no microcode; SMT vulnerable",
                Says::Vulnerable,
                Some(Open),
            ),
            ("Mitigation: Clear CPU buffers; SMT vulnerable", Says::Safe, Some(Open)),
            ("Mitigation: Clear CPU buffers; SMT disabled", Says::Safe, Some(Smt::Safe)),
            ("Mitigation: Clear CPU buffers; SMT Host state unknown", Says::Safe, None),
            ("Mitigation: untrained return thunk; SMT enabled with STIBP protection", Says::Safe, None),
            (
                "Mitigation: PTE Inversion; VMX: conditional cache flushes, SMT vulnerable",
                Says::Safe,
                Some(Open),
            ),
            ("Mitigation: Enhanced / Automatic IBRS; IBPB: conditional; BHI: Vulnerable", Says::Safe, None),
            ("KVM: Mitigation: VMX disabled", Says::Safe, None),
            ("KVM: Vulnerable", Says::Vulnerable, None),
            ("Processor vulnerable", Says::Vulnerable, None),
            ("Unknown: Dependent on hypervisor status", Says::Unknown, None),
            ("Unknown (running under hypervisor)", Says::Unknown, None),
            ("Something new", Says::Unknown, None),
        ] {
            assert_eq!(State::parse(text), State { says, smt }, "{text}");
        }
    }

    #[test]
    fn only_parameters_that_weaken_are_told() {
        for (cmdline, names) in [
            ("ro quiet mitigations=off", &["mitigations"][..]),
            ("mitigations=auto,nosmt nosmt=force l1tf=full,force", &[]),
            ("mitigations=auto;no_user_kernel,no_guest_host", &["mitigations"]),
            ("mitigations=off mitigations=auto", &[]),
            ("spectre-v2=off nopti kpti=0 ssbd=force-off", &["kpti", "nopti", "spectre_v2", "ssbd"]),
            ("kvm-intel.vmentry_l1d_flush=never nosmap", &["kvm_intel.vmentry_l1d_flush", "nosmap"]),
            ("quiet -- mitigations=off", &[]),
            (r#"dyndbg="x mitigations=off y""#, &[]),
        ] {
            assert_eq!(switched_off(cmdline), names, "{cmdline}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|(KVM: |Processor |Vulnerable|SMT |mds=|off|[,; ]){0,8}") {
            let _ = State::parse(&text);
            for name in switched_off(&text) {
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte)));
            }
        }
    }
}
