//! The nodes beside this machine: recorded machines, on which a simulated kubelet starts the binary.

use anyhow::Result;
use node_annotator_tests::NodeSpec;
use node_annotator_tests::metadata::{DIGITAL_OCEAN_PATH, MetadataServer};

use crate::recorded;

/// The node that reads the machine on which the demo runs; it is none of these.
pub(super) const THIS_MACHINE: &str = "this-machine";

/// The machines, and the metadata service that the Droplet among them asks.
#[derive(Debug)]
pub(super) struct Machines {
    metadata: MetadataServer,
}

impl Machines {
    /// Starts the metadata service, on loopback.
    pub(super) async fn start() -> Result<Self> {
        Ok(Self { metadata: recorded::droplet_metadata().await? })
    }

    /// The nodes, with a line about each.
    pub(super) fn nodes(&self) -> [(NodeSpec, &'static str); 3] {
        let node = |name: &str, fixture: &str| {
            NodeSpec::new(name).env("NODE_ANNOTATOR_HOST_ROOT", recorded::machine(fixture).to_string_lossy())
        };
        let droplet = node("droplet", "droplet")
            .env("DIGITAL_OCEAN_METADATA_URL", self.metadata.url(DIGITAL_OCEAN_PATH));
        [
            (
                node("arm-server", "neoverse-n1"),
                "a recorded ARM server; its kubelet is simulated, and so are the next",
            ),
            (node("xeon-server", "intel-xeon"), "a recorded server with two sockets"),
            (droplet, "a recorded Droplet; its metadata service is played on loopback"),
        ]
    }
}
