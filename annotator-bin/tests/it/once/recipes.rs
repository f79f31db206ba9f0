//! The recipes of the documentation: each is taken by the command in its first line, and says what it needs.

use std::fs;
use std::path::PathBuf;

use crate::process::{run, stderr, stdout, stock};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes"))
}

#[test]
fn every_recipe_is_a_task_and_needs_what_it_says() {
    let table = fs::read_to_string(folder().join("README.md")).unwrap();
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let Some(command) = text.strip_prefix("# node-annotator ") else { continue };
        let words = words(command.lines().next().unwrap());
        let output = run(stock().current_dir(folder().join("../..")).args(&words));
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        let needs = text.lines().find_map(|line| line.strip_prefix("# Needs: ")).unwrap();
        let level = needs.split([' ', '.']).next().unwrap();
        let enforced = format!("pod-security.kubernetes.io/enforce: {level}\n");
        assert!(stdout(&output).contains(&enforced), "{name} does not need `{level}`");
        let row = table.lines().find(|line| line.contains(&format!("({name})"))).unwrap();
        assert!(row.contains(&format!(" | {level} | ")), "{row}");
        count += 1;
    }
    assert_eq!(count, table.lines().filter(|line| line.starts_with("| [")).count());
}

/// As a shell takes a line apart, as far as the recipes go.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}
