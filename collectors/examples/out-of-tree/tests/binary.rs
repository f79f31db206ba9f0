//! The binary as operators and nodes use it: under its own name, and in its own image.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_site-annotator"));
    command.args(arguments).env_clear().output().expect("the binary starts")
}

fn stdout(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is text")
}

#[test]
fn it_speaks_of_itself() {
    assert_eq!(stdout(&["--version"]), "site-annotator 0.3.0\n");
    assert!(stdout(&["run", "--help"]).contains("  site-annotator run --dry-run"));
    let list = stdout(&["list"]);
    assert!(list.contains("machine-image") && list.contains("cpu-model"), "{list}");
}

/// In a pod `/proc` and `/sys` are the container's, and the host's files are mounted below another directory.
#[test]
fn it_reads_the_file_of_the_host_and_not_of_the_container() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    let facts = |host: &str| {
        let mount = format!("{fixtures}/{host}");
        stdout(&["run", "--dry-run", "--collectors", "machine-image", "--host-mount", &mount])
    };
    let report = facts("amazon-linux");
    assert!(report.contains("al2023-ami-kernel-6.1") && report.contains("2023.8.20250715"), "{report}");
    assert!(facts("debian").contains("not applicable: there is no `/etc/image-id`"));
}

#[test]
fn its_manifests_name_its_image_and_mount_what_its_collector_reads() {
    let output = run(&["manifests", "--collectors", "machine-image"]);
    let error = String::from_utf8(output.stderr).expect("the error is text");
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("which image holds `site-annotator`? --image is missing"), "{error}");
    assert!(error.contains("site-annotator manifests --image REGISTRY/NAME:TAG"), "{error}");

    let image = "registry.example.com/site-annotator:0.3.0";
    let manifests = stdout(&["manifests", "--collectors", "machine-image", "--image", image]);
    for line in [
        format!("image: {image}"),
        "app.kubernetes.io/version: \"0.3.0\"".to_owned(),
        "path: /etc".to_owned(),
        "type: Directory".to_owned(),
    ] {
        assert!(manifests.contains(&line), "{line}\n{manifests}");
    }
    assert!(!manifests.contains("node-annotator:0"), "{manifests}");
}
