//! `list` and `explain`: what the registry knows, as text or JSON.

use std::fmt::Write as _;

use node_annotator_core::key::fact_name;
use node_annotator_core::{Collector, Fact, Prefix, Registry, Selected};
use serde_json::{Value, json};

use crate::output::{Format, wrapped_columns};

/// All collectors, grouped by topic.
pub fn list(registry: &Registry, prefix: &Prefix, format: Format) -> String {
    if format == Format::Json {
        return format!("{:#}\n", registry.iter().map(|c| to_json(c, prefix)).collect::<Value>());
    }
    let mut text = String::new();
    let width = registry.iter().map(|collector| collector.name.len()).max().unwrap_or_default();
    for (topic, collectors) in registry.by_topic() {
        let row = |collector: &Collector| {
            let note = if collector.selected == Selected::OnRequest { " (on request)" } else { "" };
            (format!("{:width$}", collector.name), format!("{}{note}", collector.summary))
        };
        let rows: Vec<_> = collectors.into_iter().map(row).collect();
        writeln!(text, "{topic}").expect("a string takes what is written to it");
        text += &wrapped_columns(&rows, 2);
    }
    text
}

/// Everything there is to know about one collector.
pub fn explain(collector: &Collector, prefix: &Prefix, format: Format) -> String {
    if format == Format::Json {
        return format!("{:#}\n", to_json(collector, prefix));
    }
    let mut text = format!("{}: {}\n\n", collector.name, collector.summary);
    let needs = if collector.needs.is_empty() {
        "nothing".to_owned()
    } else {
        collector.needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let mut rows = vec![
        ("topic".to_owned(), collector.topic.to_string()),
        ("selected".to_owned(), collector.selected.to_string()),
        ("reads".to_owned(), collector.reads.join(" ")),
        ("not applicable".to_owned(), collector.not_applicable.unwrap_or("nowhere").to_owned()),
        ("needs".to_owned(), needs),
        ("pod security".to_owned(), collector.privilege_class().as_str().to_owned()),
        ("timeout".to_owned(), format!("{:?}", collector.timeout)),
        ("done label".to_owned(), prefix.done(collector.name)),
        ("on failure".to_owned(), format!("annotation {}", prefix.error(collector.name))),
        ("given up".to_owned(), format!("label {}", prefix.failed(collector.name))),
    ];
    if collector.holds_per_boot() {
        rows.push(("boot".to_owned(), format!("annotation {}", prefix.boot_id(collector.name))));
    }
    text += &wrapped_columns(&rows, 0);
    text += "\nannotations\n";
    for fact in collector.facts {
        text += &explain_fact(collector, fact, prefix);
    }
    if !collector.variables.is_empty() {
        text += "\nenvironment\n";
        let rows: Vec<_> =
            collector.variables.iter().map(|v| (v.name.to_owned(), v.summary.to_owned())).collect();
        text += &wrapped_columns(&rows, 2);
    }
    text
}

fn explain_fact(collector: &Collector, fact: &Fact, prefix: &Prefix) -> String {
    let mut text = format!("  {}\n", prefix.fact(collector.name, fact.name));
    for line in [fact.summary, &format!("{}, {}, such as `{}`", fact.kind, fact.stability, fact.example)] {
        text += &wrapped_columns(&[(String::new(), line.to_owned())], 4);
    }
    text
}

fn to_json(collector: &Collector, prefix: &Prefix) -> Value {
    let facts = collector.facts.iter().map(|fact| {
        json!({
            "name": fact_name(collector.name, fact.name),
            "annotation": prefix.fact(collector.name, fact.name),
            "summary": fact.summary,
            "example": fact.example,
            "kind": fact.kind,
            "stability": fact.stability,
            "cardinality": fact.cardinality,
            "maxBytes": fact.max_bytes,
        })
    });
    json!({
        "name": collector.name,
        "topic": collector.topic,
        "summary": collector.summary,
        "selected": collector.selected,
        "revision": collector.revision,
        "reads": collector.reads,
        "notApplicable": collector.not_applicable,
        "needs": collector.needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "privilegeClass": collector.privilege_class(),
        "timeoutSeconds": collector.timeout.as_secs_f64(),
        "doneLabel": prefix.done(collector.name),
        "errorAnnotation": prefix.error(collector.name),
        "failedLabel": prefix.failed(collector.name),
        "bootIdAnnotation": collector.holds_per_boot().then(|| prefix.boot_id(collector.name)),
        "facts": facts.collect::<Vec<_>>(),
        "retired": collector.retired,
        "variables": collector.variables,
    })
}
