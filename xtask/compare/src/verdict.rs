//! What comes of a comparison.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::comparisons::TOLD;
use crate::explained::explanation;
use crate::ours::Facts;
use crate::said::Fields;

/// One fact beside what one program says of it.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) machine: String,
    pub(crate) fact: String,
    pub(crate) ours: Option<String>,
    pub(crate) program: &'static str,
    pub(crate) theirs: String,
    pub(crate) verdict: Verdict,
    /// Why it is right that they differ.
    pub(crate) explanation: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Agreement,
    Difference,
    /// The program says it, and we do not.
    #[serde(rename = "theirs-alone")]
    Theirs,
}

impl Row {
    /// Whether it is a difference that nobody explained.
    pub(crate) fn is_wrong(&self) -> bool {
        self.verdict == Verdict::Difference && self.explanation.is_none()
    }

    pub(crate) fn says(&self) -> &'static str {
        match (self.verdict, self.explanation) {
            (Verdict::Agreement, _) => "agreement",
            (Verdict::Difference, None) => "DIFFERENCE",
            (Verdict::Difference, Some(_)) => "difference, explained",
            (Verdict::Theirs, _) => "theirs alone",
        }
    }
}

/// What a program says of facts, beside ours.
pub(crate) fn rows(machine: &str, program: &'static str, fields: &Fields, facts: &Facts) -> Vec<Row> {
    let told = TOLD.iter().filter(|told| told.program == program);
    let rows = told.filter_map(|told| {
        let ours = facts.get(told.fact).cloned();
        let theirs = (told.theirs)(fields, ours.as_deref().unwrap_or_default())?;
        // How programs say that they do not know.
        let knows_nothing = matches!(&*theirs, "" | "-" | "Not Specified");
        if knows_nothing || (ours.is_none() && matches!(&*theirs, "none" | "unknown")) {
            return None;
        }
        let verdict = match &ours {
            None => Verdict::Theirs,
            Some(ours) if *ours == theirs => Verdict::Agreement,
            Some(_) => Verdict::Difference,
        };
        let explanation = ours
            .as_deref()
            .filter(|_| verdict == Verdict::Difference)
            .and_then(|ours| explanation(program, told.fact, ours, &theirs));
        Some(Row {
            machine: machine.to_owned(),
            fact: told.fact.to_owned(),
            ours,
            program,
            theirs,
            verdict,
            explanation,
        })
    });
    rows.collect()
}

/// The fields that tell no fact of ours, without the numbers of lists.
pub(crate) fn left_over(program: &str, fields: &Fields) -> Vec<String> {
    let used: Vec<_> =
        TOLD.iter().filter(|told| told.program == program).flat_map(|told| told.fields).collect();
    let left = fields.keys().filter(|name| !used.iter().any(|pattern| is_like(name, pattern)));
    let plain = |name: &String| {
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        name.split('.').map(|part| if is_number(part) { "*" } else { part }).collect::<Vec<_>>().join(".")
    };
    left.map(plain).collect::<BTreeSet<_>>().into_iter().collect()
}

fn is_like(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_verdict() {
        let said = fields(&[
            ("Vendor ID", "GenuineIntel"),
            ("CPU family", "6"),
            ("Stepping", "7"),
            ("BogoMIPS", "1"),
        ]);
        let facts = fields(&[("cpu-model.vendor", "GenuineIntel"), ("cpu-model.family", "25")]);
        let rows = rows("m", "lscpu", &said, &facts);
        let of =
            |fact: &str| rows.iter().find(|row| row.fact == fact).map(|row| (row.verdict, row.is_wrong()));
        assert_eq!(of("cpu-model.vendor"), Some((Verdict::Agreement, false)));
        assert_eq!(of("cpu-model.family"), Some((Verdict::Difference, true)));
        assert_eq!(of("cpu-model.stepping"), Some((Verdict::Theirs, false)));
        assert_eq!(of("cpu-model"), None);
        assert_eq!(left_over("lscpu", &said), ["BogoMIPS"]);
    }

    #[test]
    fn numbers_of_lists_are_left_out() {
        let said = fields(&[("0.flags.0", "fpu"), ("0.flags.1", "vme"), ("0.model_name", "A CPU")]);
        assert_eq!(left_over("ohai", &said), ["*.flags.*"]);
    }
}
