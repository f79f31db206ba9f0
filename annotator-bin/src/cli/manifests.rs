//! `manifests`: the generator's settings as flags.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use node_annotator_core::fact::clean;
use node_annotator_core::{DoneMark, Generation, Prefix, Registry, Selection};
use node_annotator_deploy::{
    DEFAULT_IMAGE, ImagePullPolicy, Installation, Layout, Manifests, PolicyMode, Settings,
};

use super::own_name;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct ManifestOptions {
    /// What the DaemonSets run: names, `default`, `all`; `-NAME` takes away
    #[arg(long, value_name = "LIST", default_value = "default", allow_hyphen_values = true)]
    collectors: String,

    /// The domain that all keys begin with
    #[arg(long, env = "NODE_ANNOTATOR_PREFIX", default_value_t)]
    prefix: Prefix,

    /// The value of the done labels; a new one runs the whole fleet again
    #[arg(long, value_name = "VALUE")]
    generation: Option<Generation>,

    /// The namespace, used for nothing else; what needs more rights goes into NAMESPACE-privileged
    #[arg(long, default_value_t)]
    namespace: Installation,

    /// The image
    #[arg(long, default_value = DEFAULT_IMAGE)]
    image: String,

    /// When the kubelet pulls the image
    #[arg(long, value_name = "POLICY", default_value = "IfNotPresent")]
    image_pull_policy: PullPolicy,

    /// A Secret with credentials for the image; may be repeated
    #[arg(long, value_name = "NAME")]
    image_pull_secret: Vec<String>,

    /// One DaemonSet per privilege class instead of one per collector
    #[arg(long)]
    combined: bool,

    /// A label that a node must have; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    node_selector: Vec<(String, String)>,

    /// Leave out the nodes of the control plane
    #[arg(long)]
    exclude_control_plane: bool,

    /// Ask metadata services from the host network, where pods cannot reach them
    #[arg(long)]
    host_network: bool,

    /// A variable that a selected collector reads, as `explain` shows; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    env: Vec<(String, String)>,

    /// Leave out the admission policy: the token of any pod may then change every node
    #[arg(long)]
    no_policy: bool,

    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: ManifestFormat,
}

const EXAMPLES: &str = "\
Examples:
  node-annotator manifests | kubectl apply -f -
  node-annotator manifests --collectors kernel --image registry.example.com/node-annotator:1.0
  node-annotator manifests --generation 2 | kubectl apply -f -     every node runs again";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ManifestFormat {
    /// Documents to read and to apply
    Yaml,
    /// One List
    Json,
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

/// The manifests as text; the error is a usage message.
pub(super) fn render(options: &ManifestOptions, registry: &Registry) -> Result<String, String> {
    let settings = settings(options, registry)?;
    let manifests = Manifests::new(&settings).map_err(|error| error.to_string())?;
    for warning in manifests.warnings() {
        eprintln!("warning: {warning}");
    }
    let text = match options.output {
        ManifestFormat::Yaml => manifests.yaml(),
        ManifestFormat::Json => manifests.json(),
    };
    text.map_err(|error| error.to_string())
}

fn settings(options: &ManifestOptions, registry: &Registry) -> Result<Settings, String> {
    // All by name: a flag that is added cannot be forgotten here.
    let ManifestOptions {
        collectors,
        prefix,
        generation,
        namespace,
        image,
        image_pull_policy,
        image_pull_secret,
        combined,
        node_selector,
        exclude_control_plane,
        host_network,
        env,
        no_policy,
        output: _,
    } = options;
    Ok(Settings {
        selection: Selection::parse(collectors, registry).map_err(|error| error.to_string())?,
        prefix: prefix.clone(),
        mark: generation.clone().map_or(DoneMark::Saved, DoneMark::Generation),
        installation: namespace.clone(),
        image: image.clone(),
        image_pull_policy: image_pull_policy.0,
        image_pull_secrets: image_pull_secret.clone(),
        layout: if *combined { Layout::Combined } else { Layout::PerCollector },
        node_selector: node_selector.iter().cloned().collect(),
        exclude_control_plane: *exclude_control_plane,
        host_network: *host_network,
        environment: env.iter().cloned().collect(),
        policy: if *no_policy { PolicyMode::Omitted } else { PolicyMode::Enforced },
        command: command_line(),
    })
}

/// The command that was given, for the first line of the output.
fn command_line() -> String {
    const LONGEST: usize = 400;
    let arguments = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    clean(&format!("{} {arguments}", own_name()), LONGEST)
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("an `=` is missing")?;
    Ok((name.to_owned(), value.to_owned()))
}
