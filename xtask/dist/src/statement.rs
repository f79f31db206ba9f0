//! Where an image comes from, as in-toto and SLSA have it (provenance).

use std::{env, fs};

use anyhow::{Context, Result};
use node_annotator_image::Packed;
use serde_json::{Value, json};
use xtask_workspace::Target;

use crate::revision::Revision;
use crate::sha256;

/// Its media type, by which verifiers know it in a registry.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.in-toto+json";

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// What an image was made from, and by what. It is not signed: the release's workflow signs what it pushes.
pub(crate) fn provenance(image: &Packed, targets: &[Target], revision: Option<&Revision>) -> Result<Vec<u8>> {
    let mut subjects = vec![subject("index", &image.digest())];
    for manifest in image.manifests() {
        subjects.push(subject(&manifest.platform().unwrap_or_default(), &manifest.digest()));
    }
    let lock = fs::read(xtask_workspace::root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let mut materials = vec![json!({"name": "Cargo.lock", "digest": {"sha256": sha256(&lock)}})];
    if let Some(revision) = revision {
        materials
            .insert(0, json!({"uri": format!("git+{REPOSITORY}"), "digest": {"gitCommit": revision.commit}}));
    }
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": format!("{REPOSITORY}/blob/main/docs/release.md"),
                "externalParameters": {
                    "command": "cargo xtask dist",
                    "version": env!("CARGO_PKG_VERSION"),
                    "targets": targets.iter().map(Target::triple).collect::<Vec<_>>(),
                },
                "internalParameters": {"modified": revision.is_some_and(|revision| revision.is_modified)},
                "resolvedDependencies": materials,
            },
            "runDetails": run(|name| env::var(name).ok()),
        },
    });
    serde_json::to_vec_pretty(&statement).context("cannot write JSON")
}

fn subject(name: &str, digest: &str) -> Value {
    json!({"name": name, "digest": {"sha256": digest.trim_start_matches("sha256:")}})
}

/// Who built it: the run of a workflow, or somebody's machine.
fn run(variable: impl Fn(&str) -> Option<String>) -> Value {
    let of_workflow = || {
        let repository = format!("{}/{}", variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
        let attempt = format!("{}/attempts/{}", variable("GITHUB_RUN_ID")?, variable("GITHUB_RUN_ATTEMPT")?);
        Some(json!({
            "builder": {"id": format!("{}/{}", variable("GITHUB_SERVER_URL")?, variable("GITHUB_WORKFLOW_REF")?)},
            "metadata": {"invocationId": format!("{repository}/actions/runs/{attempt}")},
        }))
    };
    of_workflow().unwrap_or_else(|| json!({"builder": {"id": format!("{REPOSITORY}#by-hand")}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builder_is_the_workflow_or_a_hand() {
        assert!(run(|_| None)["builder"]["id"].as_str().unwrap().ends_with("#by-hand"));
        let run = run(|name| Some(name.to_lowercase()));
        assert_eq!(run["builder"]["id"], "github_server_url/github_workflow_ref");
        assert_eq!(
            run["metadata"]["invocationId"],
            "github_server_url/github_repository/actions/runs/github_run_id/attempts/github_run_attempt"
        );
    }
}
