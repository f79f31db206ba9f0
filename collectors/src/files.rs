//! `files`: facts that an operator puts on the nodes, in files. They are parsed, and never executed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use node_annotator_core::context::HostText;
use node_annotator_core::key::is_dns_label;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostPath, Kind, Need, Stability,
    Topic, Variable, register,
};
use serde_json::Value;

use crate::source::os_release;

const FILES: Fact = Fact::primary(
    "names of the files that were read, in order of the alphabet; the facts in them have the names that the operator declares",
    "rack.env,site.json,team.yaml",
    Stability::Dynamic,
)
.kind(Kind::List);

const DIRECTORY: &str = "/etc/node-annotator/facts.d";
const DIRECTORY_VARIABLE: &str = "NODE_ANNOTATOR_FACTS_DIR";

/// The collector.
pub static FILES_OF_OPERATOR: Collector = Collector::new(
    "files",
    Topic::Other("site"),
    "Facts of the operator, from files `*.json`, `*.yaml` and `*.env` in a directory of the node",
    &[FILES],
    Collect::Blocking(collect),
)
.takes_named_facts()
.reads(&[DIRECTORY, "/etc/node-annotator/facts.d/*"])
.not_applicable("where the directory is missing, or holds no such file")
.needs(&[Need::HostPath(HostPath::optional("/etc", DIRECTORY))])
.variables(&[
    Variable::operator(
        DIRECTORY_VARIABLE,
        "the directory, as of --facts-dir; without it, /etc/node-annotator/facts.d",
    ),
    Variable::operator("NODE_ANNOTATOR_FACT", "the names of facts, as of --fact"),
    Variable::operator("NODE_ANNOTATOR_RETIRED_FACT", "names of an earlier set, as of --retired-fact"),
])
.on_request();

register!(FILES_OF_OPERATOR);

/// More files than anybody needs, and what one of them may hold.
const MAX_FILES: usize = 32;
const MAX_BYTES: usize = 64 * 1024;

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let directory = cx.environment.get(DIRECTORY_VARIABLE).unwrap_or(DIRECTORY).trim_end_matches('/');
    let nothing = || Ok(Collected::not_applicable(format!("there are no files of facts in `{directory}`")));
    let Some(names) = cx.host.list(directory)? else { return nothing() };
    let files: Vec<_> = names.iter().filter_map(|name| Some((name, Format::of(name)?))).collect();
    if files.is_empty() {
        return nothing();
    }
    if files.len() > MAX_FILES {
        return Err(
            CollectError::new(format!("`{directory}` holds more than {MAX_FILES} files of facts")).lasting()
        );
    }
    let mut values = BTreeMap::<String, (String, &str)>::new();
    for (name, format) in &files {
        let path = format!("{directory}/{name}");
        let wrong = |what: String| CollectError::new(format!("`{path}` {what}")).malformed();
        let Some(text) = cx.host.text(&path)? else { continue };
        for (fact, value) in format.parse(&text).map_err(wrong)? {
            if let Some((_, other)) = values.get(&fact) {
                return Err(wrong(format!("holds the fact `{fact}`, and so does `{other}`")));
            }
            values.insert(fact, (value, name));
        }
    }
    let list = files.iter().map(|(name, _)| name.replace(',', "_")).collect::<Vec<_>>().join(",");
    let add = |facts: Facts, (name, (value, _)): (String, (String, &str))| {
        let fact = Fact::named(interned(name), FILES.summary, FILES.example, FILES.stability);
        facts.with(&fact, value)
    };
    Ok(values.into_iter().fold(Facts::new(list), add).into())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
    Env,
}

impl Format {
    /// By the ending of a file's name; what editors and package managers leave behind is none.
    fn of(name: &str) -> Option<Self> {
        let (stem, ending) = name.rsplit_once('.')?;
        match ending {
            _ if stem.is_empty() || stem.starts_with('.') => None,
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "env" => Some(Self::Env),
            _ => None,
        }
    }

    /// Names and values. An error says what is wrong with the file, without its text.
    fn parse(self, text: &HostText) -> Result<Vec<(String, String)>, String> {
        if text.is_cut() || text.len() > MAX_BYTES {
            return Err(format!("is longer than {MAX_BYTES} bytes"));
        }
        let object = match self {
            Self::Env => return of_env(text),
            Self::Json => serde_json::from_str(text)
                .map_err(|error| format!("is no JSON at line {}, column {}", error.line(), error.column())),
            Self::Yaml => serde_saphyr::from_str(text).map_err(|error| match error.location() {
                Some(place) => format!("is no YAML at line {}, column {}", place.line(), place.column()),
                None => "is no YAML".to_owned(),
            }),
        }?;
        let object = match object {
            Value::Object(object) => object,
            Value::Null => return Ok(Vec::new()),
            _ => return Err("holds no names with values".to_owned()),
        };
        let mut facts = Vec::new();
        for (key, value) in &object {
            if let Some(value) =
                text_of(value).map_err(|what| format!("has {what} as the value of `{key}`"))?
            {
                facts.push((name_of(key)?, value));
            }
        }
        Ok(facts)
    }
}

