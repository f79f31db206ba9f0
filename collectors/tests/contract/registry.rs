//! Every collector of the source is registered.

use std::path::{Path, PathBuf};

use node_annotator_core::Registry;

/// A registration that is not linked vanishes without a word.
#[test]
fn every_registration_of_the_source_is_in_the_registry() {
    // Building it checks names, lengths and examples.
    let registry = Registry::from_inventory().unwrap();
    let written = registrations(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    assert_eq!(registry.iter().count(), written, "`register!` stands in the source as often");
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
