//! SIGTERM and SIGINT to the real process, at every moment of a run.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::api::{Answer, FakeApi};
use crate::process::{Pod, example, kill, wait};

/// Lets the process log until this is in a line.
fn wait_for_line(child: &mut Child, words: &str) {
    let lines = BufReader::new(child.stderr.as_mut().expect("a pipe")).lines();
    let found = lines.map(|line| line.expect("text")).find(|line| line.contains(words));
    assert!(found.is_some(), "the process ended without a line with `{words}`");
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// Sends the signal; the exit code, which has to come at once, whatever the deadline.
fn stop(child: &mut Child, signal: Signal) -> Option<i32> {
    let started = Instant::now();
    kill(child.id(), signal);
    let status = wait(child);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    status.code()
}

#[test]
fn while_collecting_nothing_is_written() {
    for signal in [Signal::TERM, Signal::INT] {
        let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
        let mut command = pod.faulty(&["--collectors", "good,waiting,reading", "--kubeconfig"]);
        let mut child = start(command.arg(pod.kubeconfig(api.address)));
        wait_for_line(&mut child, "waiting for ever");
        assert_eq!(stop(&mut child, signal), Some(4));
        assert_eq!(api.further_requests(), 0);
        assert_eq!(pod.termination_message()["error"], "stopped before anything was written");
    }
}

#[test]
fn between_two_tries_there_is_no_second_one() {
    let (api, pod) = (FakeApi::start(&[Answer::Status(503)]), Pod::new());
    let mut child = start(pod.faulty(&["--kubeconfig"]).arg(pod.kubeconfig(api.address)));
    // The pauses grow: the one after the fourth try lasts for seconds.
    for _ in 0..4 {
        api.next_request();
    }
    assert_eq!(stop(&mut child, Signal::TERM), Some(4));
    assert_eq!(api.further_requests(), 0);
    assert!(
        pod.termination_message()["error"].as_str().unwrap().starts_with("stopped before node `worker-1`")
    );
}

#[test]
fn in_flight_the_answer_is_awaited() {
    let (api, pod) = (FakeApi::start(&[Answer::Hold]), Pod::new());
    let mut command = pod.faulty(&["--linger", "--kubeconfig"]);
    let mut child = start(command.arg(pod.kubeconfig(api.address)));
    api.next_request();
    kill(child.id(), Signal::TERM);
    api.release();
    assert_eq!(wait(&mut child).code(), Some(0));
    assert_eq!(api.further_requests(), 0);
    assert_eq!(pod.termination_message()["exitCode"], 0);
}

#[test]
fn a_lingering_process_leaves_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
        let mut command = pod.faulty(&["--linger", "--kubeconfig"]);
        let mut child = start(command.arg(pod.kubeconfig(api.address)));
        wait_for_line(&mut child, "waiting to be taken away");
        // What there is to say is said before the wait.
        assert_eq!(pod.termination_message()["exitCode"], 0);
        assert_eq!(stop(&mut child, signal), Some(0));
    }
}

#[test]
fn lingering_is_bounded() {
    let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
    let mut command = pod.faulty(&["--linger", "--linger-limit", "100ms", "--kubeconfig"]);
    let mut child = start(command.arg(pod.kubeconfig(api.address)));
    wait_for_line(&mut child, "nobody took this pod away");
    assert_eq!(wait(&mut child).code(), Some(0));
}

#[test]
fn a_run_that_failed_ends_unless_it_is_to_linger() {
    let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
    let mut command = pod.faulty(&["--collectors", "failing", "--kubeconfig"]);
    assert_eq!(wait(&mut start(command.arg(pod.kubeconfig(api.address)))).code(), Some(3));
}

#[test]
fn a_pause_between_two_tries_ends_at_once() {
    let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
    let mut command = pod.faulty(&["--collectors", "good,failing", "--linger", "--kubeconfig"]);
    let mut child = start(command.arg(pod.kubeconfig(api.address)));
    wait_for_line(&mut child, "trying them again");
    assert_eq!(pod.termination_message()["failed"]["failing"], "cannot read the palm");
    assert_eq!(stop(&mut child, Signal::TERM), Some(3));
    api.next_request();
    assert_eq!(api.further_requests(), 0);
}

#[test]
fn the_pause_before_an_end_that_could_not_write_ends_at_once() {
    // Not a moment that may be early, and none that passes.
    let (api, pod) = (FakeApi::start(&[Answer::Status(422)]), Pod::new());
    let mut command = pod.faulty(&["--linger", "--kubeconfig"]);
    let mut child = start(command.arg(pod.kubeconfig(api.address)));
    wait_for_line(&mut child, "each at another moment");
    assert_eq!(pod.termination_message()["exitCode"], 4);
    assert_eq!(stop(&mut child, Signal::TERM), Some(4));
    api.next_request();
    assert_eq!(api.further_requests(), 0);
}

