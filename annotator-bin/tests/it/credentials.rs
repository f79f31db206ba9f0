//! Where credentials come from, and that no message shows them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use kube::Config;
use node_annotator::cluster::Reason;
use tokio::io::AsyncWriteExt;

use crate::api::{Answer, FakeApi, stored};
use crate::connection::{listen, publish_with, read_request};
use crate::process::{PATIENCE, Pod, run, stderr, stdout, stock};
use crate::publishing::{plan, reason, told};

const CANARY: &str = "CANARYTOKEN7f3a";

/// Everything that a run lets out.
fn everything(pod: &Pod, output: &Output) -> String {
    let message = std::fs::read_to_string(pod.path("termination-log")).unwrap();
    format!("{}\n{}\n{message}", stdout(output), stderr(output))
}

fn kubeconfig(pod: &Pod, address: impl std::fmt::Display, user: &str) {
    let text = std::fs::read_to_string(pod.kubeconfig(address)).unwrap();
    std::fs::write(pod.path("kubeconfig"), text.replace(r#""token": "secret""#, user)).unwrap();
}

fn command(pod: &Pod) -> Command {
    let mut command =
        pod.faulty(&["--collectors", "good", "--deadline", "4s", "--publish-budget", "3s", "--kubeconfig"]);
    command.arg(pod.path("kubeconfig")).env("PATH", "/usr/bin:/bin");
    command
}

fn executable(path: &Path, script: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_a_credential_plugin_prints_is_never_shown() {
    let head = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential""#;
    let scripts = [
        format!(r#"echo '{head},"status":{{"token":"{CANARY}"}}}}'; exit 1"#),
        format!(r#"echo '{head},"status":{{"token":"{CANARY}'"#),
        format!(r#"echo '{head},"status":{{"token":["{CANARY}"]}}}}'"#),
        format!(r#"echo '{head},"status":"{CANARY}"}}'"#),
        format!(r#"echo '{head},"token":"{CANARY}"}}'"#),
        format!(r#"echo '{head},"status":{{"token":"{CANARY}","expirationTimestamp":"{CANARY}"}}}}'"#),
        format!(r#"echo '{head},"status":{{"token":"{CANARY}\\u0001"}}}}'"#),
        format!("echo {CANARY}"),
        format!("echo {CANARY} >&2; exit 3"),
        "kill -9 $$".to_owned(),
    ];
    let mut all = Vec::new();
    for script in scripts {
        let pod = Pod::new();
        executable(&pod.path("plugin"), &script);
        let user = format!(
            r#""exec": {{"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "args": ["--secret={CANARY}"],
                "env": [{{"name": "SECRET", "value": "{CANARY}"}}]}}"#
        );
        kubeconfig(&pod, "127.0.0.1:9", &user);
        for level in ["info", "trace"] {
            let output = run(command(&pod).args(["--log-level", level]));
            assert_eq!(output.status.code(), Some(4), "{script}");
            let everything = everything(&pod, &output);
            assert!(!everything.contains("CANARY"), "{script}: {everything}");
            assert!(everything.contains("/plugin`"), "which plugin? {everything}");
        }
        let error = pod.termination_message()["error"].as_str().unwrap().to_owned();
        all.push(error.replace(&pod.path("").display().to_string(), "POD/").replace("/./", "/"));
    }
    assert_snapshot!(all.join("\n"), @r#"
    there are no usable credentials: the credential plugin failed with exit status: 1 (`POD/plugin`)
    there are no usable credentials: what the credential plugin printed is no ExecCredential (`POD/plugin`)
    there are no usable credentials: what the credential plugin printed is no ExecCredential (`POD/plugin`)
    there are no usable credentials: what the credential plugin printed is no ExecCredential (`POD/plugin`)
    there are no usable credentials: what the credential plugin printed has no `status` with a token or a certificate (`POD/plugin`)
    there are no usable credentials: the credential plugin gives an `expirationTimestamp` that is no time (`POD/plugin`)
    there are no usable credentials: the token has characters that no token has (`POD/plugin`)
    there are no usable credentials: what the credential plugin printed is no ExecCredential (`POD/plugin`)
    there are no usable credentials: the credential plugin failed with exit status: 3 (`POD/plugin`)
    there are no usable credentials: the credential plugin failed with signal: 9 (SIGKILL) (`POD/plugin`)
    "#);
}

/// The plugin's own process, and one that it has started.
fn processes(pod: &Pod) -> [u32; 2] {
    let text = std::fs::read_to_string(pod.path("processes")).unwrap();
    let numbers: Vec<_> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

/// Whether it is there, and not only waiting for somebody to ask how it has ended.
fn lives(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

#[test]
fn a_credential_plugin_that_hangs_is_named_and_ended() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for is_doctor in [true, false] {
        let pod = Pod::new();
        let script = format!("echo {CANARY} >&2; echo {CANARY}; sleep 600 & echo $$ $! > $PROCESSES; wait");
        executable(&pod.path("plugin"), &script);
        let processes_file = pod.path("processes");
        let user = format!(
            r#""exec": {{"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "args": ["--secret={CANARY}"],
                "env": [{{"name": "PROCESSES", "value": "{}"}}]}}"#,
            processes_file.display()
        );
        kubeconfig(&pod, server.local_addr().unwrap(), &user);
        let mut doctor = stock();
        doctor.args(["doctor", "--deadline", "2s", "--kubeconfig"]).arg(pod.path("kubeconfig"));
        doctor.env("PATH", "/usr/bin:/bin");
        let output = run(&mut if is_doctor { doctor } else { command(&pod) });
        assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
        let everything = everything(&pod, &output);
        assert!(!everything.contains("CANARY"), "{everything}");
        if is_doctor {
            let plugin = pod.path("./plugin").display().to_string();
            let told = format!(
                "the credential plugin of the kubeconfig has not answered before the deadline (`{plugin}`)"
            );
            assert!(everything.contains(&told), "{everything}");
        }
        let until = Instant::now() + PATIENCE;
        while processes(&pod).into_iter().any(lives) {
            assert!(Instant::now() < until, "left behind: {:?}", processes(&pod));
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_kubeconfig_that_cannot_be_read_is_not_shown() {
    for text in [
        format!("users: [{{name: me, user: {{token: {CANARY}"),
        format!("users: [{{name: me, user: {{token: [{CANARY}]}}}}]"),
        format!("token: {CANARY}\n  token: x: {CANARY}"),
    ] {
        let pod = Pod::new();
        std::fs::write(pod.path("kubeconfig"), text).unwrap();
        let output = run(command(&pod).args(["--log-level", "trace"]));
        assert_eq!(output.status.code(), Some(4));
        let everything = everything(&pod, &output);
        assert!(!everything.contains("CANARY"), "{everything}");
    }
}

#[test]
fn a_password_in_the_address_of_a_server_is_not_shown() {
    let pod = Pod::new();
    kubeconfig(&pod, format_args!("user:{CANARY}@127.0.0.1:9"), r#""token": "secret""#);
    let output = run(command(&pod).args(["--log-level", "trace"]));
    let everything = everything(&pod, &output);
    assert!(!everything.contains("CANARY"), "{everything}");
    assert!(everything.contains("in the address of the API server"), "{everything}");
}

#[test]
fn the_address_of_a_proxy_is_not_shown() {
    let pod = Pod::new();
    kubeconfig(&pod, "192.0.2.1", r#""token": "secret""#);
    let proxy = format!("http://user:{CANARY}@proxy.example:3128");
    let output = run(command(&pod).env("HTTP_PROXY", &proxy).args(["--log-level", "trace"]));
    let everything = everything(&pod, &output);
    assert!(!everything.contains("CANARY"), "{everything}");
    assert!(everything.contains("proxies are not supported"), "{everything}");
}

/// kubectl connects past a proxy to what `NO_PROXY` names and to this machine itself.
#[test]
fn a_proxy_for_others_is_in_nobodys_way() {
    let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
    pod.kubeconfig(api.address);
    let mut command = command(&pod);
    command.env("HTTPS_PROXY", "http://proxy.example:3128").env("HTTP_PROXY", "http://proxy.example:3128");
    let output = run(command.env("NO_PROXY", "127.0.0.0/8"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_token_is_sent_without_what_is_around_it_and_an_empty_one_not_at_all() {
    let api = FakeApi::start(&[Answer::Store]);
    for (text, sent) in
        [("file-token", true), ("file-token\n", true), (" file-token \r\n", true), ("", false), ("\n", false)]
    {
        let pod = Pod::new();
        kubeconfig(&pod, api.address, r#""tokenFile": "token""#);
        std::fs::write(pod.path("token"), text).unwrap();
        let output = run(&mut command(&pod));
        assert_eq!(output.status.code(), Some(if sent { 0 } else { 4 }), "{text:?} {}", stderr(&output));
        if sent {
            let headers = api.next_request().headers;
            assert!(headers.contains(&"authorization: bearer file-token".to_owned()), "{headers:?}");
        } else {
            assert_eq!(api.further_requests(), 0);
            let error = pod.termination_message()["error"].as_str().unwrap().to_owned();
            assert!(error.ends_with("it is empty"), "{error}");
        }
    }
    let pod = Pod::new();
    kubeconfig(&pod, api.address, r#""token": """#);
    assert_eq!(run(&mut command(&pod)).status.code(), Some(4));
    assert_eq!(
        pod.termination_message()["error"],
        "there are no usable credentials: the token in the kubeconfig is empty"
    );
    assert_eq!(api.further_requests(), 0);
}

#[test]
fn a_list_of_kubeconfigs_that_is_empty_is_none() {
    let (api, pod) = (FakeApi::start(&[Answer::Store]), Pod::new());
    std::fs::create_dir(pod.path(".kube")).unwrap();
    std::fs::rename(pod.kubeconfig(api.address), pod.path(".kube/config")).unwrap();
    let run_with = |host: &str| {
        let mut command = pod.faulty(&["--collectors", "good", "--deadline", "4s", "--publish-budget", "3s"]);
        command.env("HOME", pod.path("")).env("KUBECONFIG", "").env("KUBERNETES_SERVICE_HOST", host);
        run(&mut command)
    };
    let output = run_with("");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    // In a pod it is the pod's service account.
    let output = run_with("192.0.2.1");
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("the pod's service account is not usable"), "{}", stderr(&output));
}

/// A server that knows the token `fresh` alone; at the first request the file gets this text.
async fn knows_fresh(token_file: std::path::PathBuf, text: &'static str) -> String {
    listen(move |mut stream| {
        let token_file = token_file.clone();
        async move {
            for _ in 0..2 {
                let request = read_request(&mut stream).await;
                std::fs::write(&token_file, text).unwrap();
                let (code, body) = if request.contains("Bearer fresh\r\n") {
                    ("200 OK", stored(&plan().patch()).to_string())
                } else {
                    ("401 Unauthorized", crate::api::status(401, "Unauthorized").to_string())
                };
                let head = format!("HTTP/1.1 {code}\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).await.unwrap();
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_token_that_was_replaced_meanwhile_is_tried() {
    for (text, written) in [("fresh", true), ("stale", false)] {
        let pod = Pod::new();
        std::fs::write(pod.path("token"), "stale").unwrap();
        let address = knows_fresh(pod.path("token"), text).await;
        let mut config = Config::new(format!("http://{address}").parse().unwrap());
        config.auth_info.token_file = Some(pod.path("token").display().to_string());
        let result = publish_with(config, Duration::from_secs(20)).await;
        assert_eq!(result.is_ok(), written, "{result:?}");
        if let Err(error) = result {
            assert_eq!(reason(&error), Some(Reason::Unauthorized), "{}", told(&error));
        }
    }
}
