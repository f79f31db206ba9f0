//! The file of expectations, as it is written by people.

use node_annotator_core::Registry;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::operator::condition::Condition;
use crate::trouble::Trouble;

/// What a file must say of itself, if it says anything.
const API_VERSION: &str = "node-annotator/v1";
const KIND: &str = "Expectations";

/// What is to hold of some nodes.
#[derive(Debug)]
pub(crate) struct Expectation {
    /// What it is called in the output.
    pub(crate) name: String,
    /// As it is written.
    pub(crate) expect: String,
    pub(crate) condition: Condition,
    /// Of which nodes, by their labels, as the API server reads it.
    pub(crate) selector: Option<String>,
    /// Of which nodes, by their facts.
    pub(crate) of: Option<(String, Condition)>,
    /// The line of the file that it begins on.
    pub(crate) line: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    api_version: Option<Spanned<String>>,
    kind: Option<Spanned<String>>,
    expectations: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Option<String>,
    expect: Spanned<String>,
    selector: Option<String>,
    r#where: Option<Spanned<String>>,
}

/// Reads a file. An error names the line and what is wrong there.
pub(crate) fn parse(text: &str, path: &str, registry: &Registry) -> Result<Vec<Expectation>, Trouble> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| not_yaml(path, &error))?;
    for (found, expected, field) in
        [(&file.api_version, API_VERSION, "apiVersion"), (&file.kind, KIND, "kind")]
    {
        if let Some(found) = found.as_ref().filter(|found| found.value != expected) {
            let line = found.referenced.line();
            return Err(Trouble::plain(format_args!(
                "{path}:{line}: {field} is `{}`, and this version reads `{expected}`",
                found.value
            )));
        }
    }
    if file.expectations.is_empty() {
        return Err(Trouble::new(format!("{path}: nothing is expected"), EXAMPLE));
    }
    file.expectations
        .into_iter()
        .enumerate()
        .map(|(at, entry)| {
            let line = entry.referenced.line();
            let condition = |field: &str, text: &Spanned<String>| {
                Condition::parse(&text.value, registry).map_err(|error| {
                    let line = text.referenced.line();
                    let entry = at + 1;
                    Trouble::plain(format_args!(
                        "{path}:{line}: `{field}` of entry {entry} cannot be read: {error}"
                    ))
                })
            };
            let Entry { name, expect, selector, r#where } = entry.value;
            let of =
                r#where.map(|text| Ok::<_, Trouble>((condition("where", &text)?, text.value))).transpose()?;
            Ok(Expectation {
                condition: condition("expect", &expect)?,
                name: name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| expect.value.clone()),
                expect: expect.value,
                selector: selector.filter(|selector| !selector.trim().is_empty()),
                of: of.map(|(condition, text)| (text, condition)),
                line,
            })
        })
        .collect()
}

const EXAMPLE: &str = "write entries such as `- expect: kernel.major >= 6` below `expectations:`";

/// In the parser's words, on one line, with the place.
fn not_yaml(path: &str, error: &serde_saphyr::Error) -> Trouble {
    let place = error.location().map(|place| format!(":{}", place.line())).unwrap_or_default();
    let text = error.without_snippet().to_string();
    let what = text.lines().next().unwrap_or_default();
    Trouble::new(format!("{path}{place}: {what}"), EXAMPLE)
}

#[cfg(test)]
mod tests {
    use node_annotator_collectors as _;

    use super::*;

    fn read(text: &str) -> Result<Vec<Expectation>, String> {
        let registry = Registry::from_inventory().unwrap();
        parse(text, "file.yaml", &registry).map_err(|error| error.to_string())
    }

    #[test]
    fn an_entry_has_a_name_and_says_of_which_nodes() {
        let text = "
apiVersion: node-annotator/v1
kind: Expectations
expectations:
- expect: kernel.major >= 6
- name: no open vulnerabilities
  expect: cpu-vulnerabilities == none
  selector: pool in (a, b)
  where: not cpu-model contains Atom
";
        let read = read(text).unwrap();
        assert_eq!((read[0].name.as_str(), read[0].line), ("kernel.major >= 6", 5));
        let second = &read[1];
        assert_eq!((second.name.as_str(), second.line), ("no open vulnerabilities", 6));
        assert_eq!(second.selector.as_deref(), Some("pool in (a, b)"));
        assert_eq!(second.of.as_ref().unwrap().0, "not cpu-model contains Atom");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_entry() {
        for (text, error) in [
            ("", "file.yaml"),
            ("expectations: []", "file.yaml: nothing is expected\nhint: write entries such as"),
            ("expectations:\n- kernel.major >= 6\n", "file.yaml:2: "),
            ("expectations:\n- expect: [\n", "file.yaml:"),
            ("expectations:\n- name: a\n", "file.yaml:2: missing field `expect`"),
            ("expectations:\n- expect: kernel\n  slector: a\n", "file.yaml:3: unknown field `slector`"),
            (
                "kind: Pod\nexpectations: []",
                "file.yaml:1: kind is `Pod`, and this version reads `Expectations`",
            ),
            (
                "expectations:\n- expect: kernel\n- name: x\n  expect: kernel.mayor == 6\n",
                "file.yaml:4: `expect` of entry 2 cannot be read: `kernel` has no fact `mayor`",
            ),
            (
                "expectations:\n- expect: kernel\n  where: kernel <\n",
                "file.yaml:3: `where` of entry 1 cannot be read: at column 9",
            ),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.starts_with(error), "{text}: {told}");
        }
    }
}
