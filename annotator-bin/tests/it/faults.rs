//! Collectors that fail, panic, hang and block, in the real process: it ends by its deadline, and what the
//! others found is written.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{Answer, FakeApi};
use crate::process::{Pod, run, stderr, wait};

/// The watchdog's overtime, and a busy machine.
const SLACK: Duration = Duration::from_secs(3);

const DEADLINE: [&str; 4] = ["--deadline", "2s", "--publish-budget", "1s"];

fn within<T>(limit: Duration, what: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let value = what();
    assert!(started.elapsed() < limit + SLACK, "took {:?}", started.elapsed());
    value
}

fn report(command: &mut Command) -> (Option<i32>, Value) {
    let output = run(command.args(["-o", "json"]));
    let report =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    (output.status.code(), report)
}

#[test]
fn whatever_the_others_do_the_good_one_is_written() {
    let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
    let mut command = pod.faulty(&DEADLINE);
    command
        .args(["--collectors", "good,absent,failing,panicking,slow,waiting,reading"])
        .arg("--kubeconfig")
        .arg(pod.kubeconfig(api.address));
    let (code, report) = within(Duration::from_secs(2), || report(&mut command));

    assert_eq!(code, Some(3));
    let outcomes: Vec<_> = report["collectors"].as_array().unwrap().iter().collect();
    let outcome = |name: &str| {
        let mut entry = (*outcomes.iter().find(|entry| entry["collector"] == name).unwrap()).clone();
        entry.as_object_mut().unwrap().retain(|key, _| !matches!(key.as_str(), "milliseconds" | "attempts"));
        entry
    };
    assert_eq!(
        outcome("good"),
        json!({"collector": "good", "outcome": "collected", "facts": {"good": "hello"}})
    );
    let reason = "there is nothing here";
    assert_eq!(
        outcome("absent"),
        json!({"collector": "absent", "outcome": "not-applicable", "reason": reason})
    );
    let failed = json!({
        "collector": "failing", "outcome": "failed", "error": "cannot read the palm", "hint": "hold still"
    });
    assert_eq!(outcome("failing"), failed);
    assert_eq!(outcome("panicking")["error"], "panicked: lost my head");
    assert_eq!(outcome("slow")["error"], "timed out after 300ms");
    for name in ["waiting", "reading"] {
        assert_eq!(outcome(name)["outcome"], "timed-out");
        assert_eq!(outcome(name)["error"], "not finished when the collect budget of 1s ended");
    }

    let sent: Value = serde_json::from_str(&api.next_request().body).unwrap();
    let labels = json!({
        "k8s.haim.dev/good": "saved", "k8s.haim.dev/good.failed": null,
        "k8s.haim.dev/absent": "saved", "k8s.haim.dev/absent.failed": null,
    });
    assert_eq!(sent["metadata"]["labels"], labels);
    assert_eq!(sent["metadata"]["annotations"]["k8s.haim.dev/reading.error"], outcome("reading")["error"]);
    assert_eq!(api.further_requests(), 0);
    let message = pod.termination_message();
    assert_eq!((&message["exitCode"], &message["done"]), (&3.into(), &json!(["absent", "good"])));
    assert_eq!(message["failed"]["failing"], "cannot read the palm");
}

#[test]
fn a_collector_that_blocks_the_runtime_is_ended_by_the_watchdog() {
    let pod = Pod::new();
    let mut command = pod.faulty(&DEADLINE);
    let output = within(Duration::from_secs(2), || run(command.args(["--collectors", "good,rude"])));
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("stuck"), "{}", stderr(&output));
    let message = pod.termination_message();
    assert_eq!(message["exitCode"], 4);
    assert!(message["error"].as_str().unwrap().starts_with("stuck"), "{message}");
}

#[test]
fn a_credential_plugin_that_hangs_stops_no_timer() {
    let pod = Pod::new();
    let text = std::fs::read_to_string(pod.kubeconfig("127.0.0.1:9")).unwrap();
    let plugin = r#""exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["5"], "interactiveMode": "Never"}"#;
    std::fs::write(pod.path("kubeconfig"), text.replace(r#""token": "secret""#, plugin)).unwrap();
    let mut command = pod.faulty(&DEADLINE);
    command.args(["--collectors", "good,slow", "--kubeconfig"]).arg(pod.path("kubeconfig"));
    let (code, report) = within(Duration::from_secs(2), || report(&mut command));
    assert_eq!(code, Some(4));
    assert_eq!(report["collectors"][1]["error"], "timed out after 300ms");
    let error = "node `worker-1` could not be written before the deadline: there are no credentials yet";
    assert_eq!(report["error"]["message"], error);
}

#[test]
fn logs_that_nobody_reads_do_not_hold_the_process() {
    let pod = Pod::new();
    let mut command = pod.faulty(&DEADLINE);
    command.args(["--collectors", "noisy"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let status = within(Duration::from_secs(2), || wait(&mut child));
    assert_eq!(status.code(), Some(4));
    assert_eq!(pod.termination_message()["exitCode"], 4);
}

#[test]
fn a_report_that_nobody_reads_does_not_hold_the_process() {
    let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
    // The pipe is full already.
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut filling = Command::new("dd")
        .args(["if=/dev/zero", "bs=4096", "count=16", "status=none"])
        .stdout(writer.try_clone().unwrap())
        .spawn()
        .unwrap();
    assert!(filling.wait().unwrap().success());
    let mut command = pod.faulty(&DEADLINE);
    command.args(["--collectors", "good", "--linger", "--kubeconfig"]).arg(pod.kubeconfig(api.address));
    let mut child = command.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    let status = within(Duration::from_secs(2), || wait(&mut child));
    assert_eq!(status.code(), Some(0), "it is written");
    assert_eq!(pod.termination_message()["exitCode"], 0);
}

#[test]
fn a_panic_of_a_collector_is_one_line_of_the_log() {
    let output = run(Pod::new()
        .faulty(&["--collectors", "panicking", "--dry-run", "--log-format", "json"])
        .env("RUST_BACKTRACE", "1"));
    let lines: Vec<Value> = stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["message"], "panicked: lost my head");
    assert!(lines[0]["location"].as_str().unwrap().contains("faulty_collectors.rs:"), "{}", lines[0]);
    assert_eq!((output.status.code(), lines.len()), (Some(3), 2), "{lines:?}");
}
