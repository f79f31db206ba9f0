//! `once-publish`: writes on the Node what became of a task.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use node_annotator_core::key::is_dns_subdomain;
use node_annotator_core::{HostRoot, NamedFacts, Registry, task};

use crate::app::App;
use crate::cli::Usage;
use crate::cli::options::{
    ClusterOptions, GenerationOptions, KeyOptions, LogOptions, StampOptions, duration,
};
use crate::exit::Exit;
use crate::node::once::publisher::Publisher;
use crate::process::{self, logging};
use crate::trouble::Trouble;

#[derive(Debug, Args)]
pub(crate) struct PublishCommand {
    /// The name of the task
    #[arg(long, env = "NODE_ANNOTATOR_TASK", value_name = "NAME")]
    task: String,

    /// A step, in the order in which they start; repeated
    #[arg(long, env = "NODE_ANNOTATOR_STEP", value_name = "NAME", required = true)]
    step: Vec<String>,

    /// The directory with the records of all steps
    #[arg(long, env = "NODE_ANNOTATOR_STATE", value_name = "DIR")]
    state: PathBuf,

    /// A fact that the commands may write; may be repeated
    #[arg(long, env = "NODE_ANNOTATOR_FACT", value_name = "NAME")]
    fact: Vec<String>,

    /// A fact that an earlier set declared, and which is deleted; may be repeated
    #[arg(long, env = "NODE_ANNOTATOR_RETIRED_FACT", value_name = "NAME")]
    retired_fact: Vec<String>,

    /// Write beside the done label in which boot it ran
    #[arg(long, env = "NODE_ANNOTATOR_PER_BOOT", value_parser = BoolishValueParser::new())]
    per_boot: bool,

    /// How long a try may take, and the start of a step
    #[arg(long, env = "NODE_ANNOTATOR_TIMEOUT", value_name = "DURATION", value_parser = duration)]
    timeout: Duration,

    /// How often each step is tried
    #[arg(long, env = "NODE_ANNOTATOR_TRIES", value_name = "NUMBER")]
    tries: u32,

    #[command(flatten)]
    keys: KeyOptions,

    #[command(flatten)]
    generation: GenerationOptions,

    #[command(flatten)]
    stamp: StampOptions,

    /// The Node to write on
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    node_name: String,

    /// Read the boot id below this directory
    #[arg(long, env = "NODE_ANNOTATOR_HOST_ROOT", value_name = "DIR", default_value = "/")]
    host_root: PathBuf,

    #[command(flatten)]
    cluster: ClusterOptions,

    /// How long it waits to be taken away at most
    #[arg(
        long,
        env = "NODE_ANNOTATOR_LINGER_LIMIT",
        value_name = "DURATION",
        default_value = "10m",
        value_parser = duration
    )]
    linger_limit: Duration,

    /// Where the kubelet reads the termination message
    #[arg(
        long,
        env = "NODE_ANNOTATOR_TERMINATION_MESSAGE_PATH",
        value_name = "FILE",
        default_value = "/dev/termination-log"
    )]
    termination_message_path: PathBuf,

    #[command(flatten)]
    log: LogOptions,
}

impl PublishCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let refused = |what: String| Usage(Trouble::new(what, "this command is for pods that `once` prints"));
        if registry.find(&self.task).is_ok() {
            return Err(refused(format!("`{}` is a collector, and no task", self.task)).into());
        }
        if !is_dns_subdomain(&self.node_name) {
            return Err(refused(format!("`{}` cannot be the name of a Node", self.node_name)).into());
        }
        let named = NamedFacts { names: self.fact.clone(), retired: self.retired_fact.clone(), path: None };
        let publisher = Publisher {
            collector: task::task(&self.task, &named, self.per_boot)
                .map_err(|error| refused(error.to_string()))?,
            steps: self.step.clone(),
            state: self.state.clone(),
            timeout: self.timeout,
            tries: self.tries,
            prefix: self.keys.prefix.clone(),
            done_mark: self.generation.done_mark(),
            stamp_day: self.stamp.stamp_day,
            node: self.node_name.clone(),
            host: HostRoot::new(&self.host_root),
            kubeconfig: self.cluster.kubeconfig.clone(),
            user_agent: app.user_agent(),
            termination_message_path: self.termination_message_path.clone(),
            linger_limit: self.linger_limit,
        };
        logging::start(self.log.format, self.log.level);
        process::block_on(async move { publisher.run().await })?
    }
}
