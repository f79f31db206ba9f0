//! A real control plane, a simulated kubelet, and what scenarios need of them.

pub mod audit;
pub mod binaries;
pub mod browser;
pub mod cluster;
pub mod control_plane;
pub mod guardian;
pub mod kubelet;
pub mod metadata;
pub mod pin;
mod ports;
pub mod real_node;
pub mod registry;
mod target;
pub mod wait;

pub use cluster::{Cluster, Options};
pub use kubelet::NodeSpec;
pub use real_node::{RealCluster, RealNode};
pub use registry::Registry;
pub use target::annotator_binary;
