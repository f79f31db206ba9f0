//! `/proc/cpuinfo` of architectures that have no fixture, and of none.

use proptest::prelude::*;

use super::*;

fn facts(text: &str) -> Facts {
    match parse(text).unwrap() {
        Parsed::Described { facts, .. } => facts,
        Parsed::Unknown(reason) => panic!("{reason}"),
    }
}

fn unknown(text: &str) -> String {
    match parse(text).unwrap() {
        Parsed::Unknown(reason) => reason,
        Parsed::Described { facts, .. } => panic!("{facts:?}"),
    }
}

fn fact<'a>(facts: &'a Facts, name: &str) -> Option<&'a str> {
    facts.get(Some(name))
}

#[test]
fn an_unknown_arm_core_is_named_by_its_numbers() {
    let text = "processor\t: 0\nCPU implementer\t: 0x41\nCPU variant\t: 0x1\nCPU part\t: 0xfff\nCPU revision\t: 2\n\n";
    let facts = self::facts(text);
    assert_eq!(facts.get(None), Some("arm-0x41-0xfff"));
    assert_eq!(fact(&facts, "vendor"), Some("ARM"));
    assert_eq!(fact(&facts, "model-id"), Some("0xfff"));
    assert_eq!(fact(&facts, "stepping"), Some("r1p2"));
    assert_eq!(fact(&facts, "isa-level"), None);
}

#[test]
fn x86_without_a_name_is_named_by_its_numbers() {
    let text = "processor: 0\nvendor_id: GenuineIntel\ncpu family: 6\nmodel: 85\nmodel name: unknown\n\n";
    assert_eq!(facts(text).get(None), Some("x86-GenuineIntel-6-85"));
}

#[test]
fn what_the_cpus_do_not_agree_on_is_left_out() {
    let cpu = |stepping, flags| {
        format!(
            "processor: 0\nvendor_id: GenuineIntel\ncpu family: 6\nmodel: 85\nmodel name: Xeon\nstepping: {stepping}\n\
             flags: lm cmov cx8 fpu fxsr mmx syscall sse sse2 {flags}\n\n"
        )
    };
    let text = cpu(4, "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3") + &cpu(7, "");
    let facts = self::facts(&text);
    assert_eq!(fact(&facts, "stepping"), None);
    assert_eq!(fact(&facts, "model-id"), Some("85"));
    assert_eq!(fact(&facts, "isa-level"), Some("x86-64-v1"));
}

#[test]
fn rare_architectures_name_their_model() {
    for (text, model, vendor) in [
        (
            "vendor_id       : IBM/S390\n# processors    : 1\n\n\
             processor 0: version = FF,  identification = 0133E8,  machine = 3931\n",
            "IBM z16",
            Some("IBM"),
        ),
        ("processor 0: version = 00,  identification = 0133E8,  machine = 1234\n", "s390x-1234", Some("IBM")),
        (
            "processor\t: 0\ncpu\t\t: POWER9 (architected), altivec supported\nrevision\t: 2.2 (pvr 004e 1202)\n\n\
             timebase\t: 512000000\nmodel\t\t: IBM pSeries\n",
            "POWER9 (architected)",
            Some("IBM"),
        ),
        (
            "processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdc\nuarch\t\t: sifive,u74-mc\nmvendorid\t: 0x489\n\n",
            "sifive,u74-mc",
            Some("SiFive"),
        ),
        (
            "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdch\nmvendorid\t: 0x0\nmarchid\t\t: 0x0\n\n",
            // A core that tells neither number is no `riscv-0x0-0x0`.
            "rv64imafdch",
            None,
        ),
        (
            "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdcv\nmvendorid\t: 0x710\nmarchid\t\t: 0x8000000058000001\n\n",
            "riscv-0x710-0x8000000058000001",
            Some("SpacemiT"),
        ),
        (
            "processor\t: 0\ncpu\t\t: Power11 (architected), altivec supported\nrevision\t: 18.0 (pvr 0082 1200)\n\n",
            "Power11 (architected)",
            Some("IBM"),
        ),
        ("processor\t: 0\ncpu\t\t: POWER8E (raw), altivec supported\n\n", "POWER8E (raw)", Some("IBM")),
        ("processor\t: 0\ncpu\t\t: PPC970MP, altivec supported\n\n", "PPC970MP", None),
        ("processor\t: 0\ncpu\t\t: unknown (00831200)\nclock\t: 1MHz\n\n", "power-0x00831200", None),
        ("processor 0: version = FF,  identification = 0133E8,  machine = 2097\n", "IBM z10 EC", Some("IBM")),
        ("processor 0: version = FF,  identification = 0133E8,  machine = 9176\n", "IBM z17", Some("IBM")),
        ("processor\t: 0\nModel Name\t\t: Loongson-3A5000\n\n", "Loongson-3A5000", None),
    ] {
        let facts = self::facts(text);
        assert_eq!(facts.get(None), Some(model));
        assert_eq!(fact(&facts, "vendor"), vendor, "{model}");
    }
}

