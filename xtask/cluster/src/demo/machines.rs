//! The nodes beside this machine: recorded machines, on which a simulated kubelet starts the binary.

use std::path::PathBuf;

use anyhow::Result;
use node_annotator_tests::NodeSpec;
use node_annotator_tests::metadata::{Answer, DIGITAL_OCEAN_PATH, MetadataServer};

use node_annotator_tests::workspace;

/// The node that reads the machine on which the demo runs; it is none of these.
pub(super) const THIS_MACHINE: &str = "this-machine";

/// What an operator would put on the nodes that are Droplets.
pub(super) const DROPLET_LABEL: (&str, &str) = ("example.com/cloud", "digitalocean");

/// The machines, and the metadata service that the Droplet among them asks.
#[derive(Debug)]
pub(super) struct Machines {
    metadata: MetadataServer,
}

impl Machines {
    /// Starts the metadata service, on loopback.
    pub(super) async fn start() -> Result<Self> {
        let answer = Answer::ok(include_str!("../../../collectors/fixtures/droplet.metadata.json"));
        Ok(Self { metadata: MetadataServer::start(answer).await? })
    }

    /// The nodes, with a line about each.
    pub(super) fn nodes(&self) -> [(NodeSpec, &'static str); 3] {
        let recorded = |name: &str, fixture: &str| {
            NodeSpec::new(name).env("NODE_ANNOTATOR_HOST_ROOT", fixture_root(fixture).to_string_lossy())
        };
        let (key, value) = DROPLET_LABEL;
        let droplet = recorded("droplet", "droplet")
            .label(key, value)
            .env("DIGITAL_OCEAN_METADATA_URL", self.metadata.url(DIGITAL_OCEAN_PATH));
        [
            (
                recorded("arm-server", "neoverse-n1"),
                "a recorded ARM server; its kubelet is simulated, and so are the next",
            ),
            (recorded("xeon-server", "intel-xeon"), "a recorded server with two sockets"),
            (droplet, "a recorded Droplet; its metadata service is played on loopback"),
        ]
    }
}

fn fixture_root(name: &str) -> PathBuf {
    workspace::root().join("collectors/fixtures").join(name)
}
