//! A fleet: its nodes, what is installed, and what became of each collector on each node.
//!
//! All commands that look at a fleet or change it go by this one model, and `doctor` too.

pub(crate) mod age;
pub(crate) mod demand;
pub(crate) mod follow;
pub(crate) mod grouping;
pub(crate) mod installed;
pub(crate) mod kept;
pub(crate) mod names;
pub(crate) mod node;
pub(crate) mod placement;
pub(crate) mod pods;
pub(crate) mod removal;
pub(crate) mod selection;
pub(crate) mod state;
pub(crate) mod values;
