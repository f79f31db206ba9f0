//! What may be wrong with an answer.

use std::net::IpAddr;

use serde_json::error::Category;

/// Why a body is no metadata document. Deliberately without the parser's own words, which quote the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It ends in the middle.
    Truncated,
    /// It is not JSON.
    Syntax,
    /// It is JSON of another shape than that of such a machine.
    Shape(&'static str),
    /// The anchor address is there, and is not an IPv4 address.
    Address,
}

impl std::error::Error for Malformed {}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated => f.write_str("it ends too early"),
            Self::Syntax => f.write_str("it is not JSON at all"),
            Self::Shape(machine) => write!(f, "its fields are not those of {machine}"),
            Self::Address => f.write_str("its anchor address is not an IPv4 address"),
        }
    }
}

impl Malformed {
    /// What is wrong with a document of a machine.
    pub(crate) fn of(error: &serde_json::Error, machine: &'static str) -> Self {
        match error.classify() {
            Category::Eof => Self::Truncated,
            Category::Syntax | Category::Io => Self::Syntax,
            Category::Data => Self::Shape(machine),
        }
    }
}

/// Longest text that is taken for a name.
const MAX_NAME_BYTES: usize = 255;

/// Whether a text may be a name: short, printable, in one line, and no page of a web server.
pub(crate) fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'<' | b'>' | b'{' | b'}');
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Whether a text is an address.
pub(crate) fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// Whether a text is a number, decimal.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_web_servers_are_no_names() {
        for name in ["kafka", "use1-az4", "my group (2)", "projects/cos-cloud/global/images/cos-113", "7"] {
            assert!(is_name(name), "{name}");
        }
        for text in ["", "<html>", "{\"error\": 1}", "two\nlines", "gr\u{fc}n", &"a".repeat(256)] {
            assert!(!is_name(text), "{text}");
        }
        assert!(is_number("0") && !is_number("+1") && !is_number("") && !is_number("99999999999999999999"));
    }
}
