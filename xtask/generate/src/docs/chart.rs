//! The table of values in the README of the Helm chart: what each is from the schema, and its default from
//! `values.yaml`.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;

use super::cell;

/// Where the chart lies.
const CHART: &str = "deploy/helm/node-annotator";

pub(super) fn values() -> Result<String> {
    let read = |name: &str| {
        let path = xtask_workspace::root().join(CHART).join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))
    };
    let schema: Value = serde_json::from_str(&read("values.schema.json")?)?;
    let values: Value = serde_saphyr::from_str(&read("values.yaml")?).map_err(|error| anyhow!("{error}"))?;
    let mut table = "| value | default | what |\n|---|---|---|\n".to_owned();
    rows("", &schema, &values, &mut table)?;
    Ok(table)
}

/// A row for each value that has no values below it.
fn rows(path: &str, schema: &Value, values: &Value, table: &mut String) -> Result<()> {
    for (name, default) in values.as_object().into_iter().flatten() {
        let schema = &schema["properties"][name];
        let path = format!("{path}{name}");
        let what = schema["description"].as_str();
        let what = what.with_context(|| format!("the schema says nothing of `{path}`"))?;
        if schema["properties"].is_object() && !default.as_object().is_none_or(serde_json::Map::is_empty) {
            rows(&format!("{path}."), schema, default, table)?;
        } else {
            writeln!(table, "| `{path}` | `{}` | {} |", cell(&default.to_string()), cell(what))?;
        }
    }
    Ok(())
}
