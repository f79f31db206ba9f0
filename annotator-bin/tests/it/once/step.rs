//! A step: how its command is run, tried again and ended, and what is kept of it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::Shared;
use crate::process::{kill, run, stderr, stdout, wait};

#[test]
fn a_command_that_succeeds_runs_once_and_its_files_are_facts() {
    let shared = Shared::new();
    let script = "umask 077; echo $GREETING; echo ready > $NODE_ANNOTATOR_FACTS/value; \
                  printf 42 > $NODE_ANNOTATOR_FACTS/rack; echo x >> count";
    let start = || {
        let mut command = shared.step("main", &["--ends", "--fact=rack"], &["sh", "-c", script]);
        run(command.current_dir(shared.path("")).env("GREETING", "hello"))
    };
    let first = start();
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    assert_eq!(stdout(&first), "hello\n");
    let record = shared.record("main");
    assert_eq!(record["end"], "Done");
    assert_eq!(record["facts"], json!({"value": "ready\n", "rack": "42"}));
    // As after a restart of the container.
    assert_eq!(start().status.code(), Some(0));
    assert_eq!(fs::read_to_string(shared.path("count")).unwrap(), "x\n");
}

#[test]
fn a_command_that_fails_is_tried_again_and_its_last_lines_are_kept() {
    let shared = Shared::new();
    let script = "echo x >> count; echo out; echo the disk is full >&2; exit 7";
    let mut command = shared.step("main", &["--ends"], &["sh", "-c", script]);
    let output = run(command.current_dir(shared.path("")));
    // An init container that fails keeps all others from starting: the next steps read what became of it.
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("the disk is full"), "the log has it as well");
    let record = shared.record("main");
    assert_eq!((&record["tries"], &record["end"]), (&json!(2), &json!("Failed")));
    let failure = record["failure"].as_str().unwrap();
    assert!(failure.starts_with("exit code 7: ") && failure.contains("the disk is full"), "{failure}");
    assert_eq!(fs::read_to_string(shared.path("count")).unwrap(), "x\nx\n");

    let mut quiet =
        shared.step("quiet", &["--ends", "--no-output", "--tries=1"], &["sh", "-c", "echo secret; exit 7"]);
    run(&mut quiet);
    assert_eq!(shared.record("quiet")["failure"], "exit code 7");
}

#[test]
fn what_ends_otherwise_is_told_in_words() {
    let shared = Shared::new();
    for (name, words, failure) in [
        ("signal", &["sh", "-c", "kill -9 $$"][..], "ended by signal 9"),
        ("missing", &["/no/such/program"], "`/no/such/program` cannot be started"),
        (
            "undeclared",
            &["sh", "-c", "echo 1 > $NODE_ANNOTATOR_FACTS/other"],
            "the file of facts `other` is not declared",
        ),
    ] {
        run(&mut shared.step(name, &["--ends", "--tries=1"], words));
        let record = shared.record(name);
        assert!(record["failure"].as_str().unwrap().starts_with(failure), "{record}");
        assert_eq!(record["end"], "Failed");
    }
}

#[test]
fn a_command_that_hangs_is_ended_with_all_that_it_has_started() {
    let shared = Shared::new();
    let marker = format!("37.{}", std::process::id());
    let script = format!("trap '' TERM; setsid sleep {marker} & sleep {marker}; sleep {marker}");
    let started = Instant::now();
    run(&mut shared.step("main", &["--ends", "--tries=1", "--timeout=500ms"], &["sh", "-c", &script]));
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(shared.record("main")["failure"], "timed out after 500ms");
    assert_eq!(processes(&marker), 0);
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    let shared = Shared::new();
    let marker = format!("38.{}", std::process::id());
    let script = format!("setsid sleep {marker} & exit 0");
    run(&mut shared.step("main", &["--ends"], &["sh", "-c", &script]));
    assert_eq!(shared.record("main")["end"], "Done");
    assert_eq!(processes(&marker), 0);
}

