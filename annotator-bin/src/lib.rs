//! The library half of the `node-annotator` binary: command line, run, publishing.
//!
//! A binary with collectors of its own is two lines, as the crate's example `own_collectors` shows:
//!
//! ```text
//! use my_collectors as _;
//! fn main() -> std::process::ExitCode { node_annotator::main() }
//! ```
//!
//! This is the only crate that talks to the API server, and [`publish`] the only place that writes to a Node.

pub mod catalogue;
pub mod cli;
pub mod cluster;
pub mod doctor;
pub mod exit;
pub mod network;
pub mod output;
pub mod publish;
pub mod run;
pub mod stop;
pub mod termination;

mod logging;
mod watchdog;

pub use cli::{Invocation, command, main};
