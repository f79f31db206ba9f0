//! The node's wing: what runs on a node. It collects, writes the Node, tries again what failed, and waits to
//! be taken away.
//!
//! It never uses the operator's wing, and compiles without it. [`publish`] is the only place that writes to a
//! Node.

pub mod finished;
pub mod job;
pub mod linger;
pub mod network;
pub mod once;
pub mod publish;
pub mod report;
pub mod run;
pub mod termination;
pub mod tries;
