//! `limits`: limits of the node that workloads run into.
//!
//! They are those of the kernel for the whole node, and none of the pod's own.

use std::io;

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::release::{self, Release};

const MAX_MAP_COUNT: Fact = Fact::primary(
    "`vm.max_map_count`: memory areas of a process; search engines and databases ask for more than 65530",
    "262144",
    Stability::Dynamic,
)
.kind(Kind::Number);
const USER_NAMESPACES: Fact = Fact::named(
    "user-namespaces",
    "who may create user namespaces: `all`, `restricted` (a process without privileges only with an AppArmor profile that \
     allows it, or not at all), `none`",
    "restricted",
    Stability::Dynamic,
);
const INOTIFY_INSTANCES: Fact = Fact::named(
    "inotify-instances",
    "`fs.inotify.max_user_instances`, which all pods of a user share",
    "8192",
    Stability::Dynamic,
)
.kind(Kind::Number);
const INOTIFY_WATCHES: Fact = Fact::named(
    "inotify-watches",
    "`fs.inotify.max_user_watches`, which all pods of a user share",
    "524288",
    Stability::Dynamic,
)
.kind(Kind::Number);
const THREADS_MAX: Fact =
    Fact::named("threads-max", "`kernel.threads-max`: threads of the node", "255823", Stability::Dynamic)
        .kind(Kind::Number);
const PID_MAX: Fact = Fact::named(
    "pid-max",
    "`kernel.pid_max`: processes and threads of the node; not there from 6.14 on, where a pod sees its own",
    "4194304",
    Stability::Dynamic,
)
.kind(Kind::Number);

/// The collector.
pub static LIMITS: Collector = Collector::new(
    "limits",
    Topic::System,
    "Limits of the node that workloads run into",
    &[MAX_MAP_COUNT, USER_NAMESPACES, INOTIFY_INSTANCES, INOTIFY_WATCHES, THREADS_MAX, PID_MAX],
    Collect::Blocking(collect),
)
.reads(&[
    MAX_MAP_COUNT_PATH,
    UID_MAP_PATH,
    MAX_USER_NAMESPACES_PATH,
    UNPRIVILEGED_PATH,
    APPARMOR_PATH,
    INOTIFY_INSTANCES_PATH,
    INOTIFY_WATCHES_PATH,
    THREADS_MAX_PATH,
    release::PATH,
    PID_MAX_PATH,
]);

register!(LIMITS);

const MAX_MAP_COUNT_PATH: &str = "/proc/sys/vm/max_map_count";
const INOTIFY_INSTANCES_PATH: &str = "/proc/sys/fs/inotify/max_user_instances";
const INOTIFY_WATCHES_PATH: &str = "/proc/sys/fs/inotify/max_user_watches";
const THREADS_MAX_PATH: &str = "/proc/sys/kernel/threads-max";
const PID_MAX_PATH: &str = "/proc/sys/kernel/pid_max";
const UID_MAP_PATH: &str = "/proc/self/uid_map";
const MAX_USER_NAMESPACES_PATH: &str = "/proc/sys/user/max_user_namespaces";
/// Of Debian's and Ubuntu's kernels alone.
const UNPRIVILEGED_PATH: &str = "/proc/sys/kernel/unprivileged_userns_clone";
/// Of Ubuntu's kernels alone.
const APPARMOR_PATH: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";

/// The first release in which each PID namespace has its own highest number.
const PID_MAX_OF_NAMESPACE: (u32, u32) = (6, 14);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let host = &cx.host;
    let Some(max_map_count) = host.number(MAX_MAP_COUNT_PATH)? else {
        return Err(HostError::absent(MAX_MAP_COUNT_PATH).into());
    };
    Ok(Facts::new(max_map_count.to_string())
        .with_read(&USER_NAMESPACES, user_namespaces(host))
        .with_read(&INOTIFY_INSTANCES, host.number(INOTIFY_INSTANCES_PATH))
        .with_read(&INOTIFY_WATCHES, host.number(INOTIFY_WATCHES_PATH))
        .with_read(&THREADS_MAX, host.number(THREADS_MAX_PATH))
        .with_read(&PID_MAX, pid_max(host))
        .into())
}

fn user_namespaces(host: &HostRoot) -> Result<Option<&'static str>, HostError> {
    if host.line(UID_MAP_PATH)?.is_some_and(|map| !is_of_node(&map)) {
        let reason = io::Error::other("the pod has a user namespace of its own");
        return Err(HostError::not_visible(MAX_USER_NAMESPACES_PATH, reason));
    }
    let max = host.number(MAX_USER_NAMESPACES_PATH)?;
    let unprivileged = host.number(UNPRIVILEGED_PATH)?;
    let apparmor = host.number(APPARMOR_PATH)?;
    Ok(max.map(|max| match (max, unprivileged, apparmor) {
        (0, ..) => "none",
        (_, Some(0), _) | (_, _, Some(1..)) => "restricted",
        _ => "all",
    }))
}

/// Whether all users are mapped to themselves: the one line `0 0 4294967295`.
fn is_of_node(uid_map: &str) -> bool {
    uid_map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

fn pid_max(host: &HostRoot) -> Result<Option<u64>, HostError> {
    let release = host.line(release::PATH)?;
    let release = release.as_deref().and_then(Release::parse);
    if release.is_none_or(|release| (release.major, release.minor) >= PID_MAX_OF_NAMESPACE) {
        return Ok(None);
    }
    host.number(PID_MAX_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_user_namespace_maps_all_users_to_themselves() {
        assert!(is_of_node("         0          0 4294967295"));
        for map in ["0 65536 65536", "0 0 4294967294", "", "0 0 4294967295 1", "x"] {
            assert!(!is_of_node(map), "{map}");
        }
    }
}
