//! What all commands for a fleet share: how to reach the cluster, and which nodes and collectors are meant.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use node_annotator_core::{Prefix, PrivilegeClass, Registry};
use node_annotator_deploy::Installation;

use crate::app::App;
use crate::cli::Usage;
use crate::cli::options::{CLUSTER, ClusterOptions, KeyOptions, OUTPUT, duration};
use crate::cluster;
use crate::exit::Exit;
use crate::operator::condition::{Condition, Key};
use crate::operator::fleet::grouping::Grouping;
use crate::operator::fleet::installed::{Events, Installed};
use crate::operator::fleet::selection::{Collectors, Names, Nodes};
use crate::operator::fleet::state::Oldest;
use crate::operator::lists::Reader;
use crate::operator::table::Form;
use crate::process;
use crate::process::stop::Stop;
use crate::process::watchdog::{LastWords, Watchdog};
use crate::trouble::Trouble;

const SELECTION: &str = "Selection";

/// How to reach the cluster, as kubectl has it.
#[derive(Debug, Args)]
#[command(next_help_heading = CLUSTER)]
pub(super) struct ConnectionOptions {
    #[command(flatten)]
    cluster: ClusterOptions,

    /// The context of the kubeconfig, instead of its current one
    #[arg(long, env = "NODE_ANNOTATOR_CONTEXT", value_name = "NAME")]
    context: Option<String>,

    /// Act as this user
    #[arg(long = "as", env = "NODE_ANNOTATOR_AS", value_name = "USER")]
    user: Option<String>,

    /// How long each answer may take
    #[arg(
        long,
        env = "NODE_ANNOTATOR_REQUEST_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration
    )]
    request_timeout: Duration,
}

impl ConnectionOptions {
    pub(super) async fn reader(&self, app: &App) -> Result<Reader, Trouble> {
        let Self { cluster, context, user, request_timeout } = self;
        let kubeconfig = cluster.kubeconfig.as_deref();
        let mut config = cluster::configuration_of(kubeconfig, context.as_deref(), &app.user_agent()).await?;
        if user.is_some() {
            config.auth_info.impersonate.clone_from(user);
        }
        Ok(Reader::new(cluster::listing_client_off_thread(config).await?, Some(*request_timeout)))
    }
}

/// Which nodes, of which installation.
#[derive(Debug, Args)]
#[command(next_help_heading = SELECTION)]
pub(super) struct NodesOptions {
    /// These nodes alone: names with commas, or sets such as `worker-[001-120]`
    #[arg(long, env = "NODE_ANNOTATOR_NODES", value_name = "LIST")]
    nodes: Option<Names>,

    /// Nodes with these labels alone, as kubectl takes them
    #[arg(short = 'l', long, env = "NODE_ANNOTATOR_SELECTOR", value_name = "LABELS")]
    selector: Option<String>,

    /// Nodes of which this holds alone: comparisons of facts and labels, such as `kernel.major < 6`
    ///
    /// With `==` `!=` `<` `<=` `>` `>=`, `contains`, `in (A, B)`, and between them `and`, `or`, `not` and
    /// brackets. A key alone asks whether there is a value. A fact compares as what it is declared to be, as
    /// `explain` shows: numbers, versions, bytes (`4Gi`), lists. A key with a slash is a label, and so is one
    /// that no collector has.
    #[arg(long = "where", env = "NODE_ANNOTATOR_WHERE", value_name = "CONDITION")]
    condition: Option<String>,

    #[command(flatten)]
    keys: KeyOptions,

    #[command(flatten)]
    connection: ConnectionOptions,
}

impl NodesOptions {
    pub(super) fn nodes(&self, registry: &Registry) -> Result<Nodes, Usage> {
        let condition = self.condition.as_ref().map(|text| Condition::parse(text, registry)).transpose();
        let refused = |error| Usage(Trouble::plain(format_args!("--where cannot be read: {error}")));
        Ok(Nodes {
            names: self.nodes.clone(),
            labels: self.selector.clone(),
            condition: condition.map_err(refused)?,
        })
    }

    pub(super) fn prefix(&self) -> &Prefix {
        &self.keys.prefix
    }

    pub(super) async fn reader(&self, app: &App) -> Result<Reader, Trouble> {
        self.connection.reader(app).await
    }
}

/// Which collectors.
#[derive(Debug, Args)]
pub(super) struct CollectorsOptions {
    /// These collectors alone: names with commas; `-NAME` takes away. All that are there by default
    #[arg(long, env = "NODE_ANNOTATOR_COLLECTORS", value_name = "LIST", allow_hyphen_values = true, help_heading = SELECTION)]
    collectors: Option<String>,
}

impl CollectorsOptions {
    pub(super) fn collectors(&self, registry: &Registry) -> Result<Collectors, Usage> {
        let collectors = self.collectors.as_ref().map(|list| Collectors::parse(list, registry)).transpose();
        Ok(collectors.map_err(|error| Usage(Trouble::plain(error)))?.unwrap_or_default())
    }
}