#[test]
fn what_was_given_up_lingers_and_then_is_a_failure() {
    let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
    let arguments = ["--linger", "--give-up-after", "3s", "--linger-limit", "100ms", "--kubeconfig"];
    let mut command = pod.faulty(&["--collectors", "good,failing"]);
    let mut child = start(command.args(arguments).arg(pod.kubeconfig(api.address)));
    wait_for_line(&mut child, "given up; waiting to be taken away");
    assert_eq!(wait(&mut child).code(), Some(3));
    let labels =
        |request: &str| serde_json::from_str::<Value>(request).unwrap()["metadata"]["labels"].clone();
    let first = labels(&api.next_request().body);
    assert_eq!(first, json!({"k8s.haim.dev/good": "saved", "k8s.haim.dev/good.failed": null}));
    assert_eq!(labels(&api.next_request().body), json!({"k8s.haim.dev/failing.failed": "saved"}));
    assert_eq!(api.further_requests(), 0);
    assert_eq!(pod.termination_message()["exitCode"], 3);
}

/// As the first process of a container it would ignore every signal without a handler.
#[test]
fn the_first_process_of_a_container_leaves_at_once() {
    let container = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child"];
    let may = Command::new("unshare").args(container).arg("true").stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this machine does not let us make a process namespace");
        return;
    }
    let pod = Pod::new();
    let mut command = Command::new("unshare");
    command.args(container).arg(example("faulty_collectors").get_program()).env_clear();
    command.args(["--dry-run", "--linger", "--termination-message-path"]).arg(pod.path("termination-log"));
    let mut child = start(&mut command);
    wait_for_line(&mut child, "waiting to be taken away");
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let first = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    kill(first, Signal::TERM);
    assert_eq!(wait(&mut child).code(), Some(0));
}

/// A log that nobody reads, and a collector that blocks, hold the thread that would otherwise end the
/// process.
#[test]
fn a_process_that_is_stuck_leaves_soon_all_the_same() {
    let pod = Pod::new();
    let mut child = start(&mut pod.faulty(&["--collectors", "rude", "--dry-run"]));
    wait_for_line(&mut child, "blocking the runtime");
    let started = Instant::now();
    kill(child.id(), Signal::TERM);
    assert_eq!(wait(&mut child).code(), Some(4));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(pod.termination_message()["exitCode"], 4);
}

#[test]
fn each_try_is_watched() {
    let pod = Pod::new();
    std::fs::write(pod.path("proc/patience"), "some\n").unwrap();
    let arguments =
        ["--collectors", "rude", "--dry-run", "--linger", "--deadline", "2s", "--publish-budget", "1s"];
    let mut child = start(&mut pod.faulty(&arguments));
    wait_for_line(&mut child, "trying them again");
    assert_eq!(pod.termination_message()["exitCode"], 3);
    std::fs::remove_file(pod.path("proc/patience")).unwrap();
    wait_for_line(&mut child, "blocking the runtime");
    assert_eq!(wait(&mut child).code(), Some(4));
    assert_eq!(pod.termination_message()["exitCode"], 4);
}

#[test]
fn a_lingering_process_whose_log_nobody_reads_leaves_soon() {
    let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
    let (_reader, log) = std::io::pipe().unwrap();
    let mut filling = Command::new("dd")
        .args(["if=/dev/zero", "bs=4096", "count=15", "status=none"])
        .stdout(log.try_clone().unwrap())
        .spawn()
        .unwrap();
    assert!(filling.wait().unwrap().success());
    // What it logs before it lingers fits into what is left of the pipe; its last line does not.
    let mut rest = Command::new("dd");
    rest.args(["if=/dev/zero", "bs=1", "count=3900", "status=none"]).stdout(log.try_clone().unwrap());
    assert!(rest.status().unwrap().success());
    let mut command = pod.faulty(&["--linger", "--kubeconfig"]);
    command.arg(pod.kubeconfig(api.address)).stdout(Stdio::null()).stderr(log);
    let mut child = command.spawn().unwrap();
    api.next_request();
    let until = Instant::now() + Duration::from_secs(20);
    while std::fs::read_to_string(pod.path("termination-log")).unwrap().is_empty() {
        assert!(Instant::now() < until, "no termination message");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let asked = Instant::now();
    kill(child.id(), Signal::TERM);
    assert_eq!(wait(&mut child).code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}
