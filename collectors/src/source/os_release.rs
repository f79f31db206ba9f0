//! os-release(5): assignments as a shell would read them.

use std::collections::BTreeMap;

/// The variables of an os-release file. A later assignment wins, as in a shell.
pub(crate) fn parse(text: &str) -> BTreeMap<&str, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let assignments = lines.filter_map(|line| line.split_once('='));
    assignments.filter_map(|(name, value)| Some((name, unquoted(value)?))).collect()
}

/// A value without its quotes; `None` if they do not match, or if words of a shell follow.
fn unquoted(value: &str) -> Option<String> {
    let value = value.trim();
    let mut text = String::new();
    let mut quote = None;
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => text.push(characters.next()?),
            (c, None) if c.is_whitespace() => return None,
            (c, _) => text.push(c),
        }
    }
    quote.is_none().then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read_as_a_shell_reads_them() {
        let text = "# a comment\nID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME='it is'\n\
                    EMPTY=\nESCAPED=\"a \\\"b\\\" \\$c\"\n OPEN=\"never\nTWO=a b\nnonsense\nID=ubuntu\n";
        let variables = parse(text);
        let get = |name| variables.get(name).map(String::as_str);
        assert_eq!(get("ID"), Some("ubuntu"));
        assert_eq!(get("PRETTY_NAME"), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(get("NAME"), Some("it is"));
        assert_eq!(get("EMPTY"), Some(""));
        assert_eq!(get("ESCAPED"), Some("a \"b\" $c"));
        for name in ["OPEN", "TWO", "nonsense", "# a comment"] {
            assert_eq!(get(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|([A-Z_]{1,5}=[\"'\\\\a ]{0,6}\n){0,6}") {
            let _ = parse(&text);
        }
    }
}
