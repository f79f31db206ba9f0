//! How the outcome of a check is printed.

use std::collections::BTreeMap;

use clap::ValueEnum;
use maud::{PreEscaped, html};
use node_annotator_core::fact::clean;

use super::{Check, OfNode, Outcome, Verdict};
use crate::operator::fleet::names;
use crate::operator::status::shortened;
use crate::operator::table::{self, NONE, Table, cell, counted};

/// Longest text of a cell.
const MAX_TEXT_BYTES: usize = 512;

/// The shape of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckForm {
    /// A table; on a terminal as wide as that
    Table,
    /// A table with whole texts
    Wide,
    /// JSON, for programs
    Json,
    /// The same as YAML
    Yaml,
    /// Comma-separated values, a row for each expectation of each node
    Csv,
    /// Names of nodes that are not as expected
    Name,
    /// XML of `JUnit`, as CI systems show it: a suite for each expectation, a case for each node
    Junit,
}

impl Check {
    /// As it is printed.
    pub(crate) fn render(&self, form: CheckForm, width: Option<u16>) -> anyhow::Result<String> {
        Ok(match form {
            CheckForm::Table | CheckForm::Wide => self.text(form == CheckForm::Wide, width),
            CheckForm::Json | CheckForm::Yaml => {
                table::document("FleetCheck", self, form == CheckForm::Yaml)?
            }
            CheckForm::Csv => self.each().csv()?,
            CheckForm::Name => {
                let nodes = self.expectations.iter().flat_map(|outcome| &outcome.nodes);
                let wrong = nodes.filter(|node| node.result != Verdict::Passed);
                let names: std::collections::BTreeSet<_> = wrong.map(|node| node.name.as_str()).collect();
                table::names(names)
            }
            CheckForm::Junit => self.junit(),
        })
    }

    fn text(&self, is_wide: bool, width: Option<u16>) -> String {
        let mut table = Table::new(["expectation", "result", "count", "nodes", "found"]);
        for outcome in &self.expectations {
            let mut rows: BTreeMap<(Verdict, String), Vec<&str>> = BTreeMap::new();
            for node in &outcome.nodes {
                rows.entry((node.result, node.found())).or_default().push(&node.name);
            }
            let name = clean(&outcome.name, MAX_TEXT_BYTES);
            if rows.is_empty() {
                table.rows.push(vec![
                    name.clone(),
                    "no node".to_owned(),
                    "0".to_owned(),
                    String::new(),
                    String::new(),
                ]);
            }
            for ((verdict, found), nodes) in rows {
                table.rows.push(vec![
                    name.clone(),
                    verdict.as_str().to_owned(),
                    nodes.len().to_string(),
                    shortened(&names::fold(nodes), is_wide),
                    found,
                ]);
            }
        }
        format!("{}\n{}\n", table.text(is_wide, width), self.line())
    }

    fn line(&self) -> String {
        let (nodes, expectations) =
            (counted(self.node_count, "node"), counted(self.expectations.len(), "expectation"));
        format!("{nodes}, {expectations}: {}", self.totals.line())
    }

    /// A row for each expectation of each node.
    fn each(&self) -> Table {
        let mut table = Table::new(["node", "expectation", "result", "found"]);
        for outcome in &self.expectations {
            table.rows.extend(outcome.nodes.iter().map(|node| {
                let result = node.result.as_str().to_owned();
                vec![node.name.clone(), clean(&outcome.name, MAX_TEXT_BYTES), result, node.found()]
            }));
        }
        table
    }

    /// What a CI system reads: a fact that is not as expected is a failure, one that is not known an error.
    fn junit(&self) -> String {
        let suites = |outcome: &Outcome| {
            let name = clean(&outcome.name, MAX_TEXT_BYTES);
            let of = |verdict| outcome.totals.of(verdict);
            html! {
                testsuite name=(name) tests=(outcome.nodes.len()) failures=(of(Verdict::Failed)) errors=(of(Verdict::Unknown)) {
                    "\n"
                    @for node in &outcome.nodes {
                        testcase classname=(name) name=(node.name) {
                            @match node.result {
                                Verdict::Passed => {}
                                Verdict::Failed => { failure message=(node.found()) { (clean(&outcome.expect, MAX_TEXT_BYTES)) } }
                                Verdict::Unknown => { error message=(node.found()) { "a collector is not done on this node" } }
                            }
                        }
                        "\n"
                    }
                }
                "\n"
            }
        };
        let total = |verdict| self.totals.of(verdict);
        let tests = self.expectations.iter().map(|outcome| outcome.nodes.len()).sum::<usize>();
        let text = html! {
            (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
            testsuites name="node-annotator check" tests=(tests) failures=(total(Verdict::Failed)) errors=(total(Verdict::Unknown)) {
                "\n"
                @for outcome in &self.expectations { (suites(outcome)) }
            }
            "\n"
        };
        text.into_string()
    }
}

impl OfNode {
    /// What the expectation looks at, as it is.
    fn found(&self) -> String {
        let facts = self.facts.iter();
        let facts = facts.map(|(name, value)| format!("{name}: {}", cell(value.as_deref(), NONE)));
        clean(&facts.collect::<Vec<_>>().join(", "), MAX_TEXT_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use node_annotator_collectors as _;
    use node_annotator_core::{Prefix, Registry};
    use serde_json::json;

    use super::*;
    use crate::operator::check::expectations::parse;
    use crate::operator::fleet::node::Node;

    fn check() -> Check {
        let registry = Registry::from_inventory().unwrap();
        let text = "
expectations:
- expect: kernel.major >= 6
- name: none is open & <all> are \"known\"
  expect: cpu-vulnerabilities == none
- expect: kernel
  where: pool == nowhere
";
        let expectations = parse(text, "file", &registry).unwrap();
        let mut check =
            Check { expectations: expectations.iter().map(Outcome::none_of).collect(), ..Check::default() };
        for number in 1..=9 {
            let mut annotations = json!({ "k8s.haim.dev/kernel.major": if number == 4 { "5" } else { "6" } });
            let mut labels =
                json!({ "k8s.haim.dev/kernel": "saved", "k8s.haim.dev/cpu-vulnerabilities": "saved" });
            match number {
                1 => annotations["k8s.haim.dev/cpu-vulnerabilities"] = json!("mds,\u{1b}[2J<b>&\"'"),
                2 => labels = json!({}),
                3 => {}
                _ => annotations["k8s.haim.dev/cpu-vulnerabilities"] = json!("none"),
            }
            let metadata =
                json!({ "name": format!("n{number}"), "labels": labels, "annotations": annotations });
            let node: Node = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
            check.node_count += 1;
            check.add(&node, &expectations, &[0, 1, 2], &Prefix::default());
        }
        check
    }

    #[test]
    fn what_is_not_as_expected_is_told_with_what_was_found() {
        let check = check();
        assert!(!check.totals.is_passed());
        for width in [80, 120, 200] {
            let text = check.render(CheckForm::Table, Some(width)).unwrap();
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{text}");
            assert_snapshot!(format!("check-{width}"), text);
        }
        assert_snapshot!("check-json", check.render(CheckForm::Json, None).unwrap());
        assert_snapshot!("check-csv", check.render(CheckForm::Csv, None).unwrap());
        assert_snapshot!("check-junit", check.render(CheckForm::Junit, None).unwrap());
        assert_eq!(check.render(CheckForm::Name, None).unwrap(), "node/n1\nnode/n2\nnode/n3\nnode/n4\n");
    }
}
