//! The operator's wing: what an operator runs on a shell.
//!
//! It shares with the node's wing the vocabulary, the connection to the cluster, the output formats, troubles
//! and exit codes.

pub mod catalogue;
pub mod doctor;
pub mod startup_taint;
