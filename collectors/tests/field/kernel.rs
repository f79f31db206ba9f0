//! Kernels of the field: other spellings, and those that hide what others show.

use node_annotator_core::Outcome;
use node_annotator_core::context::Uname;

use crate::root::{Root, collector, facts, outcome};

fn uname() -> Uname {
    Uname { release: "4.4.0".to_owned(), version: "#1 SMP PREEMPT RT Debian 4.4".to_owned() }
}

#[tokio::test]
async fn without_its_files_the_kernel_is_asked_by_a_system_call() {
    let collector = collector("kernel");
    let root = Root::new([("proc/cmdline", "nopti"), ("proc/cpuinfo", "")]);
    let facts = facts(collector, root.host().with_uname(uname())).await;
    assert_eq!(
        (facts.get(None), facts.get(Some("build"))),
        (Some("4.4.0"), Some("#1 SMP PREEMPT RT Debian 4.4"))
    );
    assert_eq!(facts.get(Some("preemption")), Some("preempt-rt"));
    // A root that is not this machine's has no system call.
    let Outcome::Failed { error, .. } = outcome(collector, root.host()).await else {
        panic!("there is no release")
    };
    assert_eq!(error, "cannot read `/proc/sys/kernel/osrelease`: No such file or directory (os error 2)");
}

#[tokio::test]
async fn files_go_before_the_system_call() {
    let root = Root::new([("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")]);
    let facts = facts(collector("kernel"), root.host().with_uname(uname())).await;
    assert_eq!(facts.get(None), Some("6.1.0-18-amd64"));
}

#[tokio::test]
async fn switches_spellings_and_taints_of_the_field_are_told() {
    let root = Root::new([
        ("proc/sys/kernel/osrelease", "4.19.0-25-rt-amd64"),
        ("proc/sys/kernel/version", "#1 SMP PREEMPT RT Debian 4.19.289-2 (2023-08-08)"),
        ("proc/sys/kernel/tainted", "536870912"),
        ("proc/cmdline", "quiet spectre_v2=off nopti mds=off retbleed=off maxcpus=8 mem=4G token=hunter2"),
    ]);
    let facts = facts(collector("kernel"), root.host()).await;
    assert_eq!(facts.get(Some("preemption")), Some("preempt-rt"));
    assert_eq!(facts.get(Some("taints")), Some("tech-preview"));
    let switches = "spectre_v2=off nopti mds=off retbleed=off maxcpus=8 mem=4G";
    assert_eq!(facts.get(Some("cmdline")), Some(switches));
}