/// Assignments as a shell reads them. A line that is none is an error, so that a fact is not lost by a slip.
fn of_env(text: &str) -> Result<Vec<(String, String)>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let assignments = lines.map(|line| line.strip_prefix("export ").unwrap_or(line));
    assignments
        .enumerate()
        .map(|(index, line)| {
            let variables = os_release::parse(line);
            let (name, value) = variables
                .into_iter()
                .next()
                .ok_or_else(|| format!("has no assignment as number {}, where one is expected", index + 1))?;
            Ok((name_of(name.trim())?, value))
        })
        .filter(|fact| !matches!(fact, Ok((_, value)) if value.is_empty()))
        .collect()
}

/// A scalar as text, a list of scalars with commas; nothing for null.
fn text_of(value: &Value) -> Result<Option<String>, &'static str> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null => Err("null in a list"),
        Value::Array(_) => Err("a list in a list"),
        Value::Object(_) => Err("an object"),
    };
    match value {
        Value::Null => Ok(None),
        Value::Array(values) => {
            let words = values.iter().map(scalar).collect::<Result<Vec<_>, _>>()?;
            Ok(Some(words.join(",")).filter(|text| !text.is_empty()))
        }
        value => scalar(value).map(|text| Some(text).filter(|text| !text.is_empty())),
    }
}

/// The name of a fact: lower case, `-` for `_`, as `RACK_ROW` and `rack_row` are `rack-row`.
fn name_of(key: &str) -> Result<String, String> {
    let name = key.to_ascii_lowercase().replace('_', "-");
    if is_dns_label(&name) {
        Ok(name)
    } else {
        Err("has a name that is not made of letters, digits and `_` or `-` between them".to_owned())
    }
}

/// Facts have names that live as long as the process; each is kept once, however often the files are read.
fn interned(name: String) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name.as_str()) {
        return known;
    }
    let name: &'static str = name.leak();
    names.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(format: Format, text: &str) -> Result<Vec<(String, String)>, String> {
        format.parse(&HostText::from(text))
    }

    fn facts(format: Format, text: &str) -> String {
        let facts = parse(format, text).unwrap();
        facts.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_format_has_names_and_values() {
        let json =
            r#"{"rack": "17", "row": 4, "leased": true, "owners": ["a", "b"], "none": null, "empty": ""}"#;
        assert_eq!(facts(Format::Json, json), "leased=true owners=a,b rack=17 row=4");
        assert_eq!(facts(Format::Yaml, "rack: '017'\nrow: 4\nowners: [a, b]\n"), "owners=a,b rack=017 row=4");
        assert_eq!(facts(Format::Yaml, "# nothing yet\n"), "");
        assert_eq!(
            facts(Format::Env, "# a comment\nRACK=17\nexport COST_CENTER=\"a b\"\n\nEMPTY=\n"),
            "rack=17 cost-center=a b"
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_text() {
        for (format, text, message) in [
            (Format::Json, "{\"a\": sentinel}", "is no JSON at line 1, column 7"),
            (Format::Json, "[1]", "holds no names with values"),
            (Format::Json, "{\"a\": {\"b\": 1}}", "has an object as the value of `a`"),
            (Format::Json, "{\"a\": [[1]]}", "has a list in a list as the value of `a`"),
            (
                Format::Json,
                "{\"a b\": 1}",
                "has a name that is not made of letters, digits and `_` or `-` between them",
            ),
            (Format::Yaml, "a: [sentinel", "is no YAML at line 1, column 4"),
            (Format::Env, "A=1\nsentinel\n", "has no assignment as number 2, where one is expected"),
        ] {
            let error = parse(format, text).unwrap_err();
            assert_eq!(error, message, "{text}");
            assert!(!error.contains("sentinel"));
        }
        let long = format!("A={}", "x".repeat(MAX_BYTES));
        assert_eq!(parse(Format::Env, &long).unwrap_err(), "is longer than 65536 bytes");
    }

    #[test]
    fn a_format_is_known_by_the_name_of_the_file() {
        for (name, format) in [
            ("site.json", Some(Format::Json)),
            ("a.b.yml", Some(Format::Yaml)),
            ("rack.env", Some(Format::Env)),
            (".env", None),
            (".site.json.swp", None),
            (".#site.json", None),
            ("site.json~", None),
            ("run.sh", None),
        ] {
            assert_eq!(Format::of(name), format, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|([A-Za-z_]{1,5}[=:] ?[\"'\\[{a ]{0,6}\n){0,6}") {
            for format in [Format::Json, Format::Yaml, Format::Env] {
                for (name, _) in parse(format, &text).unwrap_or_default() {
                    prop_assert!(is_dns_label(&name));
                }
            }
        }
    }
}
