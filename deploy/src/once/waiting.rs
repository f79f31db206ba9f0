//! Containers that only wait: what a DaemonSet needs behind an init container that does the work.

use k8s_openapi::api::core::v1::Container;

/// What a shell is given to wait with, without spaces at the ends.
const SCRIPTS: [&str; 10] = [
    "sleep infinity",
    "exec sleep infinity",
    "sleep inf",
    "tail -f /dev/null",
    "exec tail -f /dev/null",
    "while true; do sleep N; done",
    "while :; do sleep N; done",
    "trap : TERM INT; sleep infinity & wait",
    "trap : TERM INT; (while true; do sleep N; done) & wait",
    "sleep N",
];

/// Whether a container does nothing but wait.
pub(super) fn only_waits(container: &Container) -> bool {
    let words: Vec<&str> =
        container.command.iter().chain(&container.args).flatten().map(String::as_str).collect();
    if words.is_empty() || words == ["/pause"] {
        return container.image.as_deref().is_some_and(is_pause);
    }
    let program = words[0].rsplit('/').next().unwrap_or_default();
    match (program, &words[1..]) {
        ("sleep", ["infinity" | "inf"]) | ("tail", ["-f", "/dev/null"]) => true,
        ("sleep", [time]) => is_long(time),
        ("sh" | "bash" | "ash" | "dash", ["-c" | "-ec", script]) => waits(script),
        _ => false,
    }
}

/// `registry.k8s.io/pause:3.10`, and its copies elsewhere.
fn is_pause(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    let name = last.split(['@', ':']).next().unwrap_or_default();
    name == "pause" || name.starts_with("pause-")
}

/// An hour and more, or a time with a unit: nobody does that to wait for something.
fn is_long(time: &str) -> bool {
    match time.parse::<u64>() {
        Ok(seconds) => seconds >= 3600,
        Err(_) => time.ends_with('d'),
    }
}

fn waits(script: &str) -> bool {
    let words: Vec<_> = script.split_whitespace().collect();
    let mut spelled = words.join(" ");
    let numbers = words.iter().map(|word| word.trim_end_matches(';'));
    let numbers: Vec<_> = numbers.filter(|word| word.parse::<u64>().is_ok()).collect();
    if let [number] = numbers[..] {
        let is_loop = spelled.contains("while ");
        if !is_loop && !is_long(number) {
            return false;
        }
        spelled = spelled.replace(number, "N");
    }
    SCRIPTS.contains(&spelled.trim_end_matches(';').trim_end())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_only_waits_is_told_from_what_works() {
        let container = |image: &str, words: &[&str]| -> Container {
            serde_json::from_value(json!({"name": "c", "image": image, "command": words})).unwrap()
        };
        for (image, words, waits) in [
            ("registry.k8s.io/pause:3.10", &[][..], true),
            ("gcr.io/google-containers/pause-amd64:3.1", &[], true),
            ("pause@sha256:00", &["/pause"], true),
            ("nginx", &[], false),
            ("pausenot", &[], false),
            ("busybox", &["sleep", "infinity"], true),
            ("busybox", &["/bin/sleep", "86400"], true),
            ("busybox", &["sleep", "5"], false),
            ("busybox", &["tail", "-f", "/dev/null"], true),
            ("busybox", &["tail", "-f", "/var/log/messages"], false),
            ("busybox", &["sh", "-c", "while true; do sleep 3600; done"], true),
            ("busybox", &["sh", "-c", "while :; do sleep 10; done;"], true),
            ("busybox", &["/bin/sh", "-c", "sleep   infinity"], true),
            ("busybox", &["sh", "-c", "sleep 3"], false),
            ("busybox", &["sh", "-c", "touch /x; sleep infinity"], false),
            ("busybox", &["sh", "-c", "while true; do date; sleep 10; done"], false),
        ] {
            assert_eq!(only_waits(&container(image, words)), waits, "{image} {words:?}");
        }
    }
}
