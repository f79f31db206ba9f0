//! On which nodes pods run.

use clap::Args;
use clap::builder::BoolishValueParser;
use node_annotator_deploy::{Architecture, Exclusion, Settings, Tolerations};

use super::startup_taint::StartupTaintOptions;
use super::{assignment, map};
use crate::cli::Usage;

#[derive(Debug, Args)]
#[command(next_help_heading = "Nodes")]
pub(super) struct NodeOptions {
    /// A label that a node must have; may be repeated, or be a list with commas
    #[arg(
        long,
        env = "NODE_ANNOTATOR_NODE_SELECTOR",
        value_name = "KEY=VALUE",
        value_parser = assignment,
        value_delimiter = ','
    )]
    node_selector: Vec<(String, String)>,

    /// An architecture that the image has, such as `amd64`; nodes of others are left out
    ///
    /// May be repeated, or be a list with commas. Without it nodes of any architecture get pods.
    #[arg(long, env = "NODE_ANNOTATOR_ARCH", value_name = "ARCHITECTURE", value_delimiter = ',')]
    arch: Vec<Architecture>,

    /// Leave out nodes with a label; may be repeated, or be a list with commas
    ///
    /// Virtual nodes are left out anyway: those of Virtual Kubelet, AWS Fargate, Azure Container Instances,
    /// Alibaba Cloud, Tencent Cloud, KWOK, Liqo and interLink, by the labels that they document.
    #[arg(long, env = "NODE_ANNOTATOR_EXCLUDE", value_name = "KEY[=VALUE]", value_delimiter = ',')]
    exclude: Vec<Exclusion>,

    /// Leave out the nodes of the control plane
    #[arg(long, env = "NODE_ANNOTATOR_EXCLUDE_CONTROL_PLANE", value_parser = BoolishValueParser::new())]
    exclude_control_plane: bool,

    /// Which taints do not keep pods away: `all`, `none`, or a list with commas
    ///
    /// An entry is written as `kubectl taint` writes it: `KEY[=VALUE][:EFFECT]`. Nodes that are not ready,
    /// cordoned or under pressure are always tolerated: Kubernetes does that for every DaemonSet.
    #[arg(long, env = "NODE_ANNOTATOR_TOLERATIONS", value_name = "LIST", default_value = "all")]
    tolerations: Tolerations,

    #[command(flatten)]
    startup_taint: StartupTaintOptions,

    /// Ask metadata services from the host network, where pods cannot reach them
    #[arg(long, env = "NODE_ANNOTATOR_HOST_NETWORK", value_parser = BoolishValueParser::new())]
    host_network: bool,
}

impl NodeOptions {
    /// Puts all of them into the settings.
    pub(super) fn set(&self, settings: &mut Settings) -> Result<(), Usage> {
        // All by name: a flag that is added cannot be forgotten here.
        let Self {
            node_selector,
            arch,
            exclude,
            exclude_control_plane,
            tolerations,
            startup_taint,
            host_network,
        } = self;
        settings.node_selector = map("--node-selector", node_selector)?;
        settings.architectures.clone_from(arch);
        settings.exclusions.clone_from(exclude);
        settings.exclude_control_plane = *exclude_control_plane;
        settings.tolerations.clone_from(tolerations);
        settings.startup_taint = startup_taint.of(&settings.installation)?;
        settings.host_network = *host_network;
        Ok(())
    }
}
