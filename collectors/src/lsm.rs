//! `lsm`: the security modules of the kernel that are seen to be active.
//!
//! The list of all of them is in securityfs, which a pod does not have, and behind a system call that the
//! seccomp profiles of older containerd and of Docker refuse. So the modules are told by what they show to
//! every process.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::list::sorted;

const ACTIVE: Fact = Fact::primary(
    "security modules that are active, of those that show themselves to every process: `apparmor`, `loadpin`, `selinux` \
     (enforcing or not), `smack`, `yama`; `none` if none of them is",
    "apparmor,yama",
    Stability::PerBoot,
)
.kind(Kind::List);

/// The collector.
pub static LSM: Collector = Collector::new(
    "lsm",
    Topic::Kernel,
    "Security modules of the kernel, such as AppArmor or SELinux",
    &[ACTIVE],
    Collect::Blocking(collect),
)
.reads(&[FILESYSTEMS_PATH, LABEL_PATH, LOADPIN_PATH, YAMA_PATH]);

register!(LSM);

/// The label of the process itself. Without AppArmor, SELinux or Smack, reading it fails.
const LABEL_PATH: &str = "/proc/self/attr/current";
const FILESYSTEMS_PATH: &str = "/proc/filesystems";
const LOADPIN_PATH: &str = "/proc/sys/kernel/loadpin/enforce";
const YAMA_PATH: &str = "/proc/sys/kernel/yama/ptrace_scope";

/// Sysctls that are there with a module, and only while it is active.
const SYSCTLS: [(&str, &str); 2] = [("loadpin", LOADPIN_PATH), ("yama", YAMA_PATH)];

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    Ok(Facts::new(sorted(active(&cx.host)?)).into())
}

fn active(host: &HostRoot) -> Result<Vec<&'static str>, HostError> {
    let filesystems = host.read(FILESYSTEMS_PATH)?;
    let mut active = Vec::new();
    if host.line(LABEL_PATH)?.is_some() {
        active.push(labels(&filesystems));
    }
    for (module, path) in SYSCTLS {
        active.extend(host.exists(path)?.then_some(module));
    }
    Ok(active)
}

/// Which module gives processes their labels; no two of these are active at once. SELinux and Smack have a
/// file system each, which is there only if they are.
fn labels(filesystems: &str) -> &'static str {
    let has = |name: &str| filesystems.split_ascii_whitespace().any(|word| word == name);
    if has("selinuxfs") {
        "selinux"
    } else if has("smackfs") {
        "smack"
    } else {
        "apparmor"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_tells_whose_labels_they_are() {
        assert_eq!(labels("nodev\tsysfs\nnodev\tselinuxfs\n\text4\n"), "selinux");
        assert_eq!(labels("nodev\tsmackfs\n"), "smack");
        assert_eq!(labels("nodev\tsecurityfs\nnodev\tnoselinuxfs\n"), "apparmor");
    }
}
