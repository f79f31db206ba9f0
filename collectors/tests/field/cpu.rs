//! Processors of the field: those of many threads, those that tell little, and chips whose clusters look like
//! sockets.

use std::fmt::Write as _;

use node_annotator_core::{Facts, Outcome};

use crate::root::{Root, collector, facts, left_out, outcome};

/// A `/proc/cpuinfo` of that many threads, in the size that a large server has: about 1.9 kB each.
fn large(threads: usize) -> String {
    let flags = "fpu avx512_vp2intersect serialize_tsxldtrk_pconfig arch_capabilities_arch_lbr ".repeat(18);
    let mut text = String::new();
    for thread in 0..threads {
        write!(
            text,
            "processor\t: {thread}\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 17\n\
             model name\t: AMD EPYC 9965 192-Core Processor\nstepping\t: 0\nmicrocode\t: 0xb101021\n\
             flags\t\t: {flags}\nbugs\t\t: sysret_ss_attrs spectre_v1 spectre_v2\npower management: ts ttp\n\n"
        )
        .unwrap();
    }
    text
}

async fn of_cpuinfo(text: &str) -> Facts {
    facts(collector("cpu-model"), Root::new([("proc/cpuinfo", text)]).host()).await
}

#[tokio::test]
async fn seven_hundred_threads_and_a_thousand_are_read_whole() {
    for threads in [768, 1024] {
        let text = large(threads);
        assert!(text.len() > 1_170_000 && text.len() < 4 * 1024 * 1024, "{}", text.len());
        let facts = of_cpuinfo(&text).await;
        assert_eq!(facts.get(None), Some("AMD EPYC 9965 192-Core Processor"));
        assert_eq!(facts.get(Some("stepping")), Some("0"));
    }
}

/// The bound of a read falls anywhere in a paragraph.
#[tokio::test]
async fn nothing_is_made_of_the_paragraph_at_which_a_file_was_cut() {
    const BOUND: usize = 4 * 1024 * 1024;
    let text = large(2800);
    // A first line of another length moves the bound to another place of the paragraph.
    let with_line = |length| format!("{}: y\n{text}", "x".repeat(length));
    let start = with_line(1)[..BOUND].rfind("\n\n").unwrap() + 2;
    let before_flags = text.find("flags").unwrap();
    for place in (1..before_flags).step_by(7).chain([before_flags + 1000]) {
        let length = 1 + (BOUND - start) + text[..start].find("\n\n").unwrap() + 2 - place;
        let facts = of_cpuinfo(&with_line(length)).await;
        assert_eq!(facts.get(None), Some("AMD EPYC 9965 192-Core Processor"), "{place}");
        assert_eq!(facts.get(Some("microcode")), Some("0xb101021"), "{place}");
    }
}

fn arm(cpus: &[(&str, &str)]) -> String {
    let cpu = |(number, (implementer, part)): (usize, &(&str, &str))| {
        format!(
            "processor\t: {number}\nCPU implementer\t: {implementer}\nCPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 1\n\n"
        )
    };
    cpus.iter().enumerate().map(cpu).collect()
}

/// A machine with these CPUs: the text of cpuinfo, and each CPU's package and cluster.
fn machine(cpuinfo: &str, packages: &[(&str, Option<&str>)]) -> Root {
    let root = Root::new([("proc/cpuinfo", cpuinfo)]);
    root.write("sys/devices/system/cpu/online", &format!("0-{}", packages.len() - 1));
    for (cpu, (package, cluster)) in packages.iter().enumerate() {
        let topology = format!("sys/devices/system/cpu/cpu{cpu}/topology");
        root.write(&format!("{topology}/physical_package_id"), package);
        root.write(&format!("{topology}/thread_siblings_list"), &cpu.to_string());
        if let Some(cluster) = cluster {
            root.write(&format!("{topology}/cluster_id"), cluster);
        }
    }
    root
}

