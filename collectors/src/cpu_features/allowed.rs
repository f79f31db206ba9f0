//! The features that are published, of all that a CPU has.
//!
//! They are those that a program looks for before it picks its fastest code, or that an administrator sets a
//! node aside for. What every server of an architecture has, and what the levels of x86-64 contain, is left
//! out, as are features that only the kernel itself uses. The words are those of `/proc/cpuinfo`, which
//! spells them irregularly: `avx512ifma`, and `avx512_vnni`.

/// x86, `arch/x86/include/asm/cpufeatures.h`. Since Linux 6.11 new features are not printed unless somebody
/// asked for it.
pub(super) const X86: &str = "aes amx_bf16 amx_fp16 amx_int8 arch_perfmon avx2 avx512_bf16 avx512_bitalg avx512_fp16 \
    avx512_vbmi2 avx512_vnni avx512_vp2intersect avx512_vpopcntdq avx512f avx512ifma avx512vbmi avx_vnni cat_l2 cat_l3 \
    cdp_l3 enqcmd gfni ibt intel_pt la57 mba movdir64b pku rtm sgx sha_ni user_shstk vaes vpclmulqdq waitpkg";

/// Arm, `arch/arm64/kernel/cpuinfo.c`.
pub(super) const ARM: &str = "aes asimddp asimdhp atomics bf16 bti crc32 dcpop fcma flagm2 gcs i8mm ilrcpc jscvt lrcpc \
    lse128 mops mte paca pmull rng sha2 sha3 sha512 sm3 sm4 sme sme2 ssbs sve sve2 svebf16 svei8mm wfxt";

/// s390x, `arch/s390/kernel/processor.c`.
pub(super) const S390X: &str = "dflt msa nnpa pcimio sort te vx vxe vxe2 vxp vxp2";

/// RISC-V, `arch/riscv/kernel/cpufeature.c`.
pub(super) const RISCV: &str =
    "sstc svnapot svpbmt v zacas zba zbb zbc zbs zfh zicbom zicboz zvfh zvkned zvknha zvknhb";

/// `LoongArch`, `arch/loongarch/kernel/proc.c`.
pub(super) const LOONGARCH: &str = "crc32 crypto lasx lbt_x86 lsx";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_without_duplicates() {
        for list in [X86, ARM, S390X, RISCV, LOONGARCH] {
            let words: Vec<_> = list.split_ascii_whitespace().collect();
            assert!(words.is_sorted_by(|a, b| a < b), "{list}");
        }
    }

    /// The annotations of all collectors share one budget.
    #[test]
    fn not_even_a_cpu_with_all_of_them_has_a_long_value() {
        for list in [X86, ARM, S390X, RISCV, LOONGARCH] {
            assert!(list.len() <= 400, "{}: {list}", list.len());
        }
    }
}
