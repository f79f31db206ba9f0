//! What a sandbox shows is not the node's, and a virtual machine that is the node is no sandbox.

use std::sync::Arc;

use node_annotator_core::context::{HttpClient, HttpError, HttpRequest, HttpResponse, Uname};
use node_annotator_core::{BoxFuture, Context, HostRoot, Outcome};

use crate::root::{Root, collector, facts, left_out, outcome, run};

/// What the container runtime mounts in a pod of runc.
const RUNC: &str = "\
21 20 0:40 / / ro,relatime - overlay overlay ro,lowerdir=/var/lib/containerd/1
22 21 0:41 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
23 21 0:42 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
24 22 0:41 /sys /proc/sys ro,relatime - proc proc rw
25 22 0:43 / /proc/acpi ro,relatime - tmpfs tmpfs ro
26 22 0:44 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw
27 23 0:45 / /sys/firmware ro,relatime - tmpfs tmpfs ro
";

/// A machine of which nothing else is known, in a pod of runc, with these files.
fn machine(files: &[(&str, &str)]) -> Root {
    let root = Root::of_fixture("vm-generic");
    root.write("proc/self/mountinfo", RUNC);
    for (path, text) in files {
        root.write(path, text);
    }
    root
}

fn with_mount(line: &str) -> String {
    format!("{RUNC}{line}\n")
}

