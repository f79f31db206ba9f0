//! `manifests`: prints what is to be applied.

mod nodes;
mod pods;
mod startup_taint;

use std::collections::BTreeMap;

use clap::builder::{BoolishValueParser, PossibleValue};
use clap::{Args, ValueEnum};
use node_annotator_core::fact::clean;
use node_annotator_core::{GiveUpAfter, Registry};
use node_annotator_deploy::{
    ImagePullPolicy, Installation, Layout, Manifests, PolicyMode, Queue, Schedule, Settings,
};

use super::fleet::days;
use crate::app::App;
use crate::cli::options::{
    COLLECTORS, GenerationOptions, KeyOptions, LabelOptions, OUTPUT, SelectionOptions, StampOptions,
    give_up_after,
};
use crate::cli::{Usage, own_name};
use crate::exit::{self, Exit};
use crate::output::print;
use crate::trouble::Trouble;

use nodes::NodeOptions;
use pods::PodOptions;
pub(super) use startup_taint::StartupTaintOptions;

const OBJECTS: &str = "Objects";

#[derive(Debug, Args)]
#[command(after_help = notes())]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct ManifestsCommand {
    #[command(flatten)]
    selection: SelectionOptions,

    #[command(flatten)]
    keys: KeyOptions,

    #[command(flatten)]
    generation: GenerationOptions,

    #[command(flatten)]
    stamp: StampOptions,

    #[command(flatten)]
    labels: LabelOptions,

    /// Insist on a prefix under a domain of others, who trust its keys on Nodes
    #[arg(
        long,
        env = "NODE_ANNOTATOR_ALLOW_FOREIGN_PREFIX",
        value_parser = BoolishValueParser::new(),
        help_heading = COLLECTORS
    )]
    allow_foreign_prefix: bool,

    /// The namespace, used for nothing else; what needs more rights goes into NAMESPACE-privileged
    #[arg(long, env = "NODE_ANNOTATOR_NAMESPACE", default_value_t, help_heading = OBJECTS)]
    namespace: Installation,

    /// The image
    #[arg(long, env = "NODE_ANNOTATOR_IMAGE", help_heading = OBJECTS)]
    image: Option<String>,

    #[command(flatten)]
    pull: PullOptions,

    /// A Secret with credentials for the image; may be repeated, or be a list with commas
    #[arg(
        long,
        env = "NODE_ANNOTATOR_IMAGE_PULL_SECRET",
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = OBJECTS
    )]
    image_pull_secret: Vec<String>,

    /// How collectors share DaemonSets
    ///
    /// After a change of it the DaemonSets of the other layout are left over: the output begins with the
    /// command that deletes them.
    #[arg(
        long,
        env = "NODE_ANNOTATOR_LAYOUT",
        value_name = "LAYOUT",
        default_value = Layout::Combined.as_str(),
        help_heading = OBJECTS
    )]
    layout: LayoutName,

    /// The same as --layout combined, which is the default: from before there was that option
    #[arg(long, env = "NODE_ANNOTATOR_COMBINED", value_parser = BoolishValueParser::new(), hide = true)]
    combined: bool,

    /// Leave out the admission policy: the token of any pod may then change every node
    #[arg(long, env = "NODE_ANNOTATOR_NO_POLICY", value_parser = BoolishValueParser::new(), help_heading = OBJECTS)]
    no_policy: bool,

    /// Print the admission policies alone, as a file that the API server reads at its start
    ///
    /// Nobody can change or delete such a policy through the API. It goes beside the one in the API, into the
    /// `staticManifestsDir` of the plugin ValidatingAdmissionPolicy, on every server of the control plane,
    /// and has to follow what is installed. Needs Kubernetes 1.37.
    #[arg(
        long,
        env = "NODE_ANNOTATOR_STATIC_POLICY",
        value_parser = BoolishValueParser::new(),
        conflicts_with = "no_policy",
        help_heading = OBJECTS
    )]
    static_policy: bool,

    #[command(flatten)]
    queue: QueueOptions,

    /// Run again by itself, at these times, what is stale: a CronJob with a namespace and an account of its
    /// own
    ///
    /// A schedule of Kubernetes: a word such as `@hourly`, or five fields such as `*/30 * * * *`. The CronJob
    /// runs `expire`: on nodes that are ready it takes the labels of collectors away whose facts are of
    /// another boot, kernel or machine, so that their DaemonSets run them again. A policy of its own keeps it
    /// from changing anything else.
    #[arg(long, env = "NODE_ANNOTATOR_EXPIRE", value_name = "SCHEDULE", help_heading = OBJECTS)]
    expire: Option<Schedule>,

    /// Run again what is older than so many days too, such as `30d`
    #[arg(
        long,
        env = "NODE_ANNOTATOR_EXPIRE_MAX_AGE",
        value_name = "DAYS",
        value_parser = days,
        requires_all = ["expire", "stamp_day"],
        help_heading = OBJECTS
    )]
    expire_max_age: Option<u16>,

    #[command(flatten)]
    nodes: NodeOptions,

    #[command(flatten)]
    pods: PodOptions,

    /// A variable that a selected collector reads, as `explain` shows; may be repeated
    #[arg(long, env = "NODE_ANNOTATOR_ENV", value_name = "NAME=VALUE", value_parser = assignment, help_heading = COLLECTORS)]
    env: Vec<(String, String)>,

    /// Publish what a sandbox (gVisor, Kata Containers, lxcfs, Sysbox) shows as the node's
    #[arg(
        long,
        env = "NODE_ANNOTATOR_TRUST_SANDBOX",
        value_parser = BoolishValueParser::new(),
        help_heading = COLLECTORS
    )]
    trust_sandbox: bool,

    /// When a pod gives up a collector that keeps failing, counted from its start; or `never`
    #[arg(
        long,
        env = "NODE_ANNOTATOR_GIVE_UP_AFTER",
        value_name = "DURATION",
        default_value_t,
        value_parser = give_up_after,
        help_heading = COLLECTORS
    )]
    give_up_after: GiveUpAfter,

    #[command(flatten)]
    output: OutputOptions,
}

