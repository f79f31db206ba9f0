//! Features of CPUs as Node Feature Discovery has them in labels: those that its defaults publish, and whose
//! words say the same. It asks the processor of x86, and the kernel of Arm; what the kernel of x86 hides
//! although the processor has it (`user_shstk`, `ibt`, `sgx`) is not among them.

use node_annotator_core::Facts;
use node_annotator_core::label::NfdLabels;

pub(super) const LABELS: NfdLabels = NfdLabels { names: &NAMES, value };

/// In order.
const NAMES: [&str; 48] = [
    "cpu-cpuid.AES",
    "cpu-cpuid.AESNI",
    "cpu-cpuid.AMXBF16",
    "cpu-cpuid.AMXFP16",
    "cpu-cpuid.AMXINT8",
    "cpu-cpuid.ASIMDDP",
    "cpu-cpuid.ASIMDHP",
    "cpu-cpuid.ATOMICS",
    "cpu-cpuid.AVX2",
    "cpu-cpuid.AVX512BF16",
    "cpu-cpuid.AVX512BITALG",
    "cpu-cpuid.AVX512F",
    "cpu-cpuid.AVX512FP16",
    "cpu-cpuid.AVX512IFMA",
    "cpu-cpuid.AVX512VBMI",
    "cpu-cpuid.AVX512VBMI2",
    "cpu-cpuid.AVX512VNNI",
    "cpu-cpuid.AVX512VP2INTERSECT",
    "cpu-cpuid.AVX512VPOPCNTDQ",
    "cpu-cpuid.AVXVNNI",
    "cpu-cpuid.BF16",
    "cpu-cpuid.CRC32",
    "cpu-cpuid.DCPOP",
    "cpu-cpuid.FCMA",
    "cpu-cpuid.FLAGM2",
    "cpu-cpuid.GFNI",
    "cpu-cpuid.I8MM",
    "cpu-cpuid.ILRCPC",
    "cpu-cpuid.JSCVT",
    "cpu-cpuid.LRCPC",
    "cpu-cpuid.MOVDIR64B",
    "cpu-cpuid.PACA",
    "cpu-cpuid.PMULL",
    "cpu-cpuid.RTM",
    "cpu-cpuid.SHA",
    "cpu-cpuid.SHA2",
    "cpu-cpuid.SHA3",
    "cpu-cpuid.SHA512",
    "cpu-cpuid.SM3",
    "cpu-cpuid.SM4",
    "cpu-cpuid.SVE",
    "cpu-cpuid.SVE2",
    "cpu-cpuid.SVM",
    "cpu-cpuid.VAES",
    "cpu-cpuid.VMX",
    "cpu-cpuid.VPCLMULQDQ",
    "cpu-cpuid.WAITPKG",
    "cpu-cpuid.WFXT",
];

/// The words of `/proc/cpuinfo` of x86 that are spelled otherwise.
const OF_X86: [(&str, &str); 23] = [
    ("AESNI", "aes"),
    ("AMXBF16", "amx_bf16"),
    ("AMXFP16", "amx_fp16"),
    ("AMXINT8", "amx_int8"),
    ("AVX2", "avx2"),
    ("AVX512BF16", "avx512_bf16"),
    ("AVX512BITALG", "avx512_bitalg"),
    ("AVX512F", "avx512f"),
    ("AVX512FP16", "avx512_fp16"),
    ("AVX512IFMA", "avx512ifma"),
    ("AVX512VBMI", "avx512vbmi"),
    ("AVX512VBMI2", "avx512_vbmi2"),
    ("AVX512VNNI", "avx512_vnni"),
    ("AVX512VP2INTERSECT", "avx512_vp2intersect"),
    ("AVX512VPOPCNTDQ", "avx512_vpopcntdq"),
    ("AVXVNNI", "avx_vnni"),
    ("GFNI", "gfni"),
    ("MOVDIR64B", "movdir64b"),
    ("RTM", "rtm"),
    ("SHA", "sha_ni"),
    ("VAES", "vaes"),
    ("VPCLMULQDQ", "vpclmulqdq"),
    ("WAITPKG", "waitpkg"),
];

fn value(name: &str, facts: &Facts) -> Option<String> {
    let flag = name.strip_prefix("cpu-cpuid.")?;
    let has = |word: &str| facts.get(None).is_some_and(|list| list.split(',').any(|found| found == word));
    // The kernel of Arm tells nothing of virtual machines, and all others do.
    let hw_virt = facts.get(Some("hw-virt"));
    let is_there = match (flag, hw_virt) {
        ("VMX" | "SVM", hw_virt) => hw_virt == Some(flag.to_lowercase().as_str()),
        (_, Some(_)) => OF_X86.iter().any(|(known, word)| *known == flag && has(word)),
        (_, None) => OF_X86.iter().all(|(known, _)| *known != flag) && has(&flag.to_lowercase()),
    };
    is_there.then(|| "true".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{HW_VIRT, allowed};
    use super::*;

    fn told(facts: &Facts) -> Vec<&'static str> {
        let names = LABELS.names.iter().filter(|name| value(name, facts).is_some());
        names.map(|name| name.strip_prefix("cpu-cpuid.").unwrap()).collect()
    }

    #[test]
    fn words_of_each_architecture_are_told_by_their_names() {
        let x86 = Facts::new("aes,avx2,avx512_vnni,sha_ni,user_shstk").with(&HW_VIRT, "svm");
        assert_eq!(told(&x86), ["AESNI", "AVX2", "AVX512VNNI", "SHA", "SVM"]);
        let arm = Facts::new("aes,atomics,crc32,sha2,sve");
        assert_eq!(told(&arm), ["AES", "ATOMICS", "CRC32", "SHA2", "SVE"]);
        let loongarch = Facts::new("crc32,lsx").with(&HW_VIRT, "lvz");
        assert_eq!(told(&loongarch), [""; 0]);
    }

    #[test]
    fn every_label_is_told_by_a_word_that_is_published() {
        let all = |list: &str| Facts::new(list.split_ascii_whitespace().collect::<Vec<_>>().join(","));
        let x86 = all(allowed::X86);
        let found: std::collections::BTreeSet<_> =
            [x86.clone().with(&HW_VIRT, "vmx"), x86.with(&HW_VIRT, "svm"), all(allowed::ARM)]
                .iter()
                .flat_map(told)
                .collect();
        assert_eq!(found.len(), NAMES.len());
        assert!(NAMES.is_sorted_by(|a, b| a < b));
    }
}
