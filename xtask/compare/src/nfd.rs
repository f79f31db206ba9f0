//! The labels of Node Feature Discovery that `--labels nfd` publishes, beside those of its own worker.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::explained::explanation;
use crate::ours::Labels;
use crate::verdict::{Row, Verdict};

/// Its program, in verdicts.
pub(crate) const PROGRAM: &str = "nfd-worker";

/// Where go.mod pins it.
const PACKAGE: &str = "sigs.k8s.io/node-feature-discovery/cmd/nfd-worker";

/// It wants a cluster, and asks none as long as nothing is published.
const NO_CLUSTER: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "none",
"clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:9"}}],
"contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
"users": [{"name": "none", "user": {}}]}"#;

/// What came of it.
pub(crate) struct Comparison {
    pub(crate) rows: Vec<Row>,
    /// The labels that it publishes and we do not.
    pub(crate) theirs_alone: Vec<String>,
}

/// Builds it if it is not there, runs it, and compares.
pub(crate) fn compare(ours: &Labels) -> Result<Comparison> {
    let theirs = labels(&program()?)?;
    ensure!(!theirs.is_empty(), "nfd-worker says nothing");
    let mut rows = Vec::new();
    for (key, ours) in ours {
        let theirs = theirs.get(key);
        let verdict = match (ours, theirs) {
            (None, None) => continue,
            (Some(ours), Some(theirs)) if ours == theirs => Verdict::Agreement,
            _ => Verdict::Difference,
        };
        let said = |value: Option<&String>| value.cloned().unwrap_or_default();
        let (ours_said, theirs_said) = (said(ours.as_ref()), said(theirs));
        let explanation = (verdict == Verdict::Difference)
            .then(|| explanation(PROGRAM, key, &ours_said, &theirs_said))
            .flatten();
        rows.push(Row {
            machine: "this machine".to_owned(),
            fact: key.clone(),
            ours: ours.clone(),
            program: PROGRAM,
            theirs: theirs_said,
            verdict,
            explanation,
        });
    }
    let theirs_alone = theirs.into_keys().filter(|key| !ours.contains_key(key)).collect();
    Ok(Comparison { rows, theirs_alone })
}

/// The program, built from the pinned modules.
fn program() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("nfd");
    let program = xtask_workspace::target_folder().join("compare").join("nfd-worker");
    let mut go = Command::new("go");
    go.current_dir(folder).args(["build", "-buildvcs=false", "-trimpath", "-o"]).arg(&program).arg(PACKAGE);
    let status = go.env("GOTOOLCHAIN", "local").status();
    ensure!(status.context("cannot start `go`: Go 1.26 is needed")?.success(), "nfd-worker does not compile");
    Ok(program)
}

/// What it would publish of this machine.
fn labels(program: &Path) -> Result<BTreeMap<String, String>> {
    let kubeconfig = program.with_extension("kubeconfig");
    fs::write(&kubeconfig, NO_CLUSTER).with_context(|| format!("cannot write `{}`", kubeconfig.display()))?;
    let sources = "cpu,kernel,pci,system";
    let mut worker = Command::new(program);
    worker
        .args(["-oneshot", "-no-publish", "-v=1", "-feature-sources", sources, "-label-sources", sources])
        .arg("-kubeconfig")
        .arg(&kubeconfig)
        .env_clear()
        .env("NODE_NAME", "none")
        .stdin(Stdio::null());
    let output = worker.output().with_context(|| format!("cannot start `{}`", program.display()))?;
    ensure!(output.status.success(), "nfd-worker ended with {}", output.status);
    Ok(parse(&String::from_utf8_lossy(&output.stderr)))
}

/// Its log tells labels as `KEY: VALUE`, one on a line, with quotes where YAML wants them.
fn parse(log: &str) -> BTreeMap<String, String> {
    let label = |line: &str| {
        let (key, value) = line.trim().split_once(": ")?;
        key.starts_with("feature.node.kubernetes.io/")
            .then(|| (key.to_owned(), value.trim_matches('"').to_owned()))
    };
    log.lines().filter_map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_in_its_log() {
        let log = "I1129 10:33:54.106711    9168 nfd-worker.go:783] \"feature discovery completed\" labels=<\n\
                   \tfeature.node.kubernetes.io/cpu-model.id: \"2\"\n\
                   \tfeature.node.kubernetes.io/cpu-model.vendor_id: AMD\n >\n";
        let expected = [("cpu-model.id", "2"), ("cpu-model.vendor_id", "AMD")]
            .map(|(name, value)| (format!("feature.node.kubernetes.io/{name}"), value.to_owned()));
        assert_eq!(parse(log), expected.into());
    }
}
