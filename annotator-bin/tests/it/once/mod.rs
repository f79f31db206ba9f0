//! The commands in the pods of a task, as processes: steps, and the publisher that reads what they keep.

mod publisher;
mod recipes;
mod step;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::stock;

/// The folders that the containers of a task share.
struct Shared(TempDir);

impl Shared {
    fn new() -> Self {
        let shared = Self(TempDir::new().expect("a scratch directory"));
        fs::create_dir(shared.path("state")).expect("a directory");
        shared
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A step with these options, and its command.
    fn step(&self, name: &str, options: &[&str], words: &[&str]) -> Command {
        let mut command = stock();
        command
            .args(["once-step", "--step", name, "--state"])
            .arg(self.path("state"))
            .arg("--facts")
            .arg(self.path(name));
        for default in ["--timeout=20s", "--tries=2"] {
            let flag = default.split_once('=').map_or(default, |(flag, _)| flag);
            if !options.iter().any(|option| option.starts_with(flag)) {
                command.arg(default);
            }
        }
        command
            .args(options)
            .arg("--")
            .args(words)
            .env("PATH", "/usr/bin:/bin")
            .env("NODE_ANNOTATOR_FACTS", self.path(name));
        command
    }

    /// What a step has kept.
    fn record(&self, step: &str) -> Value {
        let text = fs::read(self.path("state").join(format!("{step}.json"))).expect("a record");
        serde_json::from_slice(&text).expect("JSON")
    }

    fn keep(&self, step: &str, record: &Value) {
        fs::write(self.path("state").join(format!("{step}.json")), record.to_string()).expect("a file");
    }
}
