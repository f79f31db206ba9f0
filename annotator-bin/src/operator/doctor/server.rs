//! Whether the API server can keep what is promised.

use k8s_openapi::apimachinery::pkg::version::Info;

use super::check::Conclusion;

/// Since when admission policies are there on every server.
const POLICY: (u32, u32) = (1, 30);
/// Since when the node's name is in tokens on every server.
const NODE_CLAIM: (u32, u32) = (1, 32);

/// What this version of the server can do for us.
pub(super) fn conclude(info: &Info) -> Conclusion {
    let name = &info.git_version;
    let upgrade = "upgrade the cluster to Kubernetes 1.32 or newer";
    match version(info) {
        None => Conclusion::warn(
            format!("cannot read the version `{name}`"),
            "it has to be 1.32 or newer; the other checks show what holds",
        ),
        Some(version) if version < POLICY => Conclusion::fail(
            format!(
                "{name}: no admission policies before 1.30, so that a stolen token may change every node"
            ),
            upgrade,
        ),
        Some(version) if version < NODE_CLAIM => Conclusion::warn(
            format!(
                "{name}: before 1.32 the node's name may be missing from tokens, and then no run can write"
            ),
            format!("{upgrade}, or leave its feature gate ServiceAccountTokenPodNodeInfo on"),
        ),
        Some(_) => Conclusion::pass(name.clone()),
    }
}

/// Since when mutating policies are there on every server.
pub(super) const MUTATING_POLICY: (u32, u32) = (1, 36);

/// Major and minor. Providers write `30+`, and some leave the fields empty.
pub(super) fn version(info: &Info) -> Option<(u32, u32)> {
    let number = |text: &str| text.trim_end_matches('+').parse().ok();
    let parsed = number(&info.major).zip(number(&info.minor));
    parsed.or_else(|| {
        let mut parts = info.git_version.trim_start_matches('v').split(['.', '-', '+']);
        number(parts.next()?).zip(number(parts.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    fn verdict(major: &str, minor: &str, git_version: &str) -> Verdict {
        let [major, minor, git_version] = [major, minor, git_version].map(str::to_owned);
        conclude(&Info { major, minor, git_version, ..Info::default() }).verdict()
    }

    #[test]
    fn what_is_lost_decides() {
        for (minor, expected) in [
            ("29", Verdict::Fail),
            ("30", Verdict::Warn),
            ("31+", Verdict::Warn),
            ("32", Verdict::Pass),
            ("36+", Verdict::Pass),
            ("100", Verdict::Pass),
        ] {
            let git_version = format!("v1.{}.4", minor.trim_end_matches('+'));
            assert_eq!(verdict("1", minor, &git_version), expected, "{minor}");
            assert_eq!(verdict("", "", &format!("{git_version}-eks-a1b2")), expected, "{git_version}");
        }
        assert_eq!(verdict("2", "0", "v2.0.0"), Verdict::Pass);
        assert_eq!(verdict("", "", "unknown"), Verdict::Warn);
    }
}
