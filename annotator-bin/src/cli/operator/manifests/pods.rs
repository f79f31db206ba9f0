//! What pods carry beside their work.

use clap::Args;
use node_annotator_deploy::{PriorityClassName, Settings};

use super::{assignment, map};
use crate::cli::Usage;

#[derive(Debug, Args)]
#[command(next_help_heading = "Pods")]
pub(super) struct PodOptions {
    /// The PriorityClass of the pods: `own`, `none`, or the name of one that is there
    ///
    /// Our own has a low priority and pushes nobody out: on a full node a run waits until there is room. With
    /// another, pods of a lower priority may have to go for it.
    #[arg(long, env = "NODE_ANNOTATOR_PRIORITY_CLASS", value_name = "NAME", default_value = "own")]
    priority_class: PriorityClassName,

    /// A label of the pods; may be repeated, or be a list with commas
    #[arg(
        long,
        env = "NODE_ANNOTATOR_POD_LABEL",
        value_name = "KEY=VALUE",
        value_parser = assignment,
        value_delimiter = ','
    )]
    pod_label: Vec<(String, String)>,

    /// An annotation of the pods; may be repeated
    #[arg(long, env = "NODE_ANNOTATOR_POD_ANNOTATION", value_name = "KEY=VALUE", value_parser = assignment)]
    pod_annotation: Vec<(String, String)>,
}

impl PodOptions {
    /// Puts all of them into the settings.
    pub(super) fn set(&self, settings: &mut Settings) -> Result<(), Usage> {
        // All by name: a flag that is added cannot be forgotten here.
        let Self { priority_class, pod_label, pod_annotation } = self;
        settings.priority_class.clone_from(priority_class);
        settings.pod_labels = map("--pod-label", pod_label)?;
        settings.pod_annotations = map("--pod-annotation", pod_annotation)?;
        Ok(())
    }
}
