//! `once`: prints what runs an image of the operator once on each node.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use node_annotator_core::{NamedFacts, Registry, Selection};
use node_annotator_deploy::once::{Input, Options, Task};
use node_annotator_deploy::{Installation, Manifests, Settings, Tolerations};
use serde_json::Value;

use super::manifests::{
    OutputOptions, PullOptions, QueueOptions, StartupTaintOptions, assignment, command_line, map,
};
use crate::app::App;
use crate::cli::options::{GenerationOptions, KEYS, KeyOptions, StampOptions, duration};
use crate::cli::{Usage, own_name};
use crate::exit::{self, Exit};
use crate::trouble::Trouble;

const TASK: &str = "Task";
const OBJECTS: &str = "Objects";
const NODES: &str = "Nodes";

/// Print what runs any image once on each node.
///
/// The input is a command in an image, or a Pod, Job, CronJob or DaemonSet that is there already. The output
/// is an installation of its own: a namespace that admits what the pod needs, a policy that lets it write the
/// keys of the task on its own Node alone, and a DaemonSet that leaves nodes with the label `PREFIX/NAME`
/// alone.
///
/// A command that fails is tried again, and its exit code and last lines of output stand on the Node at once,
/// as `PREFIX/NAME.error`. When it has failed as often as it may, the label `PREFIX/NAME.failed` ends it.
/// What the command writes into files in `$NODE_ANNOTATOR_FACTS` becomes annotations.
///
/// A command runs at least once on a node, and again where a node loses power before the outcome is written:
/// it has to bear that, or --check has to tell that there is nothing to do. It starts on all nodes at once;
/// --node-selector makes a canary. Another input runs again by itself, the same one changes nothing.
#[derive(Debug, Args)]
#[command(after_help = notes())]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct OnceCommand {
    /// The name of the task: its keys are PREFIX/NAME
    name: String,

    /// The image in which the command runs
    #[arg(long, value_name = "IMAGE", requires = "command", help_heading = TASK)]
    image: Option<String>,

    /// Run the command in --image as root of the node, with all its devices
    #[arg(
        long,
        env = "NODE_ANNOTATOR_PRIVILEGED",
        value_parser = BoolishValueParser::new(),
        requires = "image",
        help_heading = TASK
    )]
    privileged: bool,

    /// A manifest with a Pod, Job, CronJob or DaemonSet; `-` is stdin
    ///
    /// `kubectl create job NAME --image IMAGE --dry-run=client -o yaml -- COMMAND` makes one.
    #[arg(
        short,
        long,
        env = "NODE_ANNOTATOR_FILE",
        value_name = "FILE",
        conflicts_with = "image",
        required_unless_present = "image",
        help_heading = TASK
    )]
    file: Option<PathBuf>,

    /// A file with the ConfigMaps, Secrets and PersistentVolumeClaims that the pod refers to; may be repeated
    ///
    /// They are copied into the namespace of the task. Another content runs the task again.
    #[arg(long, env = "NODE_ANNOTATOR_WITH_CONFIG", value_name = "FILE", value_delimiter = ',', help_heading = TASK)]
    with_config: Vec<PathBuf>,

    /// A command that runs first, in the image of the first main container: where it ends with 0, there is
    /// nothing to do
    ///
    /// It is given to `sh -c`, or, where it begins with `[`, is a JSON list of words for an image without a
    /// shell.
    #[arg(long, env = "NODE_ANNOTATOR_CHECK", value_name = "COMMAND", help_heading = TASK)]
    check: Option<String>,

    /// How often a command is tried; the `backoffLimit` of a Job and one, or else 3
    #[arg(
        long,
        env = "NODE_ANNOTATOR_TRIES",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=1000),
        help_heading = TASK
    )]
    tries: Option<u32>,

    /// How long a try may take, and the start of a container; `activeDeadlineSeconds`, or else 10m
    #[arg(long, env = "NODE_ANNOTATOR_TIMEOUT", value_name = "DURATION", value_parser = duration, help_heading = TASK)]
    timeout: Option<Duration>,

    /// Keep off the Node what a failed command has printed last
    #[arg(long, env = "NODE_ANNOTATOR_NO_OUTPUT", value_parser = BoolishValueParser::new(), help_heading = TASK)]
    no_output: bool,

    /// A file that the command may write into `$NODE_ANNOTATOR_FACTS`, for the fact PREFIX/NAME.FACT; may be
    /// repeated, or be a list
    ///
    /// The file `value` needs no such option: it is the fact PREFIX/NAME. A fact whose file is missing is
    /// deleted, and any other file is a failure.
    #[arg(long, env = "NODE_ANNOTATOR_FACT", value_name = "FACT", value_delimiter = ',', help_heading = TASK)]
    fact: Vec<String>,

    /// A fact that an earlier set named with --fact, and which is deleted; may be repeated, or be a list
    #[arg(long, env = "NODE_ANNOTATOR_RETIRED_FACT", value_name = "FACT", value_delimiter = ',', help_heading = TASK)]
    retired_fact: Vec<String>,

    /// Write beside the done label in which boot it ran: `expire` runs it again after a reboot
    #[arg(long, env = "NODE_ANNOTATOR_PER_BOOT", value_parser = BoolishValueParser::new(), help_heading = TASK)]
    per_boot: bool,

    #[command(flatten)]
    keys: KeyOptions,

    /// Insist on a prefix under a domain of others, who trust its keys on Nodes
    #[arg(
        long,
        env = "NODE_ANNOTATOR_ALLOW_FOREIGN_PREFIX",
        value_parser = BoolishValueParser::new(),
        help_heading = KEYS
    )]
    allow_foreign_prefix: bool,

    #[command(flatten)]
    generation: GenerationOptions,

    #[command(flatten)]
    stamp: StampOptions,

    /// A label that a node must have, beside those that the input selects by; may be repeated, or be a list
    #[arg(
        long,
        env = "NODE_ANNOTATOR_NODE_SELECTOR",
        value_name = "KEY=VALUE",
        value_parser = assignment,
        value_delimiter = ',',
        help_heading = NODES
    )]
    node_selector: Vec<(String, String)>,

    /// Run only where `rerun` has released it, or the label that stderr tells
    ///
    /// The label has the value of the done label, so that another input waits to be released again.
    #[arg(long, env = "NODE_ANNOTATOR_HOLD", value_parser = BoolishValueParser::new(), help_heading = NODES)]
    hold: bool,

    /// Which taints do not keep pods away: `all`, `none`, or a list with commas; those of the input without
    /// it
    #[arg(long, env = "NODE_ANNOTATOR_TOLERATIONS", value_name = "LIST", help_heading = NODES)]
    tolerations: Option<Tolerations>,

    #[command(flatten)]
    startup_taint: StartupTaintOptions,

    /// The namespace, used for nothing else; `once-NAME` without it
    #[arg(long, env = "NODE_ANNOTATOR_NAMESPACE", help_heading = OBJECTS)]
    namespace: Option<Installation>,

    /// The image of this program, which is copied into the pods
    #[arg(long, env = "NODE_ANNOTATOR_OWN_IMAGE", value_name = "IMAGE", help_heading = OBJECTS)]
    own_image: Option<String>,

    #[command(flatten)]
    pull: PullOptions,

    #[command(flatten)]
    queue: QueueOptions,

    /// Leave the user of our containers to the namespace's range, as OpenShift wants it
    #[arg(long, env = "NODE_ANNOTATOR_OPENSHIFT", value_parser = BoolishValueParser::new(), help_heading = OBJECTS)]
    openshift: bool,

    #[command(flatten)]
    output: OutputOptions,

    /// The command, behind `--`
    #[arg(last = true, value_name = "COMMAND", requires = "image", help_heading = TASK)]
    command: Vec<String>,
}

