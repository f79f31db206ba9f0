//! What a run prints on stdout: for people, or as one JSON object.

use std::fmt::{self, Display, Formatter, Write as _};
use std::io::{self, Write as _};

use clap::ValueEnum;
use node_annotator_core::key::fact_name;
use node_annotator_core::{Entry, Outcome, Plan, Report};
use serde_json::{Value, json};

use crate::run::{Failure, Finished, Settings, Target};

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
    let error = finished.error.as_ref();
    let error = error.map(|failure| json!({ "message": failure.message, "hint": failure.hint }));
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
        let rows: Vec<_> = finished.report.iter().flat_map(Report::entries).flat_map(rows).collect();
        f.write_str(&columns(&rows, 0))?;
        match (&settings.target, &finished.published, &finished.error) {
            (_, _, Some(Failure { message, hint })) => {
                writeln!(f, "\nnothing is written: {message}\nhint: {hint}")
            }
            (Target::DryRun, _, None) => {
                let patch = finished.plan.as_ref().map(Plan::patch).unwrap_or_default();
                writeln!(f, "\npatch (dry run, nothing is written)\n{patch:#}")
            }
            (Target::Node(node), Some(stored), None) => {
                writeln!(f, "\nwritten on node {node}, resource version {}", stored.resource_version)
            }
            (Target::Node(_), None, None) => Ok(()),
        }
    }
}

/// What one collector has to say, in two columns.
fn rows(entry: &Entry) -> Vec<(String, String)> {
    let name = entry.collector.name;
    match &entry.outcome {
        Outcome::Collected(facts) => {
            facts.iter().map(|(fact, value)| (fact_name(name, fact), value.to_owned())).collect()
        }
        Outcome::NotApplicable(reason) => vec![(name.to_owned(), format!("not applicable: {reason}"))],
        outcome => {
            let error = format!("FAILED: {}", outcome.error().unwrap_or_default());
            let hint = outcome.hint().map(|hint| (String::new(), format!("hint: {hint}")));
            std::iter::once((name.to_owned(), error)).chain(hint).collect()
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
