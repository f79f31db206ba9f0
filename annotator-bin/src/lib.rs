//! The library half of the `node-annotator` binary.
//!
//! A binary with collectors of its own is an [`App`] and a few lines. The folder
//! `collectors/examples/out-of-tree` of the repository is such a crate, with tests.
//!
//! There are two wings. [`node`] runs on a node: it collects, and it alone writes to a Node. [`operator`] is
//! what an operator runs on a shell; it is behind the feature `operator`, and the node's wing compiles
//! without it. Both share the command line, the process, the connection to the cluster, the output formats,
//! troubles and exit codes.
//!
//! The modules are public for the tests of this workspace. What another binary needs is [`App`].

mod app;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod cluster;
#[doc(hidden)]
pub mod exit;
#[doc(hidden)]
pub mod node;
#[cfg(feature = "operator")]
#[doc(hidden)]
pub mod operator;
#[doc(hidden)]
pub mod output;
#[doc(hidden)]
pub mod process;
#[doc(hidden)]
pub mod trouble;

use std::process::ExitCode;

pub use app::App;
#[doc(hidden)]
pub use cli::command;

/// The whole of the stock binary. One with other collectors is an [`App`] of its own.
pub fn main() -> ExitCode {
    App::STOCK.main()
}
