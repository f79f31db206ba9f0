//! What people run into, made small: odd hardware, odd kernels, and files that cannot be read.
//!
//! Each host is a root file system that a test writes, or a copy of a machine below `fixtures/` with
//! something broken in it.

#![expect(
    clippy::disallowed_methods,
    reason = "the hosts of the tests are written, and nothing of this machine is read"
)]

use node_annotator_collectors as _;

mod arbitrary;
mod cpu;
mod devices;
mod droplet;
mod kernel;
mod os;
mod root;
mod sandbox;
mod unreadable;
