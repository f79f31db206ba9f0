//! The rules for Prometheus, tried by its own promtool, and what they and the dashboard are made of.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use node_annotator_core::{Prefix, Registry};
use node_annotator_deploy::monitoring;
use node_annotator_tests::binaries::{Binaries, Tool};
use serde_json::{Value, json};

fn promtool(arguments: &[&Path]) -> Result<String> {
    let binaries = Binaries::obtain(None, &[Tool::Promtool])?;
    let output = Command::new(binaries.path(Tool::Promtool)).args(arguments).output()?;
    let told = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "promtool {arguments:?}: {told}");
    Ok(told)
}

fn checkout(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

#[test]
fn rules_tell_what_they_are_to_tell_and_nothing_of_a_fleet_that_works() -> Result<()> {
    let told = promtool(&["test".as_ref(), "rules".as_ref(), &checkout("tests/monitoring/rules.test.yaml")])?;
    assert!(told.contains("SUCCESS"), "{told}");
    let told = promtool(&["check".as_ref(), "rules".as_ref(), &checkout("deploy/monitoring/rules.yaml")])?;
    assert!(told.contains("SUCCESS"), "{told}");
    Ok(())
}

#[test]
fn the_dashboard_is_one_by_the_library_of_grafana() -> Result<()> {
    let binaries = Binaries::obtain(None, &[Tool::Dashboards])?;
    let read = |path: &Path| Command::new(binaries.path(Tool::Dashboards)).arg(path).output();
    let file = checkout("deploy/monitoring/dashboard.json");
    let output = read(&file)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // It does refuse what is none.
    let mut wrong: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    wrong["panels"][0]["options"]["colourMode"] = json!("value");
    let file = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(&file, &wrong)?;
    let told = String::from_utf8(read(file.path())?.stderr)?;
    ensure!(told.contains("panels[0].options"), "{told}");
    Ok(())
}

#[test]
fn what_the_dashboard_asks_is_promql_over_what_there_is() -> Result<()> {
    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(checkout("deploy/monitoring/dashboard.json"))?)?;
    let rules = std::fs::read_to_string(checkout("deploy/monitoring/rules.yaml"))?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let mut asked = Vec::new();
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten()) {
        let expression = target["expr"].as_str().context("no expression")?;
        for word in expression.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            let is_recorded =
                !word.starts_with("node_annotator:") || rules.contains(&format!("record: {word}\n"));
            assert!(is_recorded, "nothing records `{word}`");
        }
        asked.push(
            json!({ "record": "asked", "expr": expression, "labels": { "number": asked.len().to_string() } }),
        );
    }
    assert!(asked.len() >= 7, "{asked:#?}");
    // What is JSON is YAML.
    let file = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(&file, &json!({ "groups": [{ "name": "dashboard", "rules": asked }] }))?;
    promtool(&["check".as_ref(), "rules".as_ref(), file.path()]).map(drop)
}

#[test]
fn no_rule_names_a_node_and_no_two_labels_have_one_name() -> Result<()> {
    let rules = std::fs::read_to_string(checkout("deploy/monitoring/rules.yaml"))?;
    for text in ["by (node", "$labels.node", "without"] {
        assert!(!rules.contains(text), "{text}");
    }
    let allowed = std::fs::read_to_string(checkout("deploy/monitoring/kube-state-metrics-with-facts.yaml"))?;
    let (_, list) = allowed.split_once("nodes=[").context("no list")?;
    let keys: Vec<_> = list.split(']').next().unwrap_or_default().split(',').collect();
    let names: std::collections::BTreeSet<_> = keys.iter().map(|key| monitoring::metric_label(key)).collect();
    assert_eq!(names.len(), keys.len(), "kube-state-metrics would give them other names");
    let (registry, prefix) = (Registry::from_inventory()?, Prefix::default());
    for collector in registry.iter() {
        for key in [prefix.done(collector.name), prefix.failed(collector.name)] {
            assert!(keys.contains(&key.as_str()), "{key}");
        }
        assert!(!keys.contains(&prefix.error(collector.name).as_str()));
    }
    for free_text in ["kernel.build", "os.pretty-name", "dns-name.value"] {
        assert!(!keys.contains(&prefix.named(free_text).as_str()), "{free_text}");
    }
    Ok(())
}
