//! A test process that is killed leaves nothing behind.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use node_annotator_tests::{Cluster, NodeSpec, Options, wait};

use crate::control_plane::{SLEEPER, start_of};

/// Names the file into which the child writes what it has started.
const CHILD_VARIABLE: &str = "NODE_ANNOTATOR_TEST_KILLED_CHILD";

#[tokio::test]
async fn sigkill_leaves_no_process_and_no_folder() {
    let scratch = tempfile::tempdir().unwrap();
    let report = scratch.path().join("report");
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "killed::child", "--ignored"])
        .env(CHILD_VARIABLE, &report)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = wait::until("the child to start a cluster", async || fs::read_to_string(&report)).await;
    let running = started.as_ref().map_or(0, |text| processes_of(text).len());
    child.kill().unwrap();
    child.wait().unwrap();

    let started = started.unwrap();
    let folder = PathBuf::from(started.lines().next().unwrap());
    // Four servers, the pod's process, and two guardians.
    assert_eq!(running, 7, "{started}");
    wait::until("everything to be gone", async || {
        let left = processes_of(&started);
        if left.is_empty() && !folder.exists() {
            Ok(())
        } else {
            Err(format!("{left:?}, {}", folder.display()))
        }
    })
    .await
    .unwrap();
}

/// Not a test: what the one above runs and kills.
#[tokio::test]
#[ignore = "is run and killed by another test"]
async fn child() {
    let Some(report) = env::var_os(CHILD_VARIABLE).map(PathBuf::from) else { return };
    let cluster = Cluster::start(Options::default()).await.unwrap();
    cluster.add_node(NodeSpec::new("n1")).await.unwrap();
    cluster.apply_yaml(SLEEPER).await.unwrap();
    cluster.events().wait_for("a start", |events| start_of(events, 0)).await.unwrap();
    let text = format!("{}\n{}\n", cluster.folder().display(), cluster.process_group());
    fs::write(report.with_extension("new"), text).unwrap();
    fs::rename(report.with_extension("new"), report).unwrap();
    std::future::pending::<()>().await;
}

/// All living processes of the group, and those that were given the folder's name.
fn processes_of(started: &str) -> Vec<String> {
    let (folder, group) = started.trim().split_once('\n').unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| belongs(&entry.path(), folder, group))
        .map(|entry| entry.path().display().to_string())
        .collect()
}

fn belongs(process: &Path, folder: &str, group: &str) -> bool {
    let Ok(stat) = fs::read_to_string(process.join("stat")) else { return false };
    // After the name in parentheses: state, parent, group.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let command = fs::read(process.join("cmdline")).unwrap_or_default();
    fields[0] != "Z" && (fields[2] == group || String::from_utf8_lossy(&command).contains(folder))
}
