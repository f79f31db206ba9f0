//! What the workflows repeat of the workspace.

use std::error::Error;
use std::fs;
use std::process::Command;

use xtask_workspace::{kubernetes_versions, root};

#[test]
fn each_older_kubernetes_is_tested_by_a_job_of_its_own() -> Result<(), Box<dyn Error>> {
    let mut versions = kubernetes_versions()?;
    let newest = versions.pop().ok_or("no version is pinned")?;
    let matrix: Vec<_> = versions.iter().map(|version| format!("'{version}'")).collect();
    let line = format!("kubernetes: [{}]", matrix.join(", "));
    let workflow = fs::read_to_string(root().join(".github/workflows/test.yaml"))?;
    assert!(workflow.contains(&line), "the workflow lacks `{line}`");
    assert!(!workflow.contains(&newest), "{newest} is what everything else runs on");
    Ok(())
}

#[test]
fn workflows_run_tasks_that_there_are() -> Result<(), Box<dyn Error>> {
    let help = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("--help").output()?;
    let help = String::from_utf8(help.stdout)?;
    let mut named = 0;
    for entry in root().join(".github/workflows").read_dir()? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        for command in text.split("cargo xtask ").skip(1) {
            let task: String = command.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            assert!(help.contains(&format!("\n  {task} ")), "{}: no task `{task}`", path.display());
            named += 1;
        }
    }
    assert!(named >= 5, "{named}");
    Ok(())
}