#[test]
fn serial_numbers_are_never_read() {
    let text = "processor 0: version = FF,  identification = 0133E8,  machine = 3931\n";
    assert!(!format!("{:?}", parse(text).unwrap()).contains("0133E8"));
}

#[test]
fn numbers_that_an_arm_core_does_not_tell_make_no_name() {
    let core = |implementer, part| {
        format!(
            "processor: 0\nmodel name: ARMv8 Processor rev 0 (v8l)\nCPU implementer: {implementer}\nCPU part: {part}\n\n"
        )
    };
    for (implementer, part) in [("0x61", "0x000"), ("0x00", "0x000"), ("0x00", "0x051"), ("0x41", "")] {
        let reason = unknown(&core(implementer, part));
        assert!(reason.starts_with("the Arm core does not tell which it is"), "{reason}");
    }
    let facts = facts(&core("0x99", "0x123"));
    assert_eq!((facts.get(None), fact(&facts, "vendor")), (Some("arm-0x99-0x123"), None));
}

#[test]
fn an_arm_core_is_described_in_a_paragraph_of_its_own_by_old_kernels() {
    let text = "Processor\t: ARMv7 Processor rev 10 (v7l)\nprocessor\t: 0\nBogoMIPS\t: 1581.05\n\n\
                processor\t: 1\nBogoMIPS\t: 1581.05\n\n\
                Features\t: swp half thumb\nCPU implementer\t: 0x41\nCPU architecture: 7\nCPU variant\t: 0x2\n\
                CPU part\t: 0xc09\nCPU revision\t: 10\n\nHardware\t: Freescale i.MX 6Quad\nSerial\t\t: 0123\n";
    let facts = facts(text);
    assert_eq!((facts.get(None), fact(&facts, "stepping")), (Some("Cortex-A9"), Some("r2p10")));
}

#[test]
fn processors_without_a_model_are_told_apart_from_no_processor() {
    for text in
        ["processor\t: 0\nbogomips\t: 1\n\n", "processor: 0\nvendor_id: unknown\ncpu family: 6\nmodel: 1\n"]
    {
        assert_eq!(unknown(text), "`/proc/cpuinfo` names no model");
    }
    for text in ["", "\n\n", "\u{fffd}\u{fffd}\0\n", "model name: without a processor\n\n"] {
        assert_eq!(parse(text).unwrap_err().chain(), "`/proc/cpuinfo` describes no processor");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(
        text in "\\PC*|((processor|CPU part|CPU implementer|model name|cpu family|vendor_id|flags|isa|cpu|machine)[ :]{0,3}(0x)?[0-9a-f]{0,20}\n{0,2}){0,20}"
    ) {
        let _ = parse(&text);
    }
}
