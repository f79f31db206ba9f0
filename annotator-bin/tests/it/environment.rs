//! Every option as an environment variable.

use insta::assert_snapshot;
use serde_json::Value;

use crate::process::{Pod, faulty, run, stderr, stdout};

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

#[test]
fn variables_do_what_the_flags_do() {
    let pod = Pod::new();
    std::fs::write(pod.path("proc/boots"), "3\n").unwrap();
    std::fs::create_dir_all(pod.path("proc/sys/kernel/random")).unwrap();
    let boot_id = "1bd2a6f4-8f0e-4a7b-9d53-0c2b6f1e7a90\n";
    std::fs::write(pod.path("proc/sys/kernel/random/boot_id"), boot_id).unwrap();
    let mut command = pod.faulty(&[]);
    command
        .env("NODE_ANNOTATOR_COLLECTORS", "default,-absent")
        .env("NODE_ANNOTATOR_DRY_RUN", "true")
        .env("NODE_ANNOTATOR_OUTPUT", "json")
        .env("NODE_ANNOTATOR_PREFIX", "facts.example")
        .env("NODE_ANNOTATOR_GENERATION", "7")
        .env("NODE_ANNOTATOR_LOG_FORMAT", "json")
        .env("NODE_ANNOTATOR_LOG_LEVEL", "debug")
        .env("GREETING", "good day");
    let output = run(&mut command);
    let report = json(&output);
    assert_snapshot!(report["patch"], @r#"{"metadata":{"annotations":{"facts.example/good":"good day","facts.example/good.boot-id":"1bd2a6f4","facts.example/good.boots":"3","facts.example/good.collected-at":null,"facts.example/good.error":null,"facts.example/good.tooth":null},"labels":{"facts.example/good":"7","facts.example/good.failed":null}}}"#);
    let lines: Vec<Value> = stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["level"], &lines[0]["collector"]), (&"DEBUG".into(), &"good".into()));

    let stamped = json(&run(command.env("NODE_ANNOTATOR_STAMP_DAY", "true")));
    let day =
        stamped["patch"]["metadata"]["annotations"]["facts.example/good.collected-at"].as_str().unwrap();
    assert!(day.len() == 10 && day.parse::<jiff::civil::Date>().is_ok(), "{day}");
}

#[test]
fn set_to_nothing_is_unset() {
    let names = "COLLECTORS DRY_RUN OUTPUT PREFIX GENERATION KUBECONFIG HOST_ROOT DEADLINE PUBLISH_BUDGET LINGER \
                 LINGER_LIMIT GIVE_UP_AFTER TERMINATION_MESSAGE_PATH LOG_FORMAT LOG_LEVEL";
    for nothing in ["", " "] {
        let mut command = faulty(&["--dry-run", "-o", "json"]);
        command.env("NODE_NAME", nothing);
        for name in names.split_whitespace() {
            command.env(format!("NODE_ANNOTATOR_{name}"), nothing);
        }
        let output = run(&mut command);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(json(&output)["patch"]["metadata"]["labels"]["k8s.haim.dev/good"], "saved");
        let explained = run(faulty(&["explain", "good"]).env("NODE_ANNOTATOR_PREFIX", nothing));
        assert!(stdout(&explained).contains("k8s.haim.dev/good"), "{}", stderr(&explained));
    }
    let output = run(faulty(&[]).env("NODE_NAME", ""));
    assert!(stderr(&output).contains("--node-name is missing"), "{}", stderr(&output));
}

#[test]
fn switches_take_the_words_that_manifests_use() {
    for (value, dry) in
        [("true", true), ("1", true), ("yes", true), ("false", false), ("0", false), ("", false)]
    {
        let output = run(faulty(&[]).env("NODE_ANNOTATOR_DRY_RUN", value));
        // Without a node's name only a dry run gets anywhere.
        assert_eq!(output.status.code(), Some(if dry { 0 } else { 2 }), "{value}: {}", stderr(&output));
    }
    let output = run(faulty(&[]).env("NODE_ANNOTATOR_DRY_RUN", "maybe"));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("invalid value 'maybe' for '--dry-run'"), "{}", stderr(&output));
}

#[test]
fn variables_of_a_run_do_not_disturb_other_commands() {
    let mut command = faulty(&["list"]);
    command
        .env("NODE_NAME", "Worker_1")
        .env("NODE_ANNOTATOR_LINGER", "maybe")
        .env("NODE_ANNOTATOR_DEADLINE", "90");
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn variables_of_other_commands_do_what_the_flags_do() {
    let list = run(faulty(&["list"]).env("NODE_ANNOTATOR_OUTPUT", "json"));
    assert!(json(&list).is_array());
    let manifests = |variables: &[(&str, &str)]| {
        let output = run(faulty(&["manifests", "-o", "json"]).envs(variables.iter().copied()));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        json(&output)["items"].as_array().unwrap().clone()
    };
    let objects = manifests(&[
        ("NODE_ANNOTATOR_COLLECTORS", "good,failing"),
        ("NODE_ANNOTATOR_COMBINED", "yes"),
        ("NODE_ANNOTATOR_NAMESPACE", "facts"),
        ("NODE_ANNOTATOR_NODE_SELECTOR", "example.com/pool=a,example.com/zone=b"),
        ("NODE_ANNOTATOR_IMAGE_PULL_SECRET", ""),
        ("NODE_ANNOTATOR_ARCH", "arm64"),
        ("NODE_ANNOTATOR_EXCLUDE", "example.com/edge,example.com/pool=gpu"),
        ("NODE_ANNOTATOR_TOLERATIONS", "none"),
        ("NODE_ANNOTATOR_PRIORITY_CLASS", "none"),
        ("NODE_ANNOTATOR_POD_LABEL", "example.com/team=platform,example.com/tier=1"),
        ("NODE_ANNOTATOR_POD_ANNOTATION", "example.com/note=one, two"),
        ("NODE_ANNOTATOR_GIVE_UP_AFTER", "90m"),
    ]);
    let sets: Vec<_> = objects.iter().filter(|object| object["kind"] == "DaemonSet").collect();
    let [set] = sets[..] else { panic!("one for both: {sets:?}") };
    assert_eq!(set["metadata"]["namespace"], "facts");
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(
        (&pod["nodeSelector"]["example.com/pool"], &pod["nodeSelector"]["example.com/zone"]),
        (&"a".into(), &"b".into())
    );
    assert_eq!(pod["nodeSelector"]["kubernetes.io/arch"], "arm64");
    let affinity = pod["affinity"].to_string();
    assert!(affinity.contains("example.com/edge") && affinity.contains("example.com/pool"), "{affinity}");
    for absent in ["imagePullSecrets", "tolerations", "priorityClassName"] {
        assert!(pod[absent].is_null(), "{pod}");
    }
    let metadata = &set["spec"]["template"]["metadata"];
    assert_eq!(metadata["labels"]["example.com/tier"], "1");
    assert_eq!(metadata["annotations"]["example.com/note"], "one, two");
    let arguments = pod["containers"][0]["args"].as_array().unwrap();
    assert!(arguments.contains(&"--give-up-after=90m".into()), "{pod}");
}