fn notes() -> String {
    let examples = "\
Examples:
  node-annotator manifests | kubectl apply -f -
  node-annotator manifests --collectors kernel --image registry.example.com/node-annotator:1.0
  node-annotator manifests --generation 2 | kubectl apply -f -     every node runs again";
    format!("{examples}\n\n{}", exit::help("manifests"))
}

/// Whether the requests of what is printed have a queue of their own.
#[derive(Debug, Args)]
pub(super) struct QueueOptions {
    /// Leave out the queue at the API server: our requests wait among those of all service accounts
    #[arg(
        long,
        env = "NODE_ANNOTATOR_NO_FLOW_SCHEMA",
        value_parser = BoolishValueParser::new(),
        help_heading = OBJECTS
    )]
    no_flow_schema: bool,
}

impl QueueOptions {
    pub(super) fn queue(&self) -> Queue {
        if self.no_flow_schema { Queue::Shared } else { Queue::Own }
    }
}

/// How the image of this program gets on a node.
#[derive(Debug, Args)]
pub(super) struct PullOptions {
    /// When the kubelet pulls the image of this program
    #[arg(
        long,
        env = "NODE_ANNOTATOR_IMAGE_PULL_POLICY",
        value_name = "POLICY",
        default_value = "IfNotPresent",
        help_heading = OBJECTS
    )]
    image_pull_policy: PullPolicy,
}

impl PullOptions {
    pub(super) fn policy(&self) -> ImagePullPolicy {
        self.image_pull_policy.0
    }
}

/// How manifests are printed.
#[derive(Debug, Args)]
pub(super) struct OutputOptions {
    /// What to print
    #[arg(
        short,
        long,
        env = "NODE_ANNOTATOR_OUTPUT",
        value_name = "FORMAT",
        default_value = "yaml",
        help_heading = OUTPUT
    )]
    output: ManifestFormat,
}

impl OutputOptions {
    /// Prints them, and what the operator should know of them before.
    pub(super) fn print(&self, manifests: &Manifests) -> anyhow::Result<Exit> {
        for warning in manifests.warnings() {
            eprintln!("warning: {warning}");
        }
        let text = match self.output {
            ManifestFormat::Yaml => manifests.yaml(),
            ManifestFormat::Json => manifests.json(),
        };
        print(&text.map_err(|error| Usage(Trouble::plain(error)))?)?;
        Ok(Exit::Done)
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ManifestFormat {
    /// Documents to read and to apply
    Yaml,
    /// One List
    Json,
}

/// The generator's layout, by its word.
#[derive(Debug, Clone, Copy)]
struct LayoutName(Layout);

impl ValueEnum for LayoutName {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(Layout::Combined), Self(Layout::PerCollector)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.as_str()).help(match self.0 {
            Layout::Combined => "One DaemonSet for each privilege class: one pod on a new node, or two",
            Layout::PerCollector => {
                "One DaemonSet for each collector, which is added, removed and watched by itself"
            }
        }))
    }
}

