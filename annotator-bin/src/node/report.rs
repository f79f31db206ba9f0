//! What a run prints on stdout: for people, or as one JSON object.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use node_annotator_core::key::fact_name;
use node_annotator_core::label::NoLabel;
use node_annotator_core::{Entry, Outcome, Plan, Report, Topic};
use serde_json::{Value, json};

use super::finished::{Finished, Written};
use super::publish::Published;
use super::run::{Settings, Target};
use crate::output::{Format, columns};
use crate::trouble::Trouble;

/// A run as text or JSON.
pub fn render(finished: &Finished, settings: &Settings, format: Format) -> String {
    match format {
        Format::Text => Text(finished, settings).to_string(),
        Format::Json => format!("{:#}\n", to_json(finished, settings)),
    }
}

/// A run as one JSON object. `patch` is the exact body of the PATCH.
fn to_json(finished: &Finished, settings: &Settings) -> Value {
    let node = match &settings.target {
        Target::Node(node) => Some(node),
        Target::DryRun => None,
    };
    let (plan, published) = match finished {
        Finished::Stopped(_) | Finished::Ran { written: Written::Unchanged, .. } => (None, None),
        Finished::Ran { plan, written: Written::Stored(published), .. } => (Some(plan), Some(published)),
        Finished::Ran { plan, .. } => (Some(plan), None),
    };
    let labels = (!settings.labels.is_empty()).then(|| labels(finished, settings));
    let error = finished.trouble().map(|Trouble { what, hint }| json!({ "message": what, "hint": hint }));
    let mut object = json!({
        "node": node,
        "prefix": settings.prefix.as_str(),
        "collectors": finished.report(),
        "patch": plan.map(Plan::patch),
        "published": published.map(|stored| json!({ "resourceVersion": stored.resource_version })),
        "error": error,
        "exitCode": finished.exit().code(),
    });
    if let Some(labels) = labels {
        let (set, left_out): (Vec<_>, Vec<_>) = labels.into_iter().partition(|(_, value)| value.is_ok());
        let text = |(key, value): (String, Result<_, NoLabel>)| {
            (key, value.unwrap_or_else(|reason| reason.to_string()))
        };
        object["labels"] = json!(set.into_iter().map(text).collect::<BTreeMap<_, _>>());
        object["labelsLeftOut"] = json!(left_out.into_iter().map(text).collect::<BTreeMap<_, _>>());
    }
    object
}

/// What the labels of facts say, by their keys.
fn labels(finished: &Finished, settings: &Settings) -> BTreeMap<String, Result<String, NoLabel>> {
    finished.report().map(|report| settings.labels.of(report, &settings.prefix)).unwrap_or_default()
}

struct Text<'a>(&'a Finished, &'a Settings);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(finished, settings) = self;
        let entries = finished.report().map(Report::entries).unwrap_or_default();
        f.write_str(&by_topic(entries, label_rows(finished, settings)))?;
        match finished {
            Finished::Stopped(trouble) | Finished::Ran { written: Written::Failed { trouble, .. }, .. } => {
                writeln!(f, "\nnothing is written: {trouble}")
            }
            Finished::Ran { written: Written::DryRun, .. } => {
                writeln!(f, "\ndry run: nothing is written; `-o json` has the request")
            }
            Finished::Ran { written: Written::Unchanged, .. } => {
                writeln!(f, "\nnothing new: what is on the node stays")
            }
            Finished::Ran { written: Written::Stored(Published { node, resource_version }), .. } => {
                writeln!(f, "\nwritten on node {node}, resource version {resource_version}")
            }
        }
    }
}

/// What all collectors have to say, below their topics, and then the labels of facts.
fn by_topic(entries: &[Entry], labels: Vec<(String, String)>) -> String {
    let mut topics = BTreeMap::<Topic, Vec<(String, String)>>::new();
    for entry in entries {
        topics.entry(entry.collector.topic).or_default().extend(rows(entry));
    }
    let topics = topics.into_iter().map(|(topic, rows)| (topic.as_str(), rows));
    let labels = (!labels.is_empty()).then_some(("labels", labels));
    let parts: Vec<_> = topics.chain(labels).collect();
    let rows: Vec<_> = parts.iter().flat_map(|(_, rows)| rows).cloned().collect();
    let lines = columns(&rows, 2);
    let mut lines = lines.lines();
    let mut text = String::new();
    for (heading, rows) in parts {
        text.extend([heading, "\n"]);
        text.extend(lines.by_ref().take(rows.len()).flat_map(|line| [line, "\n"]));
    }
    text
}

/// The labels of facts that are there, and why others are not.
fn label_rows(finished: &Finished, settings: &Settings) -> Vec<(String, String)> {
    let labels = labels(finished, settings).into_iter();
    labels
        .filter(|(_, value)| *value != Err(NoLabel::Missing))
        .map(|(key, value)| (key, value.unwrap_or_else(|reason| format!("no label: {reason}"))))
        .collect()
}

/// What one collector has to say, in two columns.
fn rows(entry: &Entry) -> Vec<(String, String)> {
    let name = entry.collector.name;
    match &entry.outcome {
        Outcome::Collected(facts) => {
            facts.iter().map(|(fact, value)| (fact_name(name, fact), value.to_owned())).collect()
        }
        Outcome::NotApplicable(reason) | Outcome::Unknown(reason) => {
            vec![(name.to_owned(), format!("not applicable: {reason}"))]
        }
        outcome => {
            let error = format!("FAILED: {}", outcome.error().unwrap_or_default());
            let hint = outcome.hint().map(|hint| (String::new(), format!("hint: {hint}")));
            std::iter::once((name.to_owned(), error)).chain(hint).collect()
        }
    }
}
