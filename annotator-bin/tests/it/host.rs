//! Whose /proc, /sys and files a run takes for the node's.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{run, stderr};

/// The collector's entry in the report of a dry run of the stock binary.
fn entry(collector: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_node-annotator"));
    command.args(["--dry-run", "-o", "json", "--collectors", collector]).args(arguments);
    command.env_clear().envs(variables.iter().copied());
    let output = run(&mut command);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    report["collectors"][0].clone()
}

#[test]
fn the_facts_of_a_sandbox_are_published_if_it_is_trusted() {
    let root = TempDir::new().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("proc/sentry-meminfo", "Alloc: 1\n");
    write("proc/sys/kernel/osrelease", "4.4.0\n");
    let root = root.path().to_str().unwrap();

    let refused = entry("kernel", &["--host-root", root], &[]);
    assert_eq!(refused["outcome"], "not-applicable");
    let reason = refused["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("this is a sandbox's kernel (gVisor: `/proc/sentry-meminfo` is there)"),
        "{reason}"
    );
    for trusted in [
        entry("kernel", &["--host-root", root, "--trust-sandbox"], &[]),
        entry("kernel", &["--host-root", root], &[("NODE_ANNOTATOR_TRUST_SANDBOX", "true")]),
    ] {
        assert_eq!(trusted["facts"]["kernel"], "4.4.0");
    }
}

/// A pod that nobody gave the host's files has the image's own, or those of this machine here.
#[test]
fn in_a_pod_without_mounts_no_file_is_taken_for_the_hosts() {
    assert!(!Path::new("/host").exists(), "this machine has what only a pod has");
    let in_pod = [("KUBERNETES_SERVICE_HOST", "192.0.2.1")];
    let entry_in_pod = entry("os", &[], &in_pod);
    assert_eq!(entry_in_pod["error"], "cannot read `/etc/os-release`: no files of the host are mounted");

    let mount = TempDir::new().unwrap();
    for directory in ["etc", "usr/lib"] {
        std::fs::create_dir_all(mount.path().join(directory)).unwrap();
    }
    std::fs::write(mount.path().join("etc/os-release"), "ID=flatcar\n").unwrap();
    let mounted = entry("os", &["--host-mount", mount.path().to_str().unwrap()], &in_pod);
    assert_eq!(mounted["facts"]["os"], "flatcar");
}

#[test]
fn the_operators_files_are_read_where_it_is_said() {
    let root = TempDir::new().unwrap();
    let directory = root.path().join("opt/site/facts");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("rack.env"), "RACK=17\nROW=4\n").unwrap();
    std::fs::write(directory.join("run.sh"), "#!/bin/sh\ntouch executed\n").unwrap();
    let root = root.path().to_str().unwrap();
    let arguments = ["--host-root", root, "--facts-dir", "/opt/site/facts"];

    let named = entry("files", &[&arguments[..], &["--fact", "rack,shelf"]].concat(), &[]);
    assert_eq!(named["facts"], json!({"files": "rack.env", "files.rack": "17"}));
    assert_eq!(named["leftOut"], json!({"files.row": "the collector does not declare it"}));
    let by_variables =
        [("NODE_ANNOTATOR_FACTS_DIR", "/opt/site/facts"), ("NODE_ANNOTATOR_FACT", "rack,shelf")];
    assert_eq!(entry("files", &arguments[..2], &by_variables)["facts"], named["facts"]);

    std::fs::write(directory.join("site.json"), "{\"rack\": \"18\"}").unwrap();
    let twice = entry("files", &arguments, &[]);
    assert_eq!(twice["error"], "`/opt/site/facts/site.json` holds the fact `rack`, and so does `rack.env`");
}
