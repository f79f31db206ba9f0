//! `run`: collects on this node, and writes the Node.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use node_annotator_core::key::is_dns_subdomain;
use node_annotator_core::{Context, Environment, GiveUpAfter, HostRoot, Registry};

use super::Usage;
use super::options::{
    CLUSTER, COLLECTORS, ClusterOptions, GenerationOptions, KeyOptions, LabelOptions, LogOptions, OUTPUT,
    OutputOptions, SelectionOptions, StampOptions, duration, give_up_after,
};
use super::variables::process_environment;
use crate::app::App;
use crate::exit::{self, Exit};
use crate::node::job::Job;
use crate::node::network::{MetadataClient, system_resolver};
use crate::node::publish::Patience;
use crate::node::run::{Settings, Target};
use crate::process::{self, logging};
use crate::trouble::Trouble;

const TIMING: &str = "Timing";

/// Where the files of the host are in a pod, unless it is said. Generated manifests say it.
const POD_MOUNT: &str = "/host";

#[derive(Debug, Args)]
#[command(after_help = notes())]
pub(super) struct RunCommand {
    #[command(flatten)]
    selection: SelectionOptions,

    /// Read the host's /proc and /sys, and its other files, below this directory
    #[arg(long, env = "NODE_ANNOTATOR_HOST_ROOT", value_name = "DIR", default_value = "/", help_heading = COLLECTORS)]
    host_root: PathBuf,

    /// Read the host's files other than /proc and /sys below this directory: where a pod mounts them
    ///
    /// In a pod it is /host unless it is set: the files of the pod itself are the image's.
    #[arg(long, env = "NODE_ANNOTATOR_HOST_MOUNT", value_name = "DIR", help_heading = COLLECTORS)]
    host_mount: Option<PathBuf>,

    /// Publish what a sandbox (gVisor, Kata Containers, lxcfs, Sysbox) shows as the node's
    ///
    /// Without it, collectors that would read a sandbox's kernel are not applicable, and say by what they
    /// know.
    #[arg(long, env = "NODE_ANNOTATOR_TRUST_SANDBOX", value_parser = BoolishValueParser::new(), help_heading = COLLECTORS)]
    trust_sandbox: bool,

    #[command(flatten)]
    keys: KeyOptions,

    #[command(flatten)]
    generation: GenerationOptions,

    #[command(flatten)]
    stamp: StampOptions,

    #[command(flatten)]
    labels: LabelOptions,

    /// The Node to write on; in a pod, set `NODE_NAME` from `spec.nodeName`
    ///
    /// It is never guessed from the host name, which may be another.
    #[arg(long, env = "NODE_NAME", value_name = "NAME", help_heading = CLUSTER)]
    node_name: Option<String>,

    #[command(flatten)]
    cluster: ClusterOptions,

    /// End by then, with everything written that there is to write; with --linger, each try
    ///
    /// Durations are written as `30s`, `1m 30s` or `10m`.
    #[arg(
        long,
        env = "NODE_ANNOTATOR_DEADLINE",
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration,
        help_heading = TIMING
    )]
    deadline: Duration,

    /// The part of the deadline kept for writing the Node
    ///
    /// A collector that has not finished when this part begins counts as timed out, and what the others found
    /// is written.
    #[arg(
        long,
        env = "NODE_ANNOTATOR_PUBLISH_BUDGET",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration,
        help_heading = TIMING
    )]
    publish_budget: Duration,

    /// Wait for SIGTERM instead of ending, and try again what failed: for DaemonSets
    ///
    /// The kubelet restarts a pod that ends before the DaemonSet controller has taken it away. Collectors
    /// that failed are tried again with growing pauses, and the Node is written when an outcome has changed.
    #[arg(long, env = "NODE_ANNOTATOR_LINGER", value_parser = BoolishValueParser::new(), help_heading = TIMING)]
    linger: bool,

    /// When --linger gives up a collector that keeps failing, counted from the start; or `never`
    ///
    /// Its pod then goes away as if it were done; the label PREFIX/COLLECTOR.failed says so. What waiting
    /// does not mend is given up at the second try, and an answer of another shape after five minutes.
    #[arg(
        long,
        env = "NODE_ANNOTATOR_GIVE_UP_AFTER",
        value_name = "DURATION",
        default_value_t,
        value_parser = give_up_after,
        help_heading = TIMING
    )]
    give_up_after: GiveUpAfter,

    /// How long --linger waits at most, once nothing is left to try
    #[arg(
        long,
        env = "NODE_ANNOTATOR_LINGER_LIMIT",
        value_name = "DURATION",
        default_value = "10m",
        value_parser = duration,
        help_heading = TIMING
    )]
    linger_limit: Duration,

    /// Show the facts and the patch, ask no cluster, write nothing
    #[arg(long, env = "NODE_ANNOTATOR_DRY_RUN", value_parser = BoolishValueParser::new(), help_heading = OUTPUT)]
    dry_run: bool,

    #[command(flatten)]
    output: OutputOptions,

    /// Where the kubelet reads the termination message
    ///
    /// A JSON summary of the run, in at most 4096 bytes. The file is not created: where there is none, nobody
    /// would read it.
    #[arg(
        long,
        env = "NODE_ANNOTATOR_TERMINATION_MESSAGE_PATH",
        value_name = "FILE",
        default_value = "/dev/termination-log",
        help_heading = OUTPUT
    )]
    termination_message_path: PathBuf,

    #[command(flatten)]
    log: LogOptions,
}

