//! Vocabulary and engine of node-annotator.
//!
//! A [`Collector`] is registered with [`register!`], found by the [`Registry`], picked by a [`Selection`],
//! executed by the [`Runner`] and ends as an entry of the [`Report`]. A [`Plan`] is the pure result of a
//! report: which keys of the Node are set and which are deleted. Nothing in here talks to a cluster or links
//! an API client.

pub mod collector;
pub mod context;
pub mod error;
pub mod fact;
pub mod facts;
pub mod give_up;
pub mod key;
pub mod label;
pub mod need;
pub mod operator;
pub mod plan;
pub mod registry;
pub mod report;
pub mod runner;
pub mod selection;
pub mod task;
pub mod write;

pub use collector::{Collect, Collector, Selected, Topic};
pub use context::{Context, Environment, HostRoot};
pub use error::CollectError;
pub use fact::{Cardinality, Fact, Kind, NodeField, Stability};
pub use facts::{Collected, Facts};
pub use give_up::GiveUpAfter;
pub use key::{DoneMark, Generation, Prefix};
pub use label::LabelFacts;
pub use need::{HostPath, Need, PrivilegeClass, Variable};
pub use operator::NamedFacts;
pub use plan::Plan;
pub use registry::Registry;
pub use report::{Entry, Outcome, Report};
pub use runner::Runner;
pub use selection::Selection;

/// For [`register!`] alone, so that a collector's crate need not depend on `inventory` itself.
#[doc(hidden)]
pub use inventory;

/// A future that can be stored behind a function pointer or returned from a trait object.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Registers a collector, given by the path of a `static`, with every binary that links the crate.
///
/// A crate that nothing names is not linked, and its registrations vanish without a word: a binary names each
/// crate of collectors once, `use my_collectors as _;`.
#[macro_export]
macro_rules! register {
    ($collector:path) => {
        $crate::inventory::submit! { $crate::registry::Registration(&$collector) }
    };
}
