//! The publisher: when it writes, and what.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::Shared;
use crate::api::{Answer, FakeApi, Received};
use crate::process::{Pod, kill, stock, wait};

/// A publisher for two steps, on a fake API server.
fn publisher(shared: &Shared, pod: &Pod, api: &FakeApi, options: &[&str]) -> Command {
    let mut command = stock();
    command
        .args(["once-publish", "--task=tune", "--step=init", "--step=main", "--node-name=worker-1"])
        .args(["--generation=h1", "--fact=rack", "--retired-fact=old", "--linger-limit=100ms", "--state"])
        .arg(shared.path("state"))
        .arg("--kubeconfig")
        .arg(pod.kubeconfig(api.address))
        .args(options);
    if !options.iter().any(|option| option.starts_with("--timeout")) {
        command.args(["--timeout=1m", "--tries=3"]);
    }
    command
        .env("NODE_ANNOTATOR_HOST_ROOT", pod.path(""))
        .env("NODE_ANNOTATOR_TERMINATION_MESSAGE_PATH", pod.path("termination-log"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn start(shared: &Shared, pod: &Pod, api: &FakeApi, options: &[&str]) -> Child {
    publisher(shared, pod, api, options).spawn().expect("it starts")
}

fn metadata(request: &Received) -> Value {
    serde_json::from_str::<Value>(&request.body).unwrap()["metadata"].clone()
}

fn record(end: &str, facts: &Value) -> Value {
    json!({"tries": 1, "is_running": false, "failure": null, "end": end, "facts": facts})
}

#[test]
fn one_request_when_all_steps_are_done() {
    let (shared, pod, api) = (Shared::new(), Pod::new(), FakeApi::start(&[Answer::Store]));
    let mut child = start(&shared, &pod, &api, &["--per-boot"]);
    shared.keep("init", &record("Done", &json!({})));
    let facts = json!({"value": " ready\u{1b}[31m\n", "rack": "42", "forged": "1", "error": "x"});
    shared.keep("main", &record("Done", &facts));
    let request = api.next_request();
    assert!(request.line.starts_with("PATCH /api/v1/nodes/worker-1?"), "{}", request.line);
    assert!(request.headers.iter().any(|line| line.starts_with("user-agent: node-annotator/")));
    assert_eq!(
        metadata(&request),
        json!({
            "labels": {"k8s.haim.dev/tune": "h1", "k8s.haim.dev/tune.failed": null},
            "annotations": {
                "k8s.haim.dev/tune": "ready [31m",
                "k8s.haim.dev/tune.rack": "42",
                "k8s.haim.dev/tune.old": null,
                "k8s.haim.dev/tune.error": null,
                "k8s.haim.dev/tune.boot-id": null,
                "k8s.haim.dev/tune.collected-at": null,
            },
        })
    );
    assert_eq!(wait(&mut child).code(), Some(0));
    assert_eq!(api.further_requests(), 0);
    assert_eq!(pod.termination_message()["done"], json!(["tune"]));
}

#[test]
fn the_boot_stands_beside_the_done_label_of_a_task_without_facts() {
    let (shared, pod, api) = (Shared::new(), Pod::new(), FakeApi::start(&[Answer::Store]));
    fs::create_dir_all(pod.path("proc/sys/kernel/random")).unwrap();
    fs::write(pod.path("proc/sys/kernel/random/boot_id"), "1bd2a6f4-8f0e-4a7b-9d53-0c2b6f1e7a90\n").unwrap();
    for step in ["init", "main"] {
        shared.keep(step, &record("Done", &json!({})));
    }
    let mut child = start(&shared, &pod, &api, &["--per-boot"]);
    let annotations = metadata(&api.next_request())["annotations"].clone();
    assert_eq!(annotations["k8s.haim.dev/tune.boot-id"], "1bd2a6f4");
    assert_eq!(annotations["k8s.haim.dev/tune"], Value::Null);
    wait(&mut child);
}

#[test]
fn the_first_failure_is_told_once_and_the_last_gives_up() {
    let (shared, pod, api) = (Shared::new(), Pod::new(), FakeApi::start(&[Answer::Store]));
    let failing = |tries: u32, end: Value| {
        let failure = format!("exit code {tries}: no space\u{202e} left");
        json!({"tries": tries, "is_running": false, "failure": failure, "end": end, "facts": {}})
    };
    shared.keep("init", &failing(1, Value::Null));
    let mut child = start(&shared, &pod, &api, &[]);
    let first = metadata(&api.next_request());
    assert_eq!(
        first,
        json!({"annotations": {"k8s.haim.dev/tune.error": "`init`: exit code 1: no space left"}})
    );
    shared.keep("init", &failing(2, Value::Null));
    let until = Instant::now() + Duration::from_millis(800);
    while Instant::now() < until {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert_eq!(api.further_requests(), 0, "failing again was written");
    shared.keep("init", &failing(3, json!("Failed")));
    let last = metadata(&api.next_request());
    assert_eq!(last["labels"], json!({"k8s.haim.dev/tune.failed": "h1"}));
    assert_eq!(last["annotations"]["k8s.haim.dev/tune.error"], "`init`: exit code 3: no space left");
    assert_eq!(wait(&mut child).code(), Some(3));
    assert_eq!(pod.termination_message()["failed"]["tune"], "`init`: exit code 3: no space left");
}

#[test]
fn a_step_that_never_starts_fails_in_time() {
    let (shared, pod, api) = (Shared::new(), Pod::new(), FakeApi::start(&[Answer::Store]));
    shared.keep("init", &record("Done", &json!({})));
    let mut child = start(&shared, &pod, &api, &["--timeout=1s", "--tries=3"]);
    let first = metadata(&api.next_request());
    let error = first["annotations"]["k8s.haim.dev/tune.error"].as_str().unwrap();
    assert!(error.starts_with("`main` has not started after 1s"), "{error}");
    assert_eq!(first.get("labels"), None);
    assert_eq!(metadata(&api.next_request())["labels"], json!({"k8s.haim.dev/tune.failed": "h1"}));
    wait(&mut child);
}

#[test]
fn what_cannot_be_written_ends_the_container_and_the_next_one_writes_it() {
    let (shared, pod) = (Shared::new(), Pod::new());
    for step in ["init", "main"] {
        shared.keep(step, &record("Done", &json!({})));
    }
    let api = FakeApi::start(&[Answer::Status(422), Answer::Store]);
    let mut child = start(&shared, &pod, &api, &[]);
    api.next_request();
    // The pause before the end ends with a signal.
    while fs::read_to_string(pod.path("termination-log")).unwrap().is_empty() {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    kill(child.id(), Signal::TERM);
    assert_eq!(wait(&mut child).code(), Some(4));
    let mut child = start(&shared, &pod, &api, &[]);
    assert_eq!(metadata(&api.next_request())["labels"]["k8s.haim.dev/tune"], "h1");
    assert_eq!(wait(&mut child).code(), Some(0));
}

/// A command of the operator's runs as whoever its image says, and may know where the folder is.
#[test]
fn a_record_that_is_a_link_is_not_followed() {
    let (shared, pod, api) = (Shared::new(), Pod::new(), FakeApi::start(&[Answer::Store]));
    shared.keep("init", &record("Done", &json!({})));
    fs::write(shared.path("token"), record("Done", &json!({"value": "secret"})).to_string()).unwrap();
    std::os::unix::fs::symlink(shared.path("token"), shared.path("state").join("main.json")).unwrap();
    let mut child = start(&shared, &pod, &api, &[]);
    let request = api.next_request();
    assert!(!request.body.contains("secret"), "{}", request.body);
    assert!(request.body.contains("`main`: what became of it cannot be read"), "{}", request.body);
    wait(&mut child);
}

/// Neither its memory nor its environment is open to another process of its user.
#[test]
fn nobody_looks_into_the_publisher() {
    let (shared, pod, api) = (Shared::new(), Pod::new(), FakeApi::start(&[Answer::Hold]));
    for step in ["init", "main"] {
        shared.keep(step, &record("Done", &json!({})));
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root starts a process as somebody else");
        return;
    }
    fs::set_permissions(pod.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(shared.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let mut child = publisher(&shared, &pod, &api, &[]).uid(64_198).gid(64_198).spawn().expect("it starts");
    api.next_request();
    let owner = fs::metadata(format!("/proc/{}/environ", child.id())).unwrap().uid();
    assert_eq!(owner, 0, "the files of a process that is not dumpable are root's");
    api.release();
    wait(&mut child);
}

#[test]
fn a_collector_is_no_task() {
    let mut command = stock();
    command.args(["once-publish", "--task=kernel", "--step=a", "--timeout=1m", "--tries=1", "--node-name=n"]);
    command.arg("--state=/tmp");
    let output = crate::process::run(&mut command);
    assert_eq!(output.status.code(), Some(2));
    assert!(crate::process::stderr(&output).contains("`kernel` is a collector"));
}
