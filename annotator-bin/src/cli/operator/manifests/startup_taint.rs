//! Whether nodes are born with a taint.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use node_annotator_deploy::startup_taint::{OnFailure, StartupTaintKey};
use node_annotator_deploy::{Installation, StartupTaint};

use crate::cli::Usage;
use crate::trouble::Trouble;

#[derive(Debug, Args)]
#[command(next_help_heading = "Nodes")]
pub(in crate::cli::operator) struct StartupTaintOptions {
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

    /// What becomes of the startup taint where a collector or a task is given up
    #[arg(
        long,
        env = "NODE_ANNOTATOR_STARTUP_TAINT_ON_FAILURE",
        value_name = "WHAT",
        default_value = OnFailure::Keep.as_str(),
    )]
    startup_taint_on_failure: OnFailureName,
}

impl StartupTaintOptions {
    /// The taint of an installation.
    pub(in crate::cli::operator) fn of(
        &self,
        installation: &Installation,
    ) -> Result<Option<StartupTaint>, Usage> {
        let on_failure = self.startup_taint_on_failure.0;
        if self.startup_taint.is_none() && on_failure != OnFailure::Keep {
            return Err(Usage(Trouble::new(
                "--startup-taint-on-failure is about a taint that is not there",
                "add --startup-taint",
            )));
        }
        let taint = |key: &StartupTaintKey| StartupTaint { key: key.of(installation), on_failure };
        Ok(self.startup_taint.as_ref().map(taint))
    }
}

/// The generator's choice, by its word.
#[derive(Debug, Clone, Copy)]
struct OnFailureName(OnFailure);

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
