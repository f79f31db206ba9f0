//! What a run prints on stdout: for people, or as one JSON object.

use std::fmt::{self, Display, Formatter, Write as _};
use std::io::{self, Write as _};

use clap::ValueEnum;
use node_annotator_core::key::fact_name;
use node_annotator_core::{Entry, Outcome, Plan, Report};
use serde_json::{Value, json};

use crate::run::{Finished, Settings, Target};

/// The shape of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Prints a text on stdout. A reader that has gone away is not an error: it has seen what it wanted.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A run as text or JSON.
pub fn render(finished: &Finished, settings: &Settings, format: Format) -> String {
    match format {
        Format::Text => Text { finished, settings }.to_string(),
        Format::Json => format!("{:#}\n", to_json(finished, settings)),
    }
}

/// A run as one JSON object. `patch` is the exact body of the PATCH.
pub fn to_json(finished: &Finished, settings: &Settings) -> Value {
    let node = match &settings.target {
        Target::Node(node) => Some(node),
        Target::DryRun => None,
    };
    let error = finished.error.as_ref().map(|(message, hint)| json!({ "message": message, "hint": hint }));
    json!({
        "node": node,
        "prefix": settings.prefix.as_str(),
        "collectors": finished.report,
        "patch": finished.plan.as_ref().map(Plan::patch),
        "published": finished.published.as_ref().map(|stored| json!({ "resourceVersion": stored.resource_version })),
        "error": error,
        "exitCode": finished.exit.code(),
    })
}

struct Text<'a> {
    finished: &'a Finished,
    settings: &'a Settings,
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { finished, settings } = self;
        for entry in finished.report.iter().flat_map(Report::entries) {
            write_entry(f, entry)?;
        }
        match (&settings.target, &finished.published, &finished.error) {
            (Target::DryRun, _, _) => {
                if let Some(plan) = &finished.plan {
                    write!(f, "\npatch (dry run, nothing is written)\n{:#}\n", plan.patch())?;
                }
                Ok(())
            }
            (Target::Node(node), Some(stored), _) => {
                writeln!(f, "\nwritten on node {node}, resource version {}", stored.resource_version)
            }
            (Target::Node(_), None, Some((message, hint))) => {
                writeln!(f, "\nnot written: {message}\nhint: {hint}")
            }
            (Target::Node(_), None, None) => Ok(()),
        }
    }
}

fn write_entry(f: &mut Formatter<'_>, entry: &Entry) -> fmt::Result {
    let name = entry.collector.name;
    match &entry.outcome {
        Outcome::Collected(facts) => {
            let width = facts.iter().map(|(fact, _)| fact_name(name, fact).len()).max().unwrap_or_default();
            for (fact, value) in facts.iter() {
                writeln!(f, "{:width$}  {value}", fact_name(name, fact))?;
            }
            Ok(())
        }
        Outcome::NotApplicable(reason) => writeln!(f, "{name}  not applicable: {reason}"),
        outcome => {
            writeln!(f, "{name}  FAILED: {}", outcome.error().unwrap_or_default())?;
            outcome.hint().map_or(Ok(()), |hint| writeln!(f, "  hint: {hint}"))
        }
    }
}

/// Two columns with the second one aligned, as `list` and `explain` print them.
pub(crate) fn columns(rows: &[(String, String)], indent: usize) -> String {
    let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for (left, right) in rows {
        let line = format!("{:indent$}{left:width$}  {right}", "");
        writeln!(text, "{}", line.trim_end()).expect("a string takes what is written to it");
    }
    text
}