async fn reason(name: &str, host: HostRoot) -> String {
    match outcome(collector(name), host).await {
        Outcome::NotApplicable(reason) => reason,
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn facts_of_a_sandboxs_kernel_are_not_published() {
    let kata_share = with_mount("28 21 0:46 / /etc/hosts rw - virtiofs kataShared rw");
    let cmdline = "console=hvc0 panic=1 nr_cpus=8 agent.log=debug agent.https_proxy=http://u:hunter2@proxy";
    for (files, evidence) in [
        (&[("proc/sentry-meminfo", "Alloc: 1")][..], "gVisor: `/proc/sentry-meminfo` is there"),
        (
            &[("proc/sys/kernel/osrelease", "4.19.0-gvisor\n")],
            "gVisor: the release of the kernel ends in `-gvisor`",
        ),
        (
            &[("proc/sys/kernel/version", "#1 SMP Sun Jan 10 15:06:54 PST 2016\n")],
            "gVisor: the kernel was built `#1 SMP Sun Jan 10 15:06:54 PST 2016`",
        ),
        (
            &[("proc/cmdline", "BOOT_IMAGE=/vmlinuz-4.4.0-gvisor quiet\n")],
            "gVisor: its image is on the kernel's command line",
        ),
        (&[("proc/cmdline", cmdline)], "Kata Containers: `agent.log` is on the kernel's command line"),
        (
            &[("proc/cmdline", "root=/dev/vda1 systemd.unit=kata-containers.target")],
            "Kata Containers: `systemd.unit=kata-containers.target` is on the kernel's command line",
        ),
        (&[("proc/self/mountinfo", kata_share.as_str())], "Kata Containers: `kataShared` is mounted"),
    ] {
        let root = machine(files);
        for name in ["kernel", "cpu-model"] {
            let expected = format!(
                "this is a sandbox's kernel ({evidence}); --trust-sandbox publishes its facts all the same"
            );
            assert_eq!(reason(name, root.host()).await, expected);
            let trusted = facts(collector(name), root.host().trusting_sandbox()).await;
            assert!(trusted.get(None).is_some() && trusted.left_out().is_empty(), "{trusted:?}");
        }
    }
}

/// Whoever trusts a sandbox trusts its facts, and the boot of the node is still another.
#[tokio::test]
async fn the_boot_of_a_sandbox_is_never_the_nodes() {
    let sysbox = with_mount("31 22 0:51 / /proc/sys rw - fuse sysboxfs rw");
    let lxcfs = with_mount("40 22 0:60 /proc/cpuinfo /proc/cpuinfo rw - fuse.lxcfs lxcfs rw");
    for (file, expected) in [
        (("proc/cpuinfo", "processor: 0\n"), Some("1bd2a6f4")),
        (("proc/self/mountinfo", lxcfs.as_str()), Some("1bd2a6f4")),
        (("proc/self/mountinfo", sysbox.as_str()), None),
        (("proc/sentry-meminfo", "Alloc: 1"), None),
        (("proc/cmdline", "agent.log=debug"), None),
    ] {
        let root =
            machine(&[file, ("proc/sys/kernel/random/boot_id", "1bd2a6f4-8f0e-4a7b-9d53-0c2b6f1e7a90\n")]);
        for host in [root.host(), root.host().trusting_sandbox()] {
            assert_eq!(host.boot_id().map(|id| id.to_string()).as_deref(), expected, "{file:?}");
        }
    }
}

/// Old gVisor has no `/proc/sys/kernel/osrelease`.
#[tokio::test]
async fn the_system_call_of_a_sandbox_is_not_the_nodes_either() {
    let version = "#1 SMP Sun Jan 10 15:06:54 PST 2016".to_owned();
    let root = Root::new([("proc/cpuinfo", "processor: 0\n"), ("proc/self/mountinfo", RUNC)]);
    let host = root.host().with_uname(Uname { release: "4.4.0".to_owned(), version });
    assert!(reason("kernel", host.clone()).await.starts_with("this is a sandbox's kernel (gVisor: "));
    let trusted = facts(collector("kernel"), host.trusting_sandbox()).await;
    assert_eq!(trusted.get(None), Some("4.4.0"));
}

#[tokio::test]
async fn lxcfs_takes_only_its_own_files_away() {
    let cpuinfo = with_mount("40 22 0:60 /proc/cpuinfo /proc/cpuinfo rw - fuse.lxcfs lxcfs rw");
    let root = machine(&[("proc/self/mountinfo", &cpuinfo)]);
    let expected = "this is a sandbox's kernel (lxcfs is mounted on `/proc/cpuinfo`); \
                    --trust-sandbox publishes its facts all the same";
    assert_eq!(reason("cpu-model", root.host()).await, expected);
    assert!(facts(collector("kernel"), root.host()).await.left_out().is_empty());

    let topology =
        with_mount("41 23 0:60 /sys/devices/system/cpu /sys/devices/system/cpu rw - fuse.lxcfs lxcfs rw");
    let root = machine(&[("proc/self/mountinfo", &topology)]);
    let facts = facts(collector("cpu-model"), root.host()).await;
    assert_eq!(left_out(&facts), ["cores", "sockets", "threads-per-core"]);
    let reason =
        "cannot read `/sys/devices/system/cpu/online`: lxcfs is mounted on `/sys/devices/system/cpu`";
    assert_eq!(facts.left_out()[0].reason, reason);
}

/// Sysbox shares the node's kernel, and shows sysctls of its own.
#[tokio::test]
async fn sysbox_takes_sysctls_away_and_leaves_the_kernel() {
    let sysctls = with_mount("42 22 0:61 /proc/sys /proc/sys rw - fuse sysboxfs rw");
    let root = machine(&[("proc/self/mountinfo", &sysctls)]);
    assert!(reason("kernel", root.host()).await.contains("Sysbox is mounted on `/proc/sys`"));
    let uname = Uname {
        release: "6.8.0-45-generic".to_owned(),
        version: "#45-Ubuntu SMP PREEMPT_DYNAMIC".to_owned(),
    };
    let facts = facts(collector("kernel"), root.host().with_uname(uname)).await;
    assert_eq!(facts.get(None), Some("6.8.0-45-generic"));
    assert_eq!(left_out(&facts), ["features", "fips", "taints"]);
}

#[tokio::test]
async fn a_virtual_machine_that_is_the_node_is_no_sandbox() {
    let firecracker = [
        (
            "proc/cmdline",
            "console=ttyS0 reboot=k panic=1 pci=off root=/dev/vda rw virtio_mmio.device=4K@0xd0000000:5",
        ),
        ("proc/sys/kernel/osrelease", "6.1.102-fc"),
    ];
    let qemu = [
        ("proc/cmdline", "BOOT_IMAGE=/vmlinuz-6.8.0-45-generic root=UUID=1 ro quiet console=hvc0 agent=off"),
        ("sys/class/dmi/id/sys_vendor", "QEMU"),
    ];
    let with_lxcfs = with_mount("43 21 0:62 / /var/lib/lxcfs rw - fuse.lxcfs lxcfs rw");
    let share = with_mount("44 21 0:63 / /mnt rw - virtiofs shared rw");
    let lookalikes =
        [("proc/self/mountinfo", with_lxcfs.as_str()), ("proc/sys/kernel/osrelease", "6.1.0-gvisor-host")];
    for files in [&firecracker[..], &qemu, &lookalikes, &[("proc/self/mountinfo", share.as_str())], &[]] {
        for name in ["kernel", "cpu-model"] {
            let facts = facts(collector(name), machine(files).host()).await;
            assert!(facts.left_out().is_empty(), "{files:?}: {facts:?}");
        }
    }
    // Where there is no list of mounts, nothing is said of any.
    let facts = facts(collector("kernel"), Root::of_fixture("vm-generic").host()).await;
    assert!(facts.left_out().is_empty());
}

#[derive(Debug)]
struct Service;

impl HttpClient for Service {
    fn send(&self, _: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        Box::pin(async { Ok(HttpResponse::new(200, br#"{"droplet_id":1,"region":"nyc3"}"#.to_vec())) })
    }
}

/// A metadata service answers for the node wherever it is asked from; its firmware does not.
#[tokio::test]
async fn a_sandbox_hides_whose_machine_it_is_and_not_the_metadata_service() {
    let root = machine(&[("proc/sentry-meminfo", ""), ("sys/class/dmi/id/sys_vendor", "DigitalOcean")]);
    let cx = Context::offline(root.host()).with_http(Arc::new(Service));
    let Outcome::NotApplicable(reason) = run(collector("digital-ocean"), cx.clone()).await else { panic!() };
    assert!(reason.starts_with("nothing says that this is a Droplet"), "{reason}");
    let url = [("DIGITAL_OCEAN_METADATA_URL", "http://192.0.2.1/")].into_iter().collect();
    let Outcome::Collected(facts) = run(collector("digital-ocean"), cx.with_environment(url)).await else {
        panic!()
    };
    assert_eq!(facts.get(Some("region")), Some("nyc3"));
}

/// The files of the host are its own, whatever kernel the container has.
#[tokio::test]
async fn files_of_the_host_are_read_in_a_sandbox_too() {
    let root = machine(&[("proc/sentry-meminfo", ""), ("etc/os-release", "ID=ubuntu\n")]);
    assert_eq!(facts(collector("os"), root.host()).await.get(None), Some("ubuntu"));
}