/// The generator's pull policy, spelled as Kubernetes spells it.
#[derive(Debug, Clone, Copy)]
struct PullPolicy(ImagePullPolicy);

impl ValueEnum for PullPolicy {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(ImagePullPolicy::Always), Self(ImagePullPolicy::IfNotPresent), Self(ImagePullPolicy::Never)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.as_str()))
    }
}

impl ManifestsCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let settings = self.settings(registry, app)?;
        let manifests = if self.static_policy {
            Manifests::static_policies(&settings)
        } else {
            Manifests::new(&settings)
        };
        self.output.print(&manifests.map_err(|error| Usage(Trouble::plain(error)))?)
    }

    fn settings(&self, registry: &Registry, app: &App) -> Result<Settings, Usage> {
        // All by name: a flag that is added cannot be forgotten here.
        let Self {
            selection,
            keys,
            generation,
            stamp,
            labels,
            allow_foreign_prefix,
            namespace,
            image,
            pull,
            image_pull_secret,
            layout,
            combined,
            no_policy,
            static_policy: _,
            queue,
            expire,
            expire_max_age,
            nodes,
            pods,
            env,
            trust_sandbox,
            give_up_after,
            output: _,
        } = self;
        if *combined && layout.0 != Layout::Combined {
            return Err(Usage(Trouble::new(
                format!("--combined and --layout {} contradict each other", layout.0.as_str()),
                "leave out --combined, which says what is the default",
            )));
        }
        let collectors = selection.selection(registry)?;
        let mut settings = Settings {
            prefix: keys.prefix.clone(),
            allow_foreign_prefix: *allow_foreign_prefix,
            mark: generation.done_mark(),
            stamp_day: stamp.stamp_day,
            labels: labels.labels(&collectors)?,
            installation: namespace.clone(),
            image: image.clone().ok_or_else(|| without_image(app))?,
            image_pull_policy: pull.policy(),
            image_pull_secrets: image_pull_secret.clone(),
            layout: layout.0,
            environment: map("--env", &selection.variables().chain(env.iter().cloned()).collect::<Vec<_>>())?,
            trust_sandbox: *trust_sandbox,
            give_up_after: *give_up_after,
            policy: if *no_policy { PolicyMode::Omitted } else { PolicyMode::Enforced },
            queue: queue.queue(),
            expire: expire.clone(),
            expire_max_age: *expire_max_age,
            version: app.version.to_owned(),
            command: command_line(app),
            ..Settings::new(collectors)
        };
        nodes.set(&mut settings)?;
        pods.set(&mut settings)?;
        Ok(settings)
    }
}

/// The stock image would start pods without the collectors of this binary.
fn without_image(app: &App) -> Usage {
    Usage(Trouble::new(
        format!("which image holds `{}`? --image is missing", app.name),
        format!(
            "build one that starts this binary, and name it: {} manifests --image REGISTRY/NAME:TAG",
            own_name(app)
        ),
    ))
}

/// The command that was given, for the first line of the output.
pub(super) fn command_line(app: &App) -> String {
    const LONGEST: usize = 400;
    let arguments = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    clean(&format!("{} {arguments}", own_name(app)), LONGEST)
}

/// Two values for one name: the operator meant one of them, and nobody knows which.
pub(super) fn map(flag: &str, assignments: &[(String, String)]) -> Result<BTreeMap<String, String>, Usage> {
    let mut map = BTreeMap::new();
    for (name, value) in assignments {
        let earlier = map.insert(name.clone(), value.clone());
        if let Some(earlier) = earlier.filter(|earlier| earlier != value) {
            let message = format!("{flag} gives `{name}` two values: `{earlier}` and `{value}`");
            return Err(Usage(Trouble::new(message, "give one of them")));
        }
    }
    Ok(map)
}

pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("an `=` is missing")?;
    Ok((name.to_owned(), value.to_owned()))
}
