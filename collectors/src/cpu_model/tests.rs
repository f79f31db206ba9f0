//! `/proc/cpuinfo` of architectures that have no fixture, and of none.

use proptest::prelude::*;

use super::*;

fn fact<'a>(facts: &'a Facts, name: &str) -> Option<&'a str> {
    facts.get(Some(name))
}

#[test]
fn an_unknown_arm_core_is_named_by_its_numbers() {
    let text = "processor\t: 0\nCPU implementer\t: 0x41\nCPU variant\t: 0x1\nCPU part\t: 0xd8e\nCPU revision\t: 2\n\n";
    let facts = parse(text).unwrap().unwrap();
    assert_eq!(facts.get(None), Some("arm-0x41-0xd8e"));
    assert_eq!(fact(&facts, "vendor"), Some("ARM"));
    assert_eq!(fact(&facts, "model-id"), Some("0xd8e"));
    assert_eq!(fact(&facts, "stepping"), Some("r1p2"));
    assert_eq!(fact(&facts, "isa-level"), None);
}

#[test]
fn x86_without_a_name_is_named_by_its_numbers() {
    let text = "processor: 0\nvendor_id: GenuineIntel\ncpu family: 6\nmodel: 85\nmodel name: unknown\n\n";
    assert_eq!(parse(text).unwrap().unwrap().get(None), Some("x86-GenuineIntel-6-85"));
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
    let facts = parse(&text).unwrap().unwrap();
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
            None,
        ),
        (
            "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdch\nmvendorid\t: 0x0\nmarchid\t\t: 0x0\n\n",
            "riscv-0x0-0x0",
            None,
        ),
        ("processor\t: 0\nModel Name\t\t: Loongson-3A5000\n\n", "Loongson-3A5000", None),
    ] {
        let facts = parse(text).unwrap().unwrap();
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
fn processors_without_a_model_are_told_apart_from_no_processor() {
    assert_eq!(parse("processor\t: 0\nbogomips\t: 1\n\n").unwrap(), None);
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
