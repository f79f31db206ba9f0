//! What the workflows repeat of the workspace.

use std::error::Error;
use std::fs;

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
