//! Every collector of the source is registered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use node_annotator_core::Registry;
use node_annotator_core::key::{MAX_NAME_BYTES, nfd_label};

/// A registration that is not linked vanishes without a word.
#[test]
fn every_registration_of_the_source_is_in_the_registry() {
    // Building it checks names, lengths and examples.
    let registry = Registry::from_inventory().unwrap();
    let written = registrations(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    assert_eq!(registry.iter().count(), written, "`register!` stands in the source as often");
}

/// The policy, `clean` and the document name them one by one.
#[test]
fn labels_of_node_feature_discovery_are_each_of_one_collector_and_documented() {
    let registry = Registry::from_inventory().unwrap();
    let document = include_str!("../../../docs/labels.md");
    let mut collectors = BTreeMap::new();
    for collector in registry.iter() {
        for name in collector.nfd.names {
            let other = collectors.insert(*name, collector.name);
            assert_eq!(other, None, "`{name}` is also one of `{}`", collector.name);
            assert!(name.len() <= MAX_NAME_BYTES, "{name}");
            assert!(
                document.contains(&format!("`{name}`")),
                "docs/labels.md does not name `{}`",
                nfd_label(name)
            );
        }
    }
    let named = document.lines().filter(|line| line.starts_with("| `")).flat_map(|line| {
        let labels = line.split('|').nth(2).unwrap_or_default();
        labels.split(", ").map(|name| name.trim().trim_matches('`').to_owned())
    });
    let named: Vec<_> = named.filter(|name| name.starts_with(|c: char| "cpks".contains(c))).collect();
    for name in named.iter().filter(|name| name.contains('.') && !name.contains('/')) {
        assert!(
            collectors.contains_key(name.as_str()),
            "docs/labels.md names `{name}`, and no collector tells it"
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "the source of this crate is read, and nothing of a host")]
fn registrations(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let count = |path: PathBuf| {
        if path.is_dir() {
            return registrations(&path);
        }
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().filter(|line| line.starts_with("register!(")).count()
    };
    entries.map(count).sum()
}
