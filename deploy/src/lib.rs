//! Kubernetes manifests, generated from what the collectors declare.
//!
//! [`Settings`] say what runs and where, [`Manifests`] are the objects that follow, in the order in which
//! they are applied. Nothing in here talks to a cluster, and nothing spells a key by itself: label, affinity
//! and policy get theirs from [`node_annotator_core::Prefix`].

pub mod affinity;
pub mod architecture;
pub mod base;
pub mod chart;
mod daemon_set;
pub mod error;
pub mod expire;
mod folder;
mod foreign_prefix;
pub mod installation;
pub mod labels;
pub mod manifests;
pub mod monitoring;
pub mod mutating_policy;
pub mod object;
pub mod once;
pub mod placement;
mod pod;
mod pod_metadata;
pub mod policy;
pub mod queue;
mod render;
pub mod roles;
pub mod settings;
pub mod startup_taint;
mod static_policy;
mod syntax;
mod token;
pub mod tolerations;
pub mod workload;

pub use architecture::Architecture;
pub use error::Error;
pub use expire::Schedule;
pub use folder::Difference;
pub use installation::{EXPIRED, Installation};
pub use manifests::{File, Manifests};
pub use object::Object;
pub use placement::Exclusion;
pub use settings::{DEFAULT_IMAGE, ImagePullPolicy, Layout, PolicyMode, PriorityClassName, Queue, Settings};
pub use startup_taint::StartupTaint;
pub use static_policy::STATIC_END;
pub use tolerations::Tolerations;
pub use workload::Workload;
