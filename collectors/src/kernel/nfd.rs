//! The version of the kernel as Node Feature Discovery has it in labels.

use node_annotator_core::Facts;
use node_annotator_core::label::NfdLabels;

pub(super) const LABELS: NfdLabels = NfdLabels {
    names: &[
        "kernel-version.full",
        "kernel-version.major",
        "kernel-version.minor",
        "kernel-version.revision",
    ],
    value,
};

fn value(name: &str, facts: &Facts) -> Option<String> {
    let release = facts.get(None)?;
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let full: String = release.chars().map(|c| if is_legal(c) { c } else { '_' }).collect();
    let full = full.trim_matches(['-', '_', '.']);
    let numbers = numbers(full);
    let place = match name {
        "kernel-version.full" => return Some(full.to_owned()),
        "kernel-version.major" => 0,
        "kernel-version.minor" => 1,
        _ => 2,
    };
    numbers.get(place).map(|number| (*number).to_owned())
}

/// One number to three, if nothing follows them but what begins with a hyphen.
fn numbers(full: &str) -> Vec<&str> {
    let (version, _) = full.split_once('-').unwrap_or((full, ""));
    let numbers: Vec<_> = version.split('.').collect();
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.len() <= 3 && numbers.iter().all(is_number) { numbers } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_parted_as_by_node_feature_discovery() {
        for (release, values) in [
            ("6.8.0-45-generic", [Some("6.8.0-45-generic"), Some("6"), Some("8"), Some("0")]),
            ("6.1.112+", [Some("6.1.112"), Some("6"), Some("1"), Some("112")]),
            ("6.12.48+deb13-amd64", [Some("6.12.48_deb13-amd64"), None, None, None]),
            ("6.1-rc1", [Some("6.1-rc1"), Some("6"), Some("1"), None]),
            ("6.1.2.3", [Some("6.1.2.3"), None, None, None]),
        ] {
            let facts = Facts::new(release);
            let told: Vec<_> = LABELS.names.iter().map(|name| value(name, &facts)).collect();
            assert_eq!(told, values.map(|value| value.map(str::to_owned)), "{release}");
        }
    }
}