fn notes() -> String {
    let examples = "\
Examples:
  node-annotator once tune --image busybox --privileged -- sysctl -w vm.max_map_count=262144 | kubectl apply -f -
  node-annotator once agent -f job.yaml --with-config secret.yaml --check 'test -e /host/etc/agent.id'
  node-annotator once zone --image alpine --fact rack -- sh -c 'rack > $NODE_ANNOTATOR_FACTS/rack'
  node-annotator status --namespace once-tune     what became of it on each node
  kubectl delete namespace once-tune              takes its pods away; the labels of the nodes stay";
    format!("{examples}\n\n{}", exit::help("once"))
}

impl OnceCommand {
    pub(super) fn run(&self, registry: &Registry, app: &App) -> anyhow::Result<Exit> {
        let usage = |error| Usage(Trouble::plain(error));
        let input = self.input()?;
        let settings =
            Task::settings(&self.name, &input, &self.options()?, self.base(registry, app)?).map_err(usage)?;
        let manifests = Manifests::new(&settings).map_err(usage)?;
        for note in input.said() {
            eprintln!("note: {note}");
        }
        for note in notes_on(&settings, app) {
            eprintln!("note: {note}");
        }
        self.output.print(&manifests)
    }

    fn input(&self) -> anyhow::Result<Input> {
        let usage = |error| Usage(Trouble::plain(error));
        let mut input = match (&self.image, &self.file) {
            (Some(image), _) => Input::of_command(&self.name, image, &self.command, self.privileged),
            (None, Some(file)) => Input::of_documents(documents(file)?).map_err(usage)?,
            // The command line asks for one of them.
            (None, None) => Input::of_documents(Vec::new()).map_err(usage)?,
        };
        for file in &self.with_config {
            input.add(documents(file)?).map_err(usage)?;
        }
        Ok(input)
    }

