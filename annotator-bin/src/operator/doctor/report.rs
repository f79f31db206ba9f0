//! The diagnosis as text or JSON.

use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

use super::{Diagnosis, Verdict};
use crate::output::Format;

/// The diagnosis as it is printed on stdout.
pub fn render(diagnosis: &Diagnosis, format: Format) -> String {
    match format {
        Format::Text => diagnosis.to_string(),
        Format::Json => format!("{:#}\n", to_json(diagnosis)),
    }
}

fn to_json(diagnosis: &Diagnosis) -> Value {
    let Diagnosis { settings, checks } = diagnosis;
    json!({
        "installation": settings.installation.as_str(),
        "prefix": settings.prefix.as_str(),
        "checks": checks,
        "exitCode": diagnosis.exit().code(),
    })
}

impl Display for Diagnosis {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { settings, checks } = self;
        let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
        writeln!(f, "installation {}, prefix {}", settings.installation, settings.prefix)?;
        let (mut namespace, mut last_hint) = (None, &None);
        for check in checks {
            if check.namespace != namespace {
                writeln!(f, "\nnamespace {}", check.namespace.as_deref().unwrap_or_default())?;
                namespace.clone_from(&check.namespace);
            }
            writeln!(f, "{}  {:width$}  {}", check.verdict.as_str(), check.name, check.finding)?;
            if let Some(hint) = &check.hint {
                let hint = if check.hint == *last_hint { "as above" } else { hint };
                writeln!(f, "      {:width$}  hint: {hint}", "")?;
                last_hint = &check.hint;
            }
        }
        let counts = Verdict::ALL.map(|verdict| {
            let count = checks.iter().filter(|check| check.verdict == verdict).count();
            format!("{count} {}", verdict.as_str())
        });
        writeln!(f, "\n{} checks: {}", checks.len(), counts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::check::{Check, Conclusion};
    use super::*;

    fn diagnosis(conclusion: Conclusion) -> Diagnosis {
        let version = Check::new("server-version", None, Ok(Conclusion::pass("v1.36.0")));
        let checks = vec![version, Check::new("policy", None, Ok(conclusion))];
        Diagnosis { settings: Settings::default(), checks }
    }

    #[test]
    fn what_is_not_proven_is_not_done() {
        let code = |diagnosis: &Diagnosis| diagnosis.exit().code();
        assert_eq!(code(&diagnosis(Conclusion::pass("as generated"))), 0);
        assert_eq!(code(&diagnosis(Conclusion::warn("changed", "apply"))), 0);
        assert_eq!(code(&diagnosis(Conclusion::fail("none", "apply"))), 3);
        let mut skipped = diagnosis(Conclusion::pass("as generated"));
        skipped.checks[0] = Check::not_made("server-version", None);
        assert_eq!(code(&skipped), 4);
        skipped.checks[1] = Check::new("policy", None, Ok(Conclusion::fail("none", "apply")));
        assert_eq!(code(&skipped), 3);
    }

    #[test]
    fn each_check_says_what_to_do() {
        let text = diagnosis(Conclusion::fail("there is no policy", "apply it")).to_string();
        assert!(
            text.contains(
                "\nFAIL  policy          there is no policy\n                      hint: apply it\n"
            ),
            "{text}"
        );
        assert!(text.ends_with("\n2 checks: 1 PASS, 0 WARN, 1 FAIL, 0 SKIP\n"), "{text}");
        let json = to_json(&diagnosis(Conclusion::pass("as generated")));
        assert_eq!(json["checks"][1]["verdict"], "PASS");
        assert_eq!(json["exitCode"], 0);
    }
}
