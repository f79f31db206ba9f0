//! The termination message: bounded, JSON, and never in the way.

use std::time::Duration;

use node_annotator::exit::Exit;
use node_annotator::node::termination::{MAX_BYTES, message};
use node_annotator::trouble::Trouble;
use node_annotator_core::{
    Collect, CollectError, Collector, Entry, Fact, Facts, Outcome, Report, Stability, Topic,
};
use serde_json::{Value, json};

use crate::process::{Pod, run, stderr};

/// Leaks, as a registration lives for ever.
fn collector(name: String) -> &'static Collector {
    let collect = Collect::Blocking(|_| Ok(Facts::new("x").into()));
    let facts = const { &[Fact::primary("", "", Stability::Immutable)] };
    Box::leak(Box::new(Collector::new(name.leak(), Topic::System, "", facts, collect)))
}

fn report(count: usize, outcome: &Outcome) -> Report {
    let entry = |number| Entry {
        collector: collector(format!("a-collector-with-a-long-name-{number:03}")),
        outcome: outcome.clone(),
        attempts: 1,
        duration: Duration::ZERO,
    };
    Report::new((0..count).map(entry).collect())
}

#[test]
fn however_long_the_report_it_fits_and_parses() {
    // Quotes double in JSON.
    let failed = Outcome::failed(&CollectError::new("\"\\".repeat(400)));
    let failure = Trouble::new("\"".repeat(10_000), "look closer");
    for count in [0, 1, 3, 4, 10, 30, 60, 100, 300] {
        for outcome in [&failed, &Outcome::Collected(Facts::new("fact"))] {
            let text = message(Exit::Failures, Some(&failure), Some(&report(count, outcome)));
            assert!(text.len() <= MAX_BYTES, "{count}: {} bytes", text.len());
            let summary: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&summary["exitCode"], &summary["hint"]), (&3.into(), &"look closer".into()));
            let total = |key: &str| match &summary[key] {
                Value::Array(names) => names.len(),
                Value::Object(failures) => failures.len(),
                number => usize::try_from(number.as_u64().unwrap()).unwrap(),
            };
            assert_eq!(total("done") + total("failed"), count, "{summary}");
        }
    }
}

#[test]
fn a_short_report_is_told_in_full() {
    let error = CollectError::new("cannot read").with_hint("chmod");
    let report = report(1, &Outcome::failed(&error));
    let told: Value = serde_json::from_str(&message(Exit::Failures, None, Some(&report))).unwrap();
    let expected =
        json!({"exitCode": 3, "done": [], "failed": {"a-collector-with-a-long-name-000": "cannot read"}});
    assert_eq!(told, expected);
}

#[test]
fn where_the_kubelet_made_no_file_none_is_made() {
    let pod = Pod::new();
    std::fs::remove_file(pod.path("termination-log")).unwrap();
    let output = run(&mut pod.faulty(&["--dry-run"]));
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    assert!(!pod.path("termination-log").exists());
}

#[test]
fn a_file_that_cannot_be_written_is_a_warning() {
    let pod = Pod::new();
    let mut command = pod.faulty(&["--dry-run", "--termination-message-path"]);
    let output = run(command.arg(pod.path("etc")));
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("WARN cannot write the termination message"), "{}", stderr(&output));
}

#[test]
fn a_longer_message_of_the_container_before_is_not_left_behind() {
    let pod = Pod::new();
    std::fs::write(pod.path("termination-log"), "x".repeat(4096)).unwrap();
    assert!(run(&mut pod.faulty(&["--dry-run"])).status.success());
    assert_eq!(pod.termination_message(), json!({"exitCode": 0, "done": ["absent", "good"], "failed": {}}));
}

/// Opening a pipe waits for whoever reads it.
#[test]
fn a_pipe_that_nobody_reads_is_a_warning() {
    let pod = Pod::new();
    let pipe = pod.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = pod.faulty(&["--dry-run", "--deadline", "60s", "--termination-message-path"]);
    let started = std::time::Instant::now();
    let output = run(command.arg(&pipe));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("WARN cannot write the termination message"), "{}", stderr(&output));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());

    // The watchdog writes there, too.
    let mut command =
        pod.faulty(&["--dry-run", "--collectors", "rude", "--deadline", "2s", "--publish-budget", "1s"]);
    let output = run(command.arg("--termination-message-path").arg(&pipe));
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
}