/// Which nodes are meant to be alike.
#[derive(Debug, Args)]
pub(super) struct GroupOptions {
    /// Compare nodes with equal values of these facts and labels; `none` compares all. By default nodes of
    /// one pool, as clouds and autoscalers label them
    #[arg(long, env = "NODE_ANNOTATOR_GROUP_BY", value_name = "FACTS", help_heading = SELECTION)]
    group_by: Option<String>,
}

impl GroupOptions {
    pub(super) fn grouping(&self, registry: &Registry) -> Result<Grouping, Usage> {
        Ok(match self.group_by.as_deref() {
            None => Grouping::Pool,
            Some("none") => Grouping::None,
            Some(list) => Grouping::Keys(keys(list, registry)?),
        })
    }
}

/// Which nodes and collectors, of which installation.
#[derive(Debug, Args)]
#[command(next_help_heading = SELECTION)]
pub(super) struct FleetOptions {
    #[command(flatten)]
    nodes: NodesOptions,

    #[command(flatten)]
    collectors: CollectorsOptions,

    /// The namespace that it is installed in, as given to `manifests`
    #[arg(long, env = "NODE_ANNOTATOR_NAMESPACE", default_value_t, help_heading = CLUSTER)]
    namespace: Installation,
}

/// The same, read and held against the registry.
pub(super) struct Meant {
    pub(super) nodes: Nodes,
    pub(super) collectors: Collectors,
}

impl FleetOptions {
    pub(super) fn meant(&self, registry: &Registry) -> Result<Meant, Usage> {
        Ok(Meant { nodes: self.nodes.nodes(registry)?, collectors: self.collectors.collectors(registry)? })
    }

    pub(super) async fn reader(&self, app: &App) -> Result<Reader, Trouble> {
        self.nodes.reader(app).await
    }

    pub(super) async fn installed(
        &self,
        reader: &Reader,
        registry: &Registry,
        events: Events,
    ) -> Result<Installed, Trouble> {
        Installed::read(reader, &self.namespace, self.nodes.prefix(), registry, events).await
    }
}

impl FleetOptions {
    /// Whether anything says which nodes or collectors are meant.
    pub(super) fn names_something(&self) -> bool {
        let NodesOptions { nodes, selector, condition, .. } = &self.nodes;
        nodes.is_some() || selector.is_some() || condition.is_some() || self.collectors.collectors.is_some()
    }

    pub(super) fn installation(&self) -> &Installation {
        &self.namespace
    }

    pub(super) fn prefix(&self) -> &Prefix {
        self.nodes.prefix()
    }

    pub(super) fn namespaces(&self) -> [String; 2] {
        [PrivilegeClass::Restricted, PrivilegeClass::Privileged].map(|class| self.namespace.namespace(class))
    }
}

/// When facts count as too old.
#[derive(Debug, Args)]
pub(super) struct AgeOptions {
    /// Facts that are older than so many days count as stale, such as `30d`; needs --stamp-day
    #[arg(long, env = "NODE_ANNOTATOR_MAX_AGE", value_name = "DAYS", value_parser = days, help_heading = SELECTION)]
    max_age: Option<u16>,
}

impl AgeOptions {
    pub(super) fn oldest(&self) -> Oldest {
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        Oldest(self.max_age.map(|days| today.checked_sub(i64::from(days).days()).unwrap_or(Date::MIN)))
    }
}

pub(super) fn days(text: &str) -> Result<u16, String> {
    let number = text.trim().strip_suffix('d').and_then(|days| days.parse().ok());
    number.ok_or_else(|| "not a number of days: write it as `30d`".to_owned())
}

/// What is printed.
#[derive(Debug, Args)]
#[command(next_help_heading = OUTPUT)]
pub(super) struct FormOptions {
    /// What to print on stdout
    #[arg(short, long, env = "NODE_ANNOTATOR_OUTPUT", value_name = "FORMAT", default_value = "table")]
    pub(super) output: Form,
}

/// Facts and labels, as columns.
pub(super) fn keys(list: &str, registry: &Registry) -> Result<Vec<Key>, Usage> {
    let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| Key::parse(word, registry).map_err(|error| Usage(Trouble::plain(error)))).collect()
}

/// Does the work of a command that writes: a first SIGINT or SIGTERM lets what is under way come to its end,
/// and seconds later the process ends in any case.
pub(super) fn with_stop<W>(work: impl FnOnce(Stop) -> W) -> anyhow::Result<Exit>
where
    W: Future<Output = anyhow::Result<Exit>>,
{
    let last_words = || LastWords { code: Exit::Unfinished.code(), message: "stopped before all was told" };
    let (watchdog, stop) = Watchdog::start(last_words).context("cannot handle signals")?;
    let done = run(work(stop));
    drop(watchdog);
    done
}

/// Does the work of a command. What the cluster refuses is no defect.
pub(super) fn run(work: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    process::block_on(work)?.or_else(|error| {
        let trouble = error.downcast::<Trouble>()?;
        eprintln!("error: {trouble}");
        Ok(Exit::Unfinished)
    })
}
