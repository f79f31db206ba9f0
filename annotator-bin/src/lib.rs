//! The library half of the `node-annotator` binary.
//!
//! A binary with collectors of its own is two lines, as the crate's example `own_collectors` shows:
//!
//! ```text
//! use my_collectors as _;
//! fn main() -> std::process::ExitCode { node_annotator::main() }
//! ```
//!
//! There are two wings. [`node`] runs on a node: it collects, and it alone writes to a Node. [`operator`] is
//! what an operator runs on a shell; it is behind the feature `operator`, and the node's wing compiles
//! without it. Both share the command line, the process, the connection to the cluster, the output formats,
//! troubles and exit codes.
//!
//! The modules are public for the tests of this workspace. What another binary needs is [`main`].

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

#[doc(hidden)]
pub use cli::command;
pub use cli::main;
