//! What `--version` says: the version, with the commit where one is known.
//!
//! Git is not asked: a build in a checkout would start anew with each commit, and a packaged crate has no
//! git.

use std::path::Path;
use std::{env, fs};

/// Names the commit of a release; `cargo xtask dist` and `cargo xtask image` set it.
const VARIABLE: &str = "NODE_ANNOTATOR_COMMIT";

/// Cargo writes it into each packaged crate.
const PACKAGED_FROM: &str = ".cargo_vcs_info.json";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let folder = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let packaged = fs::read_to_string(Path::new(&folder).join(PACKAGED_FROM)).unwrap_or_default();
    let named = env::var(VARIABLE).ok().filter(|commit| is_word(commit));
    let commit = named.or_else(|| commit_in(&packaged));
    let text = commit.map_or_else(|| version.clone(), |commit| format!("{version} ({commit})"));
    println!("cargo::rustc-env=NODE_ANNOTATOR_LONG_VERSION={text}");
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The commit in cargo's file, as short as `cargo xtask` names it.
pub(crate) fn commit_in(packaged_from: &str) -> Option<String> {
    let mut words = packaged_from.split('"');
    let commit = words.find(|word| word.len() >= 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some(commit[..12].to_owned())
}
