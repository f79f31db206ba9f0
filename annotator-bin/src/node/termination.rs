//! The termination message: what `kubectl describe pod` shows of a container that has ended.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use node_annotator_core::Report;
use node_annotator_core::fact::clean;
use rustix::fs::OFlags;
use serde::Serialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::warn;

use crate::exit::Exit;
use crate::trouble::Trouble;

/// The kubelet reads this much of the file, and drops the rest.
pub const MAX_BYTES: usize = 4096;

/// The summary of a run, as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    done: Names<'a>,
    failed: Failures<'a>,
}

/// Names while there is room for them, their number otherwise.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Names<'a> {
    Listed(Vec<&'a str>),
    Counted(usize),
}

/// Names with what went wrong while there is room for them, their number otherwise.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Failures<'a> {
    Listed(BTreeMap<&'a str, String>),
    Counted(usize),
}

/// The summary in at most [`MAX_BYTES`]: texts are shortened until it fits, and names are counted in the end.
pub fn message(exit: Exit, trouble: Option<&Trouble>, report: Option<&Report>) -> String {
    let render = |text_bytes: usize, listed: bool| {
        let entries = report.map(Report::entries).unwrap_or_default();
        let done = entries.iter().filter(|entry| entry.outcome.is_done()).map(|entry| entry.collector.name);
        let failed = entries.iter().filter_map(|entry| Some((entry.collector.name, entry.outcome.error()?)));
        let summary = Summary {
            exit_code: exit.code(),
            error: trouble.map(|trouble| clean(&trouble.what, text_bytes)),
            hint: trouble.and_then(|trouble| trouble.hint.as_deref()),
            done: if listed { Names::Listed(done.collect()) } else { Names::Counted(done.count()) },
            failed: if listed {
                Failures::Listed(failed.map(|(name, text)| (name, clean(&text, text_bytes))).collect())
            } else {
                Failures::Counted(failed.count())
            },
        };
        json!(summary).to_string()
    };
    [512, 128, 32]
        .into_iter()
        .map(|text_bytes| render(text_bytes, true))
        .find(|message| message.len() <= MAX_BYTES)
        .unwrap_or_else(|| render(512, false))
}

/// Longest time for the write. The disk below it may hang.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes the message, on a thread of its own and for no longer than a second.
pub async fn write(path: PathBuf, message: String) {
    let writing = spawn_blocking(move || write_now(&path, &message));
    if timeout(PATIENCE, writing).await.is_err() {
        warn!(after = ?PATIENCE, "the termination message is not written: its file hangs");
    }
}

/// Writes the message where the kubelet reads it. The kubelet makes the file; without one there is no kubelet
/// to read it. A pipe that nobody reads is an error, and nothing to wait for.
pub fn write_now(path: &Path, message: &str) {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag of open(2) is an int");
    let written = OpenOptions::new()
        .write(true)
        .truncate(true)
        .custom_flags(flags)
        .open(path)
        .and_then(|mut file| file.write_all(message.as_bytes()));
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            warn!(path = %path.display(), %error, "cannot write the termination message");
        }
        _ => {}
    }
}
