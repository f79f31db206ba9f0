//! `cpu-features`: what the CPUs can do, of an allow-list, and whether they run virtual machines.
//!
//! Reads `/proc/cpuinfo`, whose words differ by architecture, and the parameters of the KVM modules. A
//! feature counts if all CPUs have it. POWER prints no features, so the collector is not applicable there.

mod allowed;
mod nfd;

use std::collections::BTreeSet;

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::cpuinfo::{self, Cpu};
use crate::source::list::list;

const PRESENT: Fact = Fact::primary(
    "features that all CPUs have and programs look for (an allow-list), as `/proc/cpuinfo` spells them, joined by \
     commas; `none` for none of them; what the level of the instruction set contains is not repeated",
    "aes,avx2,sha_ni,vaes,vpclmulqdq",
    Stability::PerBoot,
)
.kind(Kind::List)
.max_bytes(512);
const HW_VIRT: Fact = Fact::named(
    "hw-virt",
    "extension by which the CPUs run virtual machines: `vmx`, `svm`, `sie` (s390x), `h` (RISC-V), `lvz` (LoongArch) or \
     `none`; in a VM it says that nested ones are offered; not there on Arm, whose kernel does not tell",
    "svm",
    Stability::PerBoot,
);
const NESTED: Fact = Fact::named(
    "nested",
    "whether KVM lets its guests run virtual machines of their own: `true` or `false`; not there while no module of KVM \
     is loaded",
    "true",
    Stability::Dynamic,
)
.kind(Kind::Flag);
const CORE_TYPES: Fact = Fact::named(
    "core-types",
    "on hybrid x86 processors, the CPUs of each type of core: `core` (performance) and `atom` (efficiency)",
    "core=0-1;atom=2-3",
    Stability::Dynamic,
);

/// The collector.
pub static CPU_FEATURES: Collector = Collector::new(
    "cpu-features",
    Topic::Cpu,
    "Instruction set extensions of the CPUs, and their virtualization",
    &[PRESENT, HW_VIRT, NESTED, CORE_TYPES],
    Collect::Blocking(collect),
)
.reads(&[cpuinfo::PATH, "/sys/module/kvm*/parameters/nested", CORE_PATH, ATOM_PATH])
.not_applicable("on ppc64le, whose kernel lists no features")
.nfd(nfd::LABELS);

register!(CPU_FEATURES);

/// The CPUs of each type of core, which have performance monitoring units of their own.
const CORE_PATH: &str = "/sys/devices/cpu_core/cpus";
const ATOM_PATH: &str = "/sys/devices/cpu_atom/cpus";

/// The modules of KVM whose parameter `nested` tells: those of Intel and AMD, and the one of s390x.
const KVM_MODULES: [&str; 3] = ["kvm_intel", "kvm_amd", "kvm"];

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let text = cx.host.read(cpuinfo::PATH)?;
    let Some(Features { present, hw_virt }) = parse(cpuinfo::whole(&text)) else {
        return Ok(Collected::not_applicable("`/proc/cpuinfo` lists no features on this architecture"));
    };
    Ok(Facts::new(present)
        .with_some(&HW_VIRT, hw_virt)
        .with_read(&NESTED, nested(&cx.host))
        .with_read(&CORE_TYPES, core_types(&cx.host))
        .into())
}

fn nested(host: &HostRoot) -> Result<Option<bool>, HostError> {
    for module in KVM_MODULES {
        if let Some(value) = host.line(&format!("/sys/module/{module}/parameters/nested"))? {
            return Ok(switch(&value));
        }
    }
    Ok(None)
}

/// A parameter of a module is `Y` or `N`, or, where it once was a number, `1` or `0`.
fn switch(value: &str) -> Option<bool> {
    match value {
        "Y" | "1" => Some(true),
        "N" | "0" => Some(false),
        _ => None,
    }
}

fn core_types(host: &HostRoot) -> Result<Option<String>, HostError> {
    let core = host.line(CORE_PATH)?;
    let atom = host.line(ATOM_PATH)?;
    Ok(core.zip(atom).map(|(core, atom)| format!("core={core};atom={atom}")))
}

#[derive(Debug, PartialEq, Eq)]
struct Features {
    present: String,
    hw_virt: Option<&'static str>,
}

/// Where an architecture lists features, and which of them are told.
struct Listed<'a> {
    words: BTreeSet<&'a str>,
    allowed: &'static str,
    /// Empty where the absence of a word says nothing.
    hw_virt: &'static [&'static str],
}

