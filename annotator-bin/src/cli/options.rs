//! The flags of a run, and what they mean together. Every flag is an environment variable too.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use jiff::SignedDuration;
use node_annotator_core::key::is_dns_subdomain;
use node_annotator_core::{
    Context, DoneMark, Environment, Generation, HostRoot, Prefix, Registry, Selection,
};

use crate::logging::{LogFormat, LogLevel};
use crate::network::{MetadataClient, system_resolver};
use crate::output::Format;
use crate::run::{Settings, Target};

#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// What to run: names, `default`, `all`; `-NAME` takes away
    #[arg(
        long,
        env = "NODE_ANNOTATOR_COLLECTORS",
        value_name = "LIST",
        default_value = "default",
        allow_hyphen_values = true
    )]
    collectors: String,

    /// The Node to write on; in a pod, set it from `spec.nodeName`
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    node_name: Option<String>,

    /// Show the facts and the patch, ask no cluster
    #[arg(long, env = "NODE_ANNOTATOR_DRY_RUN")]
    dry_run: bool,

    /// What to print on stdout
    #[arg(short, long, env = "NODE_ANNOTATOR_OUTPUT", value_name = "FORMAT", default_value = "text")]
    pub(super) output: Format,

    /// The prefix of all keys
    #[arg(long, env = "NODE_ANNOTATOR_PREFIX", default_value_t)]
    prefix: Prefix,

    /// The value of the done labels, instead of `saved`; another one runs the fleet again
    #[arg(long, env = "NODE_ANNOTATOR_GENERATION", value_name = "VALUE")]
    generation: Option<Generation>,

    /// Read /proc, /sys and /etc below this directory
    #[arg(long, env = "NODE_ANNOTATOR_HOST_ROOT", value_name = "DIR", default_value = "/")]
    host_root: PathBuf,

    /// The kubeconfig to use instead of the pod's service account
    #[arg(long, env = "NODE_ANNOTATOR_KUBECONFIG", value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// End by then, with everything written that there is to write
    #[arg(long, env = "NODE_ANNOTATOR_DEADLINE", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    deadline: Duration,

    /// The part of the deadline kept for writing the Node
    #[arg(long, env = "NODE_ANNOTATOR_PUBLISH_BUDGET", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    publish_budget: Duration,

    /// After success, wait for SIGTERM: set in DaemonSets, so that the pod is taken away and not restarted
    #[arg(long, env = "NODE_ANNOTATOR_LINGER")]
    linger: bool,

    /// How long to wait for SIGTERM at most
    #[arg(long, env = "NODE_ANNOTATOR_LINGER_LIMIT", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    linger_limit: Duration,

    /// Where the kubelet reads the termination message; written only if it is there
    #[arg(
        long,
        env = "NODE_ANNOTATOR_TERMINATION_MESSAGE_PATH",
        value_name = "FILE",
        default_value = "/dev/termination-log"
    )]
    pub(super) termination_message_path: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct LogOptions {
    /// The shape of the logs on stderr
    #[arg(
        long = "log-format",
        env = "NODE_ANNOTATOR_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub(super) format: LogFormat,

    /// How much to log
    #[arg(
        long = "log-level",
        env = "NODE_ANNOTATOR_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub(super) level: LogLevel,
}

impl RunOptions {
    /// Holds the flags against each other and against the registry; the error is a usage message.
    pub(super) fn settings(&self, registry: &Registry) -> Result<Settings, String> {
        if self.publish_budget >= self.deadline {
            return Err(format!(
                "the publish budget ({:?}) leaves nothing of the deadline ({:?}) to collect in\n\
                 hint: raise --deadline or lower --publish-budget",
                self.publish_budget, self.deadline
            ));
        }
        if !self.host_root.is_dir() {
            return Err(format!("--host-root `{}` is not a directory", self.host_root.display()));
        }
        Ok(Settings {
            selection: Selection::parse(&self.collectors, registry).map_err(|error| error.to_string())?,
            prefix: self.prefix.clone(),
            mark: self.generation.clone().map_or(DoneMark::Saved, DoneMark::Generation),
            target: self.target()?,
            deadline: self.deadline,
            publish_budget: self.publish_budget,
            linger: self.linger.then_some(self.linger_limit),
        })
    }

    fn target(&self) -> Result<Target, String> {
        if self.dry_run {
            return Ok(Target::DryRun);
        }
        match self.node_name.as_deref() {
            None | Some("") => Err("which Node is it? --node-name is missing\n\
                 hint: in a pod, set NODE_NAME from the field `spec.nodeName`; to see the facts alone, use --dry-run"
                .to_owned()),
            Some(name) if !is_dns_subdomain(name) => Err(format!("`{name}` cannot be the name of a Node")),
            Some(name) => Ok(Target::Node(name.to_owned())),
        }
    }

    /// The world as the collectors see it.
    pub(super) fn context(&self) -> Context {
        let resolver = system_resolver();
        // What is not UTF-8 is no variable of ours.
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Context {
            host: HostRoot::new(&self.host_root),
            environment: variables.collect::<Environment>(),
            http: Arc::new(MetadataClient::new(Arc::clone(&resolver))),
            resolver,
            started_at: SystemTime::now(),
        }
    }
}

/// `90s`, `1m 30s`, `10m`.
fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "not a duration: write it as `30s`, `1m 30s` or `10m`".to_owned())?;
    Duration::try_from(duration)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "a duration must be longer than zero".to_owned())
}