/// How many processes of the machine have a word in their command line.
fn processes(word: &str) -> usize {
    let folders = fs::read_dir("/proc").unwrap().flatten();
    let lines = folders.filter_map(|folder| fs::read(folder.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|it| it == word.as_bytes())).count()
}

#[test]
fn a_main_step_waits_to_be_taken_away_and_leaves_at_once() {
    let shared = Shared::new();
    let mut child = shared.step("main", &[], &["true"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("waiting to be taken away")));
    assert_eq!(shared.record("main")["end"], "Done");
    let asked = Instant::now();
    kill(child.id(), Signal::TERM);
    assert_eq!(wait(&mut child).code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[test]
fn signals_reach_the_command() {
    let shared = Shared::new();
    let script =
        "trap 'echo reload' HUP; trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done";
    let mut command = shared.step("main", &[], &["sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("up"));
    kill(child.id(), Signal::HUP);
    assert_eq!(lines.next().as_deref(), Some("reload"));
    kill(child.id(), Signal::TERM);
    assert_eq!(lines.next().as_deref(), Some("bye"));
    assert_eq!(wait(&mut child).code(), Some(0));
    // The pod goes: that is no failure of the command.
    let record = shared.record("main");
    assert_eq!((&record["failure"], &record["end"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_start_without_an_end_is_a_failure_and_counts() {
    let shared = Shared::new();
    let start = || {
        let mut child = shared.step("main", &[], &["sleep", "100"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("the command starts")));
        // With the command, as when a container is killed.
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
        kill(child.id(), Signal::KILL);
        children.split_whitespace().for_each(|it| kill(it.parse().unwrap(), Signal::KILL));
        wait(&mut child);
    };
    start();
    assert_eq!(shared.record("main")["is_running"], true);
    start();
    assert_eq!(shared.record("main")["tries"], 2);
    run(&mut shared.step("main", &["--ends"], &["true"]));
    let record = shared.record("main");
    assert_eq!(record["end"], "Failed");
    assert!(record["failure"].as_str().unwrap().contains("killed"), "{record}");
}

#[test]
fn what_follows_a_failed_step_does_not_run() {
    let shared = Shared::new();
    run(&mut shared.step("first", &["--ends", "--tries=1"], &["false"]));
    run(&mut shared.step(
        "second",
        &["--ends", "--after=first"],
        &["touch", shared.path("ran").to_str().unwrap()],
    ));
    assert!(!shared.path("ran").exists());
    assert_eq!(shared.record("second")["end"], "Skipped");
    run(&mut shared.step("third", &["--ends", "--after=missing"], &["true"]));
    assert_eq!(shared.record("third")["end"], "Skipped");
}

#[test]
fn a_check_that_succeeds_leaves_nothing_to_do_and_looks_again_after_a_reboot() {
    let shared = Shared::new();
    let flag = shared.path("flag");
    let check = || run(&mut shared.step("check", &["--check"], &["test", "-e", flag.to_str().unwrap()]));
    let main = || {
        let mut command =
            shared.step("main", &["--ends", "--after=check"], &["touch", flag.to_str().unwrap()]);
        run(&mut command)
    };
    check();
    assert_eq!(shared.record("check")["end"], "Done");
    // The node goes down in the middle of the command, which has done its work.
    shared.keep("main", &json!({"tries": 1, "is_running": true, "failure": null, "end": null, "facts": {}}));
    fs::write(&flag, "").unwrap();
    check();
    assert_eq!(shared.record("check")["end"], "Already");
    fs::remove_file(&flag).unwrap();
    main();
    assert_eq!(shared.record("main")["end"], "Already");
    assert!(!flag.exists());
}

#[test]
fn variables_of_the_container_steer_nothing_of_ours() {
    let shared = Shared::new();
    let mut command = shared.step("main", &["--ends"], &["sh", "-c", "echo $NODE_ANNOTATOR_TRIES"]);
    let output = run(command.env("NODE_ANNOTATOR_TRIES", "none").env("NODE_ANNOTATOR_TIMEOUT", "x"));
    assert_eq!(stdout(&output), "none\n");
    assert_eq!(shared.record("main")["end"], "Done");
}
