//! The operator's wing: what an operator runs on a shell.
//!
//! It shares with the node's wing the vocabulary, the connection to the cluster, the output formats, troubles
//! and exit codes.

pub mod catalogue;
pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod condition;
pub(crate) mod diff;
pub mod doctor;
pub(crate) mod drift;
pub(crate) mod expire;
pub(crate) mod fleet;
pub(crate) mod get;
mod items;
pub(crate) mod lists;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod rerun;
pub mod startup_taint;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod wait;