#[tokio::test]
async fn arm_cores_have_names_and_untold_ones_have_none() {
    let collector = collector("cpu-model");
    let n3 = Root::new([("proc/cpuinfo", arm(&[("0x41", "0xd8e"), ("0x41", "0xd8e")]))]);
    let facts = facts(collector, n3.host()).await;
    assert_eq!((facts.get(None), facts.get(Some("vendor"))), (Some("Neoverse-N3"), Some("ARM")));

    for untold in [("0x61", "0x000"), ("0x00", "0x000"), ("0x00", "0x051")] {
        let root = Root::new([("proc/cpuinfo", arm(&[untold; 4]))]);
        let Outcome::Unknown(reason) = outcome(collector, root.host()).await else { panic!("{untold:?}") };
        assert!(
            reason.starts_with("unknown here: the Arm core does not tell which it is (implementer 0x"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_processor_of_power_is_named_as_its_kernel_spells_it() {
    let cpu = "cpu\t\t: Power11 (architected), altivec supported\nclock\t\t: 4000.000000MHz\nrevision\t: 18.0 (pvr 0082 1200)\n\n";
    let facts =
        of_cpuinfo(&format!("processor\t: 0\n{cpu}processor\t: 1\n{cpu}timebase\t: 512000000\n")).await;
    assert_eq!((facts.get(None), facts.get(Some("vendor"))), (Some("Power11 (architected)"), Some("IBM")));
    assert_eq!(facts.get(Some("stepping")), Some("18.0"));
}

#[tokio::test]
async fn clusters_of_one_chip_are_no_sockets() {
    let four_kinds =
        ["0xd80", "0xd80", "0xd81", "0xd81", "0xd81", "0xd4d", "0xd4d", "0xd82"].map(|part| ("0x41", part));
    let phone = [("0", None); 2].into_iter().chain([("1", None); 5]).chain([("2", None)]).collect::<Vec<_>>();
    let eight_alike = arm(&[("0x41", "0xd03"); 8]);
    let two_of_four = [[("0", None); 4], [("1", None); 4]].concat();
    let riscv = "processor\t: 0\nhart\t: 0\nisa\t: rv64imafdcv\nmvendorid\t: 0x5b7\nmarchid\t: 0x0\nuarch\t: thead,c920\n\n";
    for (what, cpuinfo, packages) in [
        ("four kinds of core", arm(&four_kinds), phone),
        ("a board of two equal clusters", eight_alike.clone(), two_of_four.clone()),
        ("RISC-V", riscv.to_owned(), two_of_four.clone()),
    ] {
        let facts = facts(collector("cpu-model"), machine(&cpuinfo, &packages).host()).await;
        assert_eq!(facts.get(Some("sockets")), None, "{what}");
        assert_eq!(left_out(&facts), ["sockets"], "{what}");
        assert_eq!(facts.get(Some("cores")), Some("8"), "{what}");
    }
    // With firmware of a server, the packages are sockets, unless they repeat the clusters.
    let own = [[("0", Some("56")); 4], [("1", Some("616")); 4]].concat();
    let same = [[("0", Some("0")); 4], [("1", Some("1")); 4]].concat();
    for (packages, sockets) in [(two_of_four, Some("2")), (own, Some("2")), (same, None)] {
        let root = machine(&eight_alike, &packages);
        root.write("sys/class/dmi/id/sys_vendor", "Huawei");
        let facts = facts(collector("cpu-model"), root.host()).await;
        assert_eq!(facts.get(Some("sockets")), sockets);
    }
    // One package is one socket, whatever it is made of.
    let facts = facts(collector("cpu-model"), machine(&arm(&four_kinds), &[("0", None); 8]).host()).await;
    assert_eq!(facts.get(Some("sockets")), Some("1"));
}

#[tokio::test]
async fn two_sockets_of_one_core_each_stay_two_on_x86() {
    let cpu = "vendor_id: GenuineIntel\ncpu family: 6\nmodel: 85\nmodel name: Xeon\n\n";
    let text = format!("processor: 0\n{cpu}processor: 1\n{cpu}");
    let facts =
        facts(collector("cpu-model"), machine(&text, &[("0", Some("0")), ("1", Some("1"))]).host()).await;
    assert_eq!(facts.get(Some("sockets")), Some("2"));
}
