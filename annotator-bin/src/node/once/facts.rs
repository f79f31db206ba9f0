//! The files of facts that a command has written.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use node_annotator_core::fact::{MAX_VALUE_BYTES, clean};
use node_annotator_core::task::VALUE_FILE;

use super::record::{open, read};

/// As much of a name as is told.
const MAX_NAME_BYTES: usize = 100;

/// Makes the folder, empty, for whoever the command runs as.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777))
}

/// The facts by the names of their files. What is not declared could not be deleted later, and what is too
/// long would be cut: both are errors that name the file.
pub(super) fn collect(folder: &Path, declared: &[String]) -> Result<BTreeMap<String, String>, String> {
    let wrong = |error: io::Error| format!("the folder of facts cannot be read: {error}");
    let mut facts = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name();
        let told = clean(&name.to_string_lossy(), MAX_NAME_BYTES);
        let declared = declared.iter().map(String::as_str).chain([VALUE_FILE]).find(|it| **it == *name);
        let Some(fact) = declared else {
            return Err(format!("the file of facts `{told}` is not declared: name it with --fact"));
        };
        let text = open(&folder.join(&name)).and_then(|mut file| read(&mut file, MAX_VALUE_BYTES as u64));
        let text = text.map_err(|error| format!("the file of facts `{told}` cannot be taken: {error}"))?;
        facts.insert(fact.to_owned(), String::from_utf8_lossy(&text).into_owned());
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_is_taken_and_anything_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("facts");
        prepare(&folder).unwrap();
        let declared = ["size".to_owned()];
        assert_eq!(collect(&folder, &declared).unwrap(), BTreeMap::new());
        fs::write(folder.join("value"), "ready\n").unwrap();
        fs::write(folder.join("size"), "12").unwrap();
        let facts = collect(&folder, &declared).unwrap();
        assert_eq!((facts["value"].as_str(), facts["size"].as_str()), ("ready\n", "12"));
        let refused = |name: &str, text: &str| {
            fs::write(folder.join(name), text).unwrap();
            let error = collect(&folder, &declared).unwrap_err();
            fs::remove_file(folder.join(name)).unwrap();
            error
        };
        assert!(refused("sizes", "").contains("`sizes` is not declared"));
        assert!(refused("a\u{202e}b\n", "").contains("`a b` is not declared"));
        assert!(
            refused("size", &"x".repeat(1025)).contains("`size` cannot be taken: it is longer than 1024")
        );
        std::os::unix::fs::symlink("/etc/hostname", folder.join("size")).unwrap();
        assert!(collect(&folder, &declared).unwrap_err().contains("`size` cannot be taken"));
        prepare(&folder).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}
