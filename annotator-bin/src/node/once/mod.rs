//! A task on a node: the steps, each below a process of ours in a container of the operator's image, and the
//! publisher that tells of all of them.
//!
//! They meet in a folder of the pod: each step keeps a record there, and the publisher reads them. A step
//! holds no token and opens no connection.

pub mod command;
pub mod copy;
mod facts;
pub mod publisher;
pub mod record;
pub mod step;
mod tail;
mod verdict;
