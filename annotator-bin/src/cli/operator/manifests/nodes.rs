//! On which nodes pods run.

use clap::builder::{BoolishValueParser, PossibleValue};
use clap::{Args, ValueEnum};
use node_annotator_deploy::startup_taint::{OnFailure, StartupTaintKey};
use node_annotator_deploy::{Architecture, Exclusion, Settings, StartupTaint, Tolerations};

use super::{assignment, map};
use crate::cli::Usage;
use crate::trouble::Trouble;

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

    /// Nodes are born with a taint, and lose it in the write that sets their last done label
    ///
    /// Workloads that do not tolerate it wait for the facts. Whoever makes the nodes sets it: the node pool,
    /// or `--register-with-taints` of the kubelet. Without KEY, or with `own`, it is
    /// `startup-taint.cluster-autoscaler.kubernetes.io/node-annotator`, which autoscalers know; for an
    /// installation in another NAMESPACE it ends in `node-annotator-NAMESPACE`. Needs Kubernetes 1.36.
    #[arg(
        long,
        env = "NODE_ANNOTATOR_STARTUP_TAINT",
        value_name = "KEY",
        num_args = 0..=1,
        default_missing_value = "own"
    )]
    startup_taint: Option<StartupTaintKey>,

    /// What becomes of the startup taint where a collector is given up
    #[arg(
        long,
        env = "NODE_ANNOTATOR_STARTUP_TAINT_ON_FAILURE",
        value_name = "WHAT",
        default_value = OnFailure::Keep.as_str(),
    )]
    startup_taint_on_failure: OnFailureName,

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
            startup_taint_on_failure,
            host_network,
        } = self;
        if startup_taint.is_none() && startup_taint_on_failure.0 != OnFailure::Keep {
            return Err(Usage(Trouble::new(
                "--startup-taint-on-failure is about a taint that is not there",
                "add --startup-taint",
            )));
        }
        settings.node_selector = map("--node-selector", node_selector)?;
        settings.architectures.clone_from(arch);
        settings.exclusions.clone_from(exclude);
        settings.exclude_control_plane = *exclude_control_plane;
        settings.tolerations.clone_from(tolerations);
        settings.startup_taint = startup_taint.as_ref().map(|key| StartupTaint {
            key: key.of(&settings.installation),
            on_failure: startup_taint_on_failure.0,
        });
        settings.host_network = *host_network;
        Ok(())
    }
}

/// The generator's choice, by its word.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli::operator) struct OnFailureName(pub(in crate::cli::operator) OnFailure);

impl ValueEnum for OnFailureName {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(OnFailure::Keep), Self(OnFailure::Remove)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.as_str()).help(match self.0 {
            OnFailure::Keep => {
                "It stays until the collector succeeds; an autoscaler may start node after node that fails alike"
            }
            OnFailure::Remove => "It goes, and workloads run there without these facts",
        }))
    }
}