fn notes() -> String {
    let examples = "\
Examples:
  node-annotator run --dry-run                        this machine's facts, no cluster asked
  node-annotator run --dry-run -o json --collectors all,-kernel
  node-annotator run --collectors kernel --node-name worker-1";
    format!("{examples}\n\n{}", exit::help("run"))
}

impl RunCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let job = self.job(process_environment(), registry, app)?;
        logging::start(self.log.format, self.log.level);
        process::block_on(job.supervised())?
    }

    /// Holds the options against each other and against the registry.
    pub(super) fn job(&self, environment: Environment, registry: &Registry, app: &App) -> Result<Job, Usage> {
        Ok(Job {
            settings: self.settings(registry)?,
            context: Arc::new(self.context(environment.with_all(self.selection.variables()))),
            user_agent: app.user_agent(),
            kubeconfig: self.cluster.kubeconfig.clone(),
            output: self.output.output,
            termination_message_path: self.termination_message_path.clone(),
            linger_limit: self.linger_limit,
        })
    }

    fn settings(&self, registry: &Registry) -> Result<Settings, Usage> {
        if self.publish_budget >= self.deadline {
            return Err(Usage(Trouble::new(
                format!(
                    "the publish budget ({:?}) leaves nothing of the deadline ({:?}) to collect in",
                    self.publish_budget, self.deadline
                ),
                "raise --deadline or lower --publish-budget",
            )));
        }
        if !self.host_root.is_dir() {
            return Err(Usage(Trouble::new(
                format!("--host-root `{}` is not a directory", self.host_root.display()),
                "in a pod it is where the host's root is mounted",
            )));
        }
        let selection = self.selection.selection(registry)?;
        Ok(Settings {
            labels: self.labels.labels(&selection)?,
            selection,
            prefix: self.keys.prefix.clone(),
            done_mark: self.generation.done_mark(),
            stamp_day: self.stamp.stamp_day,
            target: self.target()?,
            deadline: self.deadline,
            publish_budget: self.publish_budget,
            patience: if self.linger { Patience::UntilDeadline } else { Patience::None },
            give_up_after: self.linger.then_some(self.give_up_after),
        })
    }

    fn target(&self) -> Result<Target, Usage> {
        if self.dry_run {
            return Ok(Target::DryRun);
        }
        match self.node_name.as_deref() {
            None | Some("") => Err(Usage(Trouble::new(
                "which Node is it? --node-name is missing",
                "in a pod, set NODE_NAME from the field `spec.nodeName`; to see the facts alone, use --dry-run",
            ))),
            Some(name) if !is_dns_subdomain(name) => Err(Usage(Trouble::new(
                format!(
                    "`{name}` cannot be the name of a Node: lower-case letters, digits and hyphens between dots"
                ),
                "in a pod, set NODE_NAME from the field `spec.nodeName`",
            ))),
            Some(name) => Ok(Target::Node(name.to_owned())),
        }
    }

    /// The world as the collectors see it.
    fn context(&self, environment: Environment) -> Context {
        let resolver = system_resolver();
        let in_pod = environment.get("KUBERNETES_SERVICE_HOST").is_some();
        let host = match &self.host_mount {
            Some(files) => HostRoot::with_files(&self.host_root, files),
            None if in_pod && self.host_root == Path::new("/") => HostRoot::with_files("/", POD_MOUNT),
            None => HostRoot::new(&self.host_root),
        };
        let host = if self.trust_sandbox { host.trusting_sandbox() } else { host };
        Context::offline(host)
            .with_environment(environment)
            .with_http(Arc::new(MetadataClient::new(Arc::clone(&resolver))))
            .with_resolver(resolver)
    }
}
