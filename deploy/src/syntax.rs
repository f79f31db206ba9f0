//! The shapes that Kubernetes demands of names and labels.

/// A lower-case DNS label: letters, digits and inner hyphens, at most 63.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 63
        && text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && text.chars().all(|c| alphanumeric(c) || c == '-')
}

/// DNS labels between dots, at most 253 characters.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// A label's value: may be empty.
pub(crate) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_qualified_part(text)
}

/// A label's key: a name, or a DNS subdomain and a name with a slash between them.
pub(crate) fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_qualified_part(name),
        None => is_qualified_part(text),
    }
}

fn is_qualified_part(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63
        && text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && text.chars().all(|c| alphanumeric(c) || matches!(c, '-' | '_' | '.'))
}

/// An image reference, as far as it matters here: nothing that a shell, a YAML reader or a terminal could
/// trip over.
pub(crate) fn is_image_reference(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '[' | ']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_held_to_the_rules_of_kubernetes() {
        for key in ["disk", "kubernetes.io/arch", "A_b.c", "example.com/A_b.c"] {
            assert!(is_label_key(key), "{key}");
        }
        for key in ["", "/a", "a/", "a/b/c", "Example.com/a", "-a", "a b", &"a".repeat(64)] {
            assert!(!is_label_key(key), "{key}");
        }
        for value in ["", "on", "0777", "1e3", "A-b_c.d"] {
            assert!(is_label_value(value), "{value}");
        }
        for value in ["-", "a b", "a/b", "ä", &"a".repeat(64)] {
            assert!(!is_label_value(value), "{value}");
        }
    }
}
