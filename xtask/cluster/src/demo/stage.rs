//! Where the demo plays: a control plane, and this machine as a node of it, a real one where that is
//! possible.

use std::fs;

use anyhow::{Context, Result};
use node_annotator_deploy::DEFAULT_IMAGE;
use node_annotator_image::{Image, Program};
use node_annotator_tests::binaries::{Binaries, Tool};
use node_annotator_tests::real_node::unavailable;
use node_annotator_tests::{Cluster, NodeSpec, Options, RealCluster, RealNode};
use tokio::task::spawn_blocking;
use xtask_workspace::static_binary;

use super::machines::THIS_MACHINE;

/// What plays the kubelet of this machine; all that it needs is built.
#[derive(Debug)]
pub(super) enum Kubelet {
    /// The kubelet itself, with containerd and runc; this is the container image, as an archive.
    Real(Vec<u8>),
    /// A part of this process, which starts the binary.
    Simulated {
        /// Why it is not the real one.
        reason: String,
    },
}

impl Kubelet {
    /// Builds what has never been built, which takes minutes.
    pub(super) async fn prepare(simulated: bool) -> Result<Self> {
        let prepare = move || {
            let reason = if simulated { Some("--simulated".to_owned()) } else { unavailable() };
            if let Some(reason) = reason {
                Binaries::obtain(None, &Tool::CONTROL_PLANE)?;
                return Ok(Self::Simulated { reason });
            }
            let tools: Vec<_> = Tool::CONTROL_PLANE.into_iter().chain(Tool::NODE).collect();
            Binaries::obtain(None, &tools)?;
            let program = Program::read(static_binary::build()?)?;
            Image::node_annotator(DEFAULT_IMAGE)?.pack(&[program])?.archive().map(Self::Real)
        };
        spawn_blocking(prepare).await.context("the build panicked")?
    }
}

impl std::fmt::Display for Kubelet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Real(_) => f.write_str("a real kubelet, containerd and runc, in namespaces of their own"),
            Self::Simulated { reason } => {
                write!(f, "its kubelet is simulated, and starts the binary as a process: {reason}")
            }
        }
    }
}

/// A cluster with one node. Everything that belongs to it ends when it is dropped, and when this process
/// ends.
#[derive(Debug)]
pub(super) enum Stage {
    /// With a real node.
    Real {
        // Before its cluster.
        _node: Box<RealNode>,
        cluster: Box<RealCluster>,
    },
    /// With a simulated one.
    Simulated(Box<Cluster>),
}

impl Stage {
    /// Returns when the node is ready.
    pub(super) async fn start(kubelet: Kubelet) -> Result<Self> {
        let Kubelet::Real(image) = kubelet else {
            let cluster = Cluster::start(Options::default()).await?;
            cluster.add_node(NodeSpec::new(THIS_MACHINE)).await?;
            return Ok(Self::Simulated(Box::new(cluster)));
        };
        let cluster = RealCluster::start(Options::default()).await?;
        let archive = cluster.cluster().folder().join("image.tar");
        fs::write(&archive, image).with_context(|| format!("cannot write `{}`", archive.display()))?;
        let node = cluster.add_node(THIS_MACHINE, &[archive]).await?;
        Ok(Self::Real { _node: Box::new(node), cluster: Box::new(cluster) })
    }

    pub(super) fn cluster(&self) -> &Cluster {
        match self {
            Self::Real { cluster, .. } => cluster.cluster(),
            Self::Simulated(cluster) => cluster,
        }
    }
}
