//! What a run prints on stdout: for people, or as one JSON object.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use node_annotator_core::key::fact_name;
use node_annotator_core::{Entry, Outcome, Plan, Topic};
use serde_json::{Value, json};

use super::publish::Published;
use super::run::{Finished, Settings, Target, Written};
use crate::output::{Format, columns};
use crate::trouble::Trouble;

/// A run as text or JSON.
pub fn render(finished: &Finished, settings: &Settings, format: Format) -> String {
    match format {
        Format::Text => Text(finished).to_string(),
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
    let error = finished.trouble().map(|Trouble { what, hint }| json!({ "message": what, "hint": hint }));
    json!({
        "node": node,
        "prefix": settings.prefix.as_str(),
        "collectors": finished.report(),
        "patch": plan.map(Plan::patch),
        "published": published.map(|stored| json!({ "resourceVersion": stored.resource_version })),
        "error": error,
        "exitCode": finished.exit().code(),
    })
}

struct Text<'a>(&'a Finished);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(finished) = self;
        f.write_str(&by_topic(finished.report().iter().flat_map(|report| report.entries())))?;
        match finished {
            Finished::Stopped(trouble) | Finished::Ran { written: Written::Failed(trouble), .. } => {
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

/// What all collectors have to say, below their topics.
fn by_topic<'a>(entries: impl Iterator<Item = &'a Entry>) -> String {
    let mut topics = BTreeMap::<Topic, Vec<(String, String)>>::new();
    for entry in entries {
        topics.entry(entry.collector.topic).or_default().extend(rows(entry));
    }
    let lines = columns(&topics.values().flatten().cloned().collect::<Vec<_>>(), 2);
    let mut lines = lines.lines();
    let mut text = String::new();
    for (topic, rows) in topics {
        text.extend([topic.as_str(), "\n"]);
        text.extend(lines.by_ref().take(rows.len()).flat_map(|line| [line, "\n"]));
    }
    text
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