    fn options(&self) -> Result<Options, Usage> {
        Ok(Options {
            facts: NamedFacts { names: self.fact.clone(), retired: self.retired_fact.clone(), path: None },
            check: self.check.as_deref().map(words).transpose()?,
            tries: self.tries,
            timeout: self.timeout,
            hides_output: self.no_output,
            is_per_boot: self.per_boot,
            is_held: self.hold,
            is_user_of_namespace: self.openshift,
        })
    }

    /// Everything that is not the input's to say.
    fn base(&self, registry: &Registry, app: &App) -> Result<Settings, Usage> {
        if registry.find(&self.name).is_ok() {
            let what = format!("`{}` is the name of a collector, whose keys it would write", self.name);
            return Err(Usage(Trouble::new(what, "name the task otherwise")));
        }
        let installation = match &self.namespace {
            Some(namespace) => namespace.clone(),
            None => format!("once-{}", self.name)
                .parse()
                .map_err(|error| Usage(Trouble::new(format!("{error}"), "name one with --namespace")))?,
        };
        let image = self.own_image.clone().ok_or_else(|| {
            Usage(Trouble::new(
                format!("which image holds `{}`? --own-image is missing", app.name),
                format!("name it: {} once --own-image REGISTRY/NAME:TAG", own_name(app)),
            ))
        })?;
        // What stands for the task takes its place.
        let selection = registry.iter().next().map(Selection::of).expect("a registry is not empty");
        Ok(Settings {
            prefix: self.keys.prefix.clone(),
            allow_foreign_prefix: self.allow_foreign_prefix,
            mark: self.generation.done_mark(),
            stamp_day: self.stamp.stamp_day,
            startup_taint: self.startup_taint.of(&installation)?,
            installation,
            image,
            image_pull_policy: self.pull.policy(),
            node_selector: map("--node-selector", &self.node_selector)?,
            tolerations: self.tolerations.clone().unwrap_or(Tolerations::Some(Vec::new())),
            queue: self.queue.queue(),
            version: app.version.to_owned(),
            command: command_line(app),
            ..Settings::new(selection)
        })
    }
}

/// What the operator should know of what is printed.
fn notes_on(settings: &Settings, app: &App) -> Vec<String> {
    let Some(task) = &settings.task else { return Vec::new() };
    let mut notes = vec![format!(
        "its pods need the Pod Security level `{}`, which the namespace `{}` admits",
        task.class().as_str(),
        settings.installation
    )];
    if let Some((key, value)) = task.release(settings) {
        notes.push(format!(
            "it waits for nodes that are released, by `{} rerun --namespace {} --all --wait --max-in-flight 5` in waves, or \
             one by one: kubectl label node NODE {key}={value}",
            own_name(app),
            settings.installation
        ));
    } else if settings.node_selector.is_empty() {
        notes.push("it starts on all nodes at once; --node-selector makes a canary".to_owned());
    }
    notes
}

/// A command for a shell, or a list of words.
fn words(text: &str) -> Result<Vec<String>, Usage> {
    if !text.trim_start().starts_with('[') {
        return Ok(["sh", "-c", text].map(str::to_owned).to_vec());
    }
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) if !words.is_empty() => Ok(words),
        _ => Err(Usage(Trouble::new(
            format!("--check `{text}` begins as a list and is none"),
            r#"write it as `["/bin/agent", "--is-registered"]`, or as a command for a shell"#,
        ))),
    }
}

/// The documents of a file, or of stdin.
fn documents(path: &Path) -> Result<Vec<Value>, Usage> {
    let shown = if path == Path::new("-") { "stdin".to_owned() } else { format!("`{}`", path.display()) };
    let unusable = |error: String, hint: &str| Usage(Trouble::new(error, hint.to_owned()));
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = text.map_err(|error| {
        unusable(format!("cannot read {shown}: {error}"), "name a file with a manifest, or `-`")
    })?;
    let options = serde_saphyr::options! {
        // As kubectl reads them: modes of files are written so.
        legacy_octal_numbers: true,
    };
    let documents = serde_saphyr::from_multiple_with_options(&text, options);
    documents.map_err(|error| {
        let place = error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
        unusable(
            format!("{shown} is no YAML{}", place.unwrap_or_default()),
            "it is a manifest, as for `kubectl apply -f`",
        )
    })
}
