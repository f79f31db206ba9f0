//! What a run prints on stdout.

use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;

use crate::api::{Answer, FakeApi};
use crate::process::{Pod, run, stderr, stdout};

fn publishing(pod: &Pod, api: &FakeApi, collectors: &str) -> Command {
    let mut command = pod.faulty(&["--collectors", collectors, "--deadline", "4s", "--publish-budget", "2s"]);
    command.arg("--kubeconfig").arg(pod.kubeconfig(api.address));
    command
}

#[test]
fn the_patch_in_the_report_is_the_body_that_was_sent() {
    let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
    let output = run(publishing(&pod, &api, "default,failing").args(["-o", "json"]));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sent = api.next_request();
    assert_eq!(report["patch"].to_string(), sent.body);
    assert!(sent.headers.contains(&"content-type: application/merge-patch+json".to_owned()), "{sent:?}");
    let agent = format!("user-agent: node-annotator/{}", env!("CARGO_PKG_VERSION"));
    assert!(sent.headers.contains(&agent), "{sent:?}");
    assert_eq!(report["published"]["resourceVersion"], "42");
    assert_eq!((&report["node"], &report["exitCode"]), (&"worker-1".into(), &3.into()));

    let dry_run = run(&mut pod.faulty(&["--collectors", "default,failing", "--dry-run", "-o", "json"]));
    let dry_run: Value = serde_json::from_slice(&dry_run.stdout).unwrap();
    assert_eq!(dry_run["patch"], report["patch"]);
    assert_eq!((&dry_run["node"], &dry_run["published"]), (&Value::Null, &Value::Null));
    assert_eq!(api.further_requests(), 0);
}

#[test]
fn text_for_people() {
    let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
    std::fs::write(pod.path("proc/boots"), "3\n").unwrap();
    assert_snapshot!("written", stdout(&run(&mut publishing(&pod, &api, "default,failing,panicking"))));
    let dry_run = run(&mut pod.faulty(&["--collectors", "default,failing", "--dry-run"]));
    assert_snapshot!("dry-run", stdout(&dry_run));
    let mut labelled =
        pod.faulty(&["--collectors", "default,failing", "--dry-run", "--labels=good.boots,good"]);
    assert_snapshot!("labels", stdout(&run(&mut labelled)));
}

#[test]
fn what_went_wrong_is_said_in_report_and_log() {
    let (api, pod) = (FakeApi::start(&[Answer::Status(403)]), Pod::new());
    let output = run(&mut publishing(&pod, &api, "good"));
    assert_eq!(output.status.code(), Some(4));
    assert_snapshot!(stdout(&output), @r"
    system
      good  hello

    nothing is written: not allowed to patch node `worker-1` (403): as the test wants it
    hint: grant the service account the verb `patch` on `nodes`, as the generated ClusterRole does
    ");
    assert!(
        stderr(&output).contains("ERROR not allowed to patch node `worker-1` (403)"),
        "{}",
        stderr(&output)
    );
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    let message = pod.termination_message();
    assert_eq!(message["error"], "not allowed to patch node `worker-1` (403): as the test wants it");
    assert!(message["hint"].as_str().unwrap().contains("ClusterRole"));
    assert_eq!(api.next_request().line.split('?').next().unwrap(), "PATCH /api/v1/nodes/worker-1");
    assert_eq!(api.further_requests(), 0);
}

#[test]
fn without_a_cluster_the_error_says_where_was_looked() {
    let pod = Pod::new();
    let kubeconfig = |name: &str, user: &str| {
        let text = std::fs::read_to_string(pod.kubeconfig("127.0.0.1:9")).unwrap();
        std::fs::write(pod.path(name), text.replace(r#""token": "secret""#, user)).unwrap();
        pod.path(name)
    };
    std::fs::write(pod.path("notes"), "buy milk\n").unwrap();
    let plugin = r#""exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}"#;
    let with = |kubeconfig| run(pod.faulty(&["-ojson", "--kubeconfig"]).arg(kubeconfig));
    let cases = [
        ("missing-kubeconfig", with("/nowhere".into())),
        ("not-a-kubeconfig", with(pod.path("notes"))),
        ("plugin-fails", with(kubeconfig("plugin", plugin))),
        ("no-token-file", with(kubeconfig("token", r#""tokenFile": "/nowhere""#))),
        ("not-in-a-pod", run(pod.faulty(&["-ojson"]).env("HOME", "/nowhere"))),
        (
            "no-service-account",
            run(pod
                .faulty(&["-ojson"])
                .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
                .env("KUBERNETES_SERVICE_PORT", "1")),
        ),
        (
            "proxy",
            run(pod
                .faulty(&["-ojson", "--kubeconfig"])
                .arg(pod.kubeconfig("192.0.2.1"))
                .env("HTTP_PROXY", "http://127.0.0.1:9")),
        ),
    ];
    let all = cases.map(|(name, output)| {
        assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let error = &report["error"];
        format!("# {name}\n{}\nhint: {}", error["message"].as_str().unwrap(), error["hint"].as_str().unwrap())
    });
    assert_snapshot!("no-cluster", all.join("\n\n"));
}

#[test]
fn the_api_server_s_token_and_the_client_s_own_logs_stay_out() {
    for level in ["info", "debug", "trace"] {
        let (api, pod) = (FakeApi::start(&[Answer::Status(503), Answer::Store]), Pod::new());
        let output = run(publishing(&pod, &api, "good").args(["--log-level", level]));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(!stderr(&output).contains("secret"), "{}", stderr(&output));
        let libraries = stderr(&output).contains("hyper") || stderr(&output).contains("checkout waiting");
        assert_eq!(libraries, level == "trace", "{}", stderr(&output));
    }
}
