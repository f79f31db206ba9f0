//! The flags of a run, and what they mean together. Every flag is an environment variable too.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::{BoolishValueParser, Resettable};
use clap::{Arg, Args, Command};
use jiff::SignedDuration;
use node_annotator_core::key::is_dns_subdomain;
use node_annotator_core::{
    Context, DoneMark, Environment, Generation, HostRoot, Prefix, Registry, Selection,
};

use crate::logging::{LogFormat, LogLevel};
use crate::network::{MetadataClient, system_resolver};
use crate::output::Format;
use crate::run::{Settings, Target};

const SELECTION: &str = "What is read";
const NODE: &str = "What is written";
const TIMING: &str = "Timing";
const OUTPUT: &str = "Output";
const LOGS: &str = "Logs";

/// Nothing here waits longer than a day: the kubelet's restart is the longer wait.
const LONGEST: Duration = Duration::from_hours(24);

#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// What to run: names, `default`, `all`; `-NAME` takes away
    ///
    /// A list with commas, in any order: `kernel,cpu-model`, `all,-kernel`. A list that only takes away starts from
    /// `default`. `node-annotator list` shows the names.
    #[arg(
        long,
        env = "NODE_ANNOTATOR_COLLECTORS",
        value_name = "LIST",
        default_value = "default",
        allow_hyphen_values = true,
        help_heading = SELECTION
    )]
    collectors: String,

    /// Read the host's /proc and /sys, and its other files, below this directory
    #[arg(long, env = "NODE_ANNOTATOR_HOST_ROOT", value_name = "DIR", default_value = "/", help_heading = SELECTION)]
    host_root: PathBuf,

    /// Read the host's files other than /proc and /sys below this directory: where a pod mounts them
    #[arg(long, env = "NODE_ANNOTATOR_HOST_MOUNT", value_name = "DIR", help_heading = SELECTION)]
    host_mount: Option<PathBuf>,

    /// The Node to write on; in a pod, set `NODE_NAME` from `spec.nodeName`
    ///
    /// It is never guessed from the host name, which may be another.
    #[arg(long, env = "NODE_NAME", value_name = "NAME", help_heading = NODE)]
    node_name: Option<String>,

    /// The domain that all keys begin with: PREFIX/COLLECTOR, PREFIX/COLLECTOR.FACT
    #[arg(long, env = "NODE_ANNOTATOR_PREFIX", default_value_t, help_heading = NODE)]
    prefix: Prefix,

    /// The value of the done labels, instead of `saved`
    ///
    /// A DaemonSet that is keyed on a generation runs on every node whose label has another value: pick a new one, such as a
    /// date or a version, and the whole fleet runs again.
    #[arg(long, env = "NODE_ANNOTATOR_GENERATION", value_name = "VALUE", help_heading = NODE)]
    generation: Option<Generation>,

    /// The kubeconfig to use instead of the pod's service account
    #[arg(long, env = "NODE_ANNOTATOR_KUBECONFIG", value_name = "FILE", help_heading = NODE)]
    pub(super) kubeconfig: Option<PathBuf>,

    /// End by then, with everything written that there is to write
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
    /// A collector that has not finished when this part begins counts as timed out, and what the others found is written.
    #[arg(
        long,
        env = "NODE_ANNOTATOR_PUBLISH_BUDGET",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration,
        help_heading = TIMING
    )]
    publish_budget: Duration,

    /// After success, wait for SIGTERM instead of ending: for DaemonSets
    ///
    /// The kubelet restarts a pod that ends before the DaemonSet controller has taken it away.
    #[arg(long, env = "NODE_ANNOTATOR_LINGER", value_parser = BoolishValueParser::new(), help_heading = TIMING)]
    linger: bool,

    /// How long --linger waits at most
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

    /// What to print on stdout
    #[arg(
        short,
        long,
        env = "NODE_ANNOTATOR_OUTPUT",
        value_name = "FORMAT",
        default_value = "text",
        help_heading = OUTPUT
    )]
    pub(super) output: Format,

    /// Where the kubelet reads the termination message
    ///
    /// A JSON summary of the run, in at most 4096 bytes. The file is not created: where there is none, nobody would read it.
    #[arg(
        long,
        env = "NODE_ANNOTATOR_TERMINATION_MESSAGE_PATH",
        value_name = "FILE",
        default_value = "/dev/termination-log",
        help_heading = OUTPUT
    )]
    pub(super) termination_message_path: PathBuf,
}

#[derive(Debug, Args)]
#[command(next_help_heading = LOGS)]
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
            return Err(format!(
                "--host-root `{}` is not a directory\nhint: in a pod it is where the host's root is mounted",
                self.host_root.display()
            ));
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
            Some(name) if !is_dns_subdomain(name) => Err(format!(
                "`{name}` cannot be the name of a Node: lower-case letters, digits and hyphens between dots\n\
                 hint: in a pod, set NODE_NAME from the field `spec.nodeName`"
            )),
            Some(name) => Ok(Target::Node(name.to_owned())),
        }
    }

    /// The world as the collectors see it.
    pub(super) fn context(&self, environment: Environment) -> Context {
        let resolver = system_resolver();
        let host = match &self.host_mount {
            Some(files) => HostRoot::with_files(&self.host_root, files),
            None => HostRoot::new(&self.host_root),
        };
        Context::offline(host)
            .with_environment(environment)
            .with_http(Arc::new(MetadataClient::new(Arc::clone(&resolver))))
            .with_resolver(resolver)
    }
}

/// The variables of this process. What is not UTF-8 is no variable of ours.
pub(super) fn process_environment() -> Environment {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

/// Makes the variables of all options behave: one that is set to nothing counts as unset, as in a manifest whose value was left
/// empty; the same holds for the variables that collectors read. Help shows their names, not their values.
pub(super) fn with_tame_variables(command: Command) -> Command {
    let set_to_nothing = |arg: &Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.to_string_lossy().trim().is_empty())
    };
    let tame = move |arg: Arg| {
        let arg = arg.hide_env_values(true);
        if set_to_nothing(&arg) { arg.env(Resettable::Reset) } else { arg }
    };
    command.mut_args(tame).mut_subcommands(|command| command.mut_args(tame))
}

/// `90s`, `1m 30s`, `10m`.
fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "not a duration: write it as `30s`, `1m 30s` or `10m`".to_owned())?;
    match Duration::try_from(duration) {
        Ok(duration) if duration > LONGEST => Err("nothing waits longer than `24h`".to_owned()),
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a duration must be longer than zero".to_owned()),
    }
}
