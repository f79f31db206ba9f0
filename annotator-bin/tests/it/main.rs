//! The binary from outside, as a process, and its library half against a mock transport and loopback servers.
//!
//! Nothing in here leaves the loopback interface.

mod api;
mod cli;
mod clouds;
mod connection;
mod credentials;
mod environment;
mod faults;
mod host;
mod manifests;
mod metadata;
mod once;
mod process;
mod publishing;
mod report;
mod run;
mod signals;
mod termination;
mod tries;
mod trust;