/// What all CPUs have in common; `None` if no CPU lists features.
fn parse(text: &str) -> Option<Features> {
    let mut common: Option<Listed<'_>> = s390x(text);
    let mut last = None;
    for cpu in cpuinfo::cpus(text) {
        // Nearly always all CPUs print the same line.
        let line = ["flags", "Features", "isa"].iter().find_map(|key| cpu.get(key));
        if line == last {
            continue;
        }
        last = line.or(last);
        let Some(words) = words(&cpu) else { continue };
        match &mut common {
            Some(common) => common.words.retain(|word| words.words.contains(word)),
            None => common = Some(words),
        }
    }
    let Listed { words, allowed, hw_virt } = common?;
    let present: Vec<_> = allowed.split_ascii_whitespace().filter(|word| words.contains(word)).collect();
    let extension = hw_virt.iter().copied().find(|word| words.contains(word));
    Some(Features {
        present: list(present),
        hw_virt: if hw_virt.is_empty() { None } else { extension.or(Some("none")) },
    })
}

fn words<'a>(cpu: &Cpu<'a>) -> Option<Listed<'a>> {
    let (words, allowed, hw_virt): (_, _, &[_]) = if let Some(flags) = cpu.get("flags") {
        (separate(flags), allowed::X86, &["vmx", "svm"])
    } else if let Some(features) = cpu.get("Features") {
        match cpu.get("CPU implementer") {
            Some(_) => (separate(features), allowed::ARM, &[]),
            None => (separate(features), allowed::LOONGARCH, &["lvz"]),
        }
    } else {
        (extensions(cpu.get("isa")?)?, allowed::RISCV, &["h"])
    };
    Some(Listed { words, allowed, hw_virt })
}

/// The mainframe has one list, before its processors.
fn s390x(text: &str) -> Option<Listed<'_>> {
    let mut lines = text.lines().take_while(|line| !line.starts_with("processor"));
    let line = lines.find_map(|line| line.strip_prefix("features")?.trim_start().strip_prefix(':'))?;
    Some(Listed { words: separate(line), allowed: allowed::S390X, hw_virt: &["sie"] })
}

fn separate(list: &str) -> BTreeSet<&str> {
    list.split_ascii_whitespace().collect()
}

/// `rv64imafdcvh_zicbom_zba`: extensions of one letter, then those of several. Old kernels print those of
/// several letters behind the others without a mark; they begin with `s`, `x` or `z`.
fn extensions(isa: &str) -> Option<BTreeSet<&str>> {
    let letters = isa.strip_prefix("rv")?.trim_start_matches(|c: char| c.is_ascii_digit());
    let mut parts = letters.split('_');
    let first = parts.next()?;
    let single = first.char_indices().take_while(|(_, c)| !matches!(c, 's' | 'x' | 'z'));
    let single = single.map(|(at, c)| &first[at..at + c.len_utf8()]);
    Some(single.chain(parts).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_architecture_has_words_of_its_own() {
        for (text, present, hw_virt) in [
            ("processor: 0\nflags: fpu vmx avx2 aes hypervisor amx_tile\n", "aes,avx2", Some("vmx")),
            ("processor: 0\nflags: fpu\n", "none", Some("none")),
            ("processor: 0\nFeatures: fp asimd atomics sve\nCPU implementer: 0x41\n", "atomics,sve", None),
            (
                "vendor_id       : IBM/S390\nfeatures\t: esan3 zarch te vx sie dflt\n\nprocessor 0: version = 00\n",
                "dflt,te,vx",
                Some("sie"),
            ),
            ("processor: 0\nhart: 1\nisa: rv64imafdcvh_zba_zicbom\n", "v,zba,zicbom", Some("h")),
            ("processor: 0\nisa: rv64imafdczbb_svhp\n", "none", Some("none")),
            (
                "processor: 0\nModel Name: Loongson-3A6000\nFeatures: cpucfg lsx lasx lvz\n",
                "lasx,lsx",
                Some("lvz"),
            ),
        ] {
            let features = Features { present: present.to_owned(), hw_virt };
            assert_eq!(parse(text), Some(features), "{text}");
        }
        assert_eq!(parse("processor: 0\ncpu: POWER9, altivec supported\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_feature_counts_if_all_cpus_have_it() {
        let cpu = |features: &str| format!("processor: 0\nFeatures: {features}\nCPU implementer: 0x41\n\n");
        let text = cpu("atomics sve bf16") + &cpu("atomics bf16") + &cpu("atomics sve");
        assert_eq!(parse(&text).unwrap().present, "atomics");
    }

    #[test]
    fn parameters_of_modules_have_two_spellings() {
        let read = ["Y", "1", "N", "0", "2", ""].map(switch);
        assert_eq!(read, [Some(true), Some(true), Some(false), Some(false), None, None]);
    }

    proptest! {
        #[test]
        fn any_text_yields_words_of_the_list_alone(
            text in "\\PC*|((processor|flags|features|Features|isa|CPU implementer)[ :]{0,3}(rv64)?[a-z_0-9 ]{0,30}\n{0,2}){0,9}"
        ) {
            let lists = [allowed::X86, allowed::ARM, allowed::S390X, allowed::RISCV, allowed::LOONGARCH, "none"];
            if let Some(features) = parse(&text) {
                let known = |word: &str| lists.iter().any(|list| list.split(' ').any(|known| known == word));
                prop_assert!(features.present.split(',').all(known), "{}", features.present);
            }
        }
    }
}
