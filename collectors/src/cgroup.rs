//! `cgroup`: the version of control groups that the node runs, and its controllers.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::list::{is_plain, sorted};

const VERSION: Fact = Fact::primary(
    "version: `v2`, `v1`, or `hybrid`, which is v1 with the hierarchy of v2 mounted somewhere beside it",
    "v2",
    Stability::PerBoot,
);
const CONTROLLERS: Fact = Fact::named(
    "controllers",
    "controllers, joined by commas: with v2 those that the pod's parent passes on, with v1 those that are enabled",
    "cpu,cpuset,hugetlb,io,memory,misc,pids,rdma",
    Stability::PerBoot,
)
.kind(Kind::List);

/// The collector.
pub static CGROUP: Collector = Collector::new(
    "cgroup",
    Topic::System,
    "Version and controllers of control groups",
    &[VERSION, CONTROLLERS],
    Collect::Blocking(collect),
)
.reads(&[GROUPS_PATH, V1_PATH, V2_PATH]);

register!(CGROUP);

/// The groups that the process is in, one line for each hierarchy. The paths in it are those of a
/// namespace, the hierarchies are the node's.
const GROUPS_PATH: &str = "/proc/self/cgroup";
const V1_PATH: &str = "/proc/cgroups";
const V2_PATH: &str = "/sys/fs/cgroup/cgroup.controllers";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let groups = cx.host.read(GROUPS_PATH)?;
    let Some(version) = version(&groups) else {
        return Ok(Collected::unknown(format!("`{GROUPS_PATH}` names neither v1 nor v2")));
    };
    Ok(Facts::new(version).with_read(&CONTROLLERS, controllers(&cx.host, version)).into())
}

/// `0::/kubepods/…` is of v2, and `4:memory:/kubepods/…` of v1. With v2, single hierarchies of v1 may still
/// be there for what v2 does not have, such as `name=systemd` and `net_cls`.
fn version(groups: &str) -> Option<&'static str> {
    let hierarchies = || groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let controllers = || hierarchies().flat_map(|(controllers, _)| controllers.split(','));
    let v1 = controllers().any(|controller| matches!(controller, "cpu" | "memory" | "pids"));
    let v2 = groups.lines().any(|line| line.starts_with("0::"));
    match (v1, v2) {
        (true, true) => Some("hybrid"),
        (true, false) => Some("v1"),
        (false, true) => Some("v2"),
        (false, false) => None,
    }
}

/// From 6.15 on, the list of v1 lacks what v1 does not have.
fn controllers(host: &HostRoot, version: &str) -> Result<Option<String>, HostError> {
    if version == "v2" {
        let words = host.line(V2_PATH)?;
        return Ok(words.map(|words| sorted(words.split_ascii_whitespace().filter(|word| is_plain(word)))));
    }
    Ok(host.text(V1_PATH)?.map(|text| sorted(enabled(&text))))
}

/// Of `/proc/cgroups`, whose lines are `memory 4 30 1`.
fn enabled(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
        [name, _, _, "1"] if is_plain(name) => Some(name),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hierarchies_tell_the_version() {
        for (groups, expected) in [
            ("0::/\n", Some("v2")),
            ("0::/../../pod1/abc\n", Some("v2")),
            ("1:name=systemd:/\n0::/\n", Some("v2")),
            ("2:net_cls,net_prio:/\n0::/\n", Some("v2")),
            ("4:memory:/kubepods\n3:cpu,cpuacct:/kubepods\n1:name=systemd:/\n", Some("v1")),
            ("4:memory:/kubepods\n1:name=systemd:/\n0::/kubepods\n", Some("hybrid")),
            ("", None),
            ("1:name=systemd:/\n", None),
            ("nonsense\n:\n::", None),
        ] {
            assert_eq!(version(groups), expected, "{groups}");
        }
    }

    #[test]
    fn disabled_controllers_are_not_listed() {
        let text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\nmemory\t0\t1\t0\npids\t8\t1\t1\nrest\n";
        assert_eq!(sorted(enabled(text)), "cpuset,pids");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|([0-9]{0,2}:(memory|cpu,|name=x)?:/\n){0,4}|(a\t1\t1\t1\n){0,3}") {
            let _ = version(&text);
            prop_assert!(Kind::List.admits(&sorted(enabled(&text))));
        }
    }
}
