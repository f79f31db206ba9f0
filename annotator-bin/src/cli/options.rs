//! Groups of options that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use jiff::SignedDuration;
use node_annotator_core::{
    DoneMark, Generation, GiveUpAfter, LabelFacts, NamedFacts, Prefix, Registry, Selection,
};

use super::Usage;
use crate::output::Format;
use crate::process::logging::{LogFormat, LogLevel};
use crate::trouble::Trouble;

pub(super) const COLLECTORS: &str = "Collectors";
pub(super) const KEYS: &str = "Keys";
pub(super) const CLUSTER: &str = "Cluster";
pub(super) const OUTPUT: &str = "Output";

/// Nothing here waits longer than a day: the kubelet's restart is the longer wait.
const LONGEST: Duration = Duration::from_hours(24);

/// Which collectors.
#[derive(Debug, Args)]
#[command(next_help_heading = COLLECTORS)]
pub(super) struct SelectionOptions {
    /// What to run: names, `default`, `all`; `-NAME` takes away
    ///
    /// A list with commas, in any order: `kernel,cpu-model`, `all,-kernel`. A list that only takes away
    /// starts from `default`. `node-annotator list` shows the names.
    #[arg(
        long,
        env = "NODE_ANNOTATOR_COLLECTORS",
        value_name = "LIST",
        default_value = "default",
        allow_hyphen_values = true
    )]
    collectors: String,

    /// A fact that the files in --facts-dir hold, for the collector `files`; may be repeated, or be a list
    ///
    /// Without it only the names of the files are written: what is not named here could not be deleted when
    /// it is gone.
    #[arg(long, env = FACT_VARIABLE, value_name = "NAME", value_delimiter = ',')]
    fact: Vec<String>,

    /// A fact that an earlier set named with --fact, and which is deleted; may be repeated, or be a list
    #[arg(long, env = RETIRED_FACT_VARIABLE, value_name = "NAME", value_delimiter = ',')]
    retired_fact: Vec<String>,

    /// The directory of the node that holds files of facts: `*.json`, `*.yaml`, `*.env`
    #[arg(long, env = FACTS_DIR_VARIABLE, value_name = "DIR")]
    facts_dir: Option<String>,
}

const FACT_VARIABLE: &str = "NODE_ANNOTATOR_FACT";
const RETIRED_FACT_VARIABLE: &str = "NODE_ANNOTATOR_RETIRED_FACT";
const FACTS_DIR_VARIABLE: &str = "NODE_ANNOTATOR_FACTS_DIR";

impl SelectionOptions {
    /// The collectors that the list names, with the facts that the operator names.
    pub(super) fn selection(&self, registry: &Registry) -> Result<Selection, Usage> {
        let selection =
            Selection::parse(&self.collectors, registry).map_err(|error| Usage(Trouble::plain(error)))?;
        let named = NamedFacts {
            names: self.fact.clone(),
            retired: self.retired_fact.clone(),
            path: self.facts_dir.clone(),
        };
        if named == NamedFacts::default() {
            return Ok(selection);
        }
        let with_facts = selection.with_named_facts(&named).map_err(|error| Usage(Trouble::plain(error)))?;
        with_facts.ok_or_else(|| {
            Usage(Trouble::new(
                "--fact, --retired-fact and --facts-dir are for the collector `files`, which is not selected",
                "add it to the list: --collectors default,files",
            ))
        })
    }

    /// The variables by which a pod is told the same.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, String)> {
        let variables = [
            (FACT_VARIABLE, self.fact.join(",")),
            (RETIRED_FACT_VARIABLE, self.retired_fact.join(",")),
            (FACTS_DIR_VARIABLE, self.facts_dir.clone().unwrap_or_default()),
        ];
        variables
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value))
    }
}

/// How keys are spelled.
#[derive(Debug, Args)]
#[command(next_help_heading = KEYS)]
pub(super) struct KeyOptions {
    /// The domain that all keys begin with: PREFIX/COLLECTOR, PREFIX/COLLECTOR.FACT
    #[arg(long, env = "NODE_ANNOTATOR_PREFIX", default_value_t)]
    pub(super) prefix: Prefix,
}

/// What the done labels say.
#[derive(Debug, Args)]
#[command(next_help_heading = KEYS)]
pub(super) struct GenerationOptions {
    /// The value of the done labels, instead of `saved`
    ///
    /// A DaemonSet that is keyed on a generation runs on every node whose label has another value: pick a new
    /// one, such as a date or a version, and the whole fleet runs again. Going back to an earlier one, or to
    /// an earlier version, runs it again too. Behind the generation of a collector in a later revision stands
    /// `.r` and its number, so that no generation may end so.
    #[arg(long, env = "NODE_ANNOTATOR_GENERATION", value_name = "VALUE")]
    generation: Option<Generation>,
}

/// What is written beside the facts.
#[derive(Debug, Args)]
#[command(next_help_heading = KEYS)]
pub(super) struct StampOptions {
    /// Write beside the facts of each collector on which day, by UTC, they were read:
    /// PREFIX/COLLECTOR.collected-at
    ///
    /// A run that finds the same as before then changes the Node all the same, once a day.
    #[arg(long, env = "NODE_ANNOTATOR_STAMP_DAY", value_parser = BoolishValueParser::new())]
    pub(super) stamp_day: bool,
}

/// Which facts are labels too.
#[derive(Debug, Args)]
#[command(next_help_heading = KEYS)]
pub(super) struct LabelOptions {
    /// Facts that are labels too, for schedulers to select on: `cpu-model.isa-level,virt`
    ///
    /// A label has the key of the annotation, and that of a primary fact PREFIX/COLLECTOR.value. Characters
    /// that a label cannot have become `_`. Facts that differ on every node, and text for people, are
    /// refused. `nfd` stands for a fixed list of the labels of Node Feature Discovery, where that does not
    /// run: docs/labels.md has it. May be repeated, or be a list with commas.
    #[arg(long, env = "NODE_ANNOTATOR_LABELS", value_name = "LIST", value_delimiter = ',')]
    labels: Vec<String>,
}

impl LabelOptions {
    /// The facts that the list names, of the collectors that run.
    pub(super) fn labels(&self, selection: &Selection) -> Result<LabelFacts, Usage> {
        let collectors: Vec<_> = selection.iter().collect();
        LabelFacts::parse(self.labels.iter().map(String::as_str), &collectors)
            .map_err(|error| Usage(Trouble::plain(error)))
    }
}

impl GenerationOptions {
    pub(super) fn done_mark(&self) -> DoneMark {
        self.generation.clone().map_or(DoneMark::Saved, DoneMark::Generation)
    }
}

/// How to reach the cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = CLUSTER)]
pub(super) struct ClusterOptions {
    /// The kubeconfig to use, instead of the pod's service account or KUBECONFIG
    #[arg(long, env = "NODE_ANNOTATOR_KUBECONFIG", value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
}

/// What is printed.
#[derive(Debug, Args)]
#[command(next_help_heading = OUTPUT)]
pub(super) struct OutputOptions {
    /// What to print on stdout
    #[arg(short, long, env = "NODE_ANNOTATOR_OUTPUT", value_name = "FORMAT", default_value = "text")]
    pub(super) output: Format,
}

/// What is logged.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
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

/// A duration, or `never`.
pub(super) fn give_up_after(text: &str) -> Result<GiveUpAfter, String> {
    match text.trim() {
        "never" => Ok(GiveUpAfter::Never),
        text => duration(text).map(GiveUpAfter::Time).map_err(|error| format!("{error}, or `never`")),
    }
}

/// `90s`, `1m 30s`, `10m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "not a duration: write it as `30s`, `1m 30s` or `10m`".to_owned())?;
    match Duration::try_from(duration) {
        Ok(duration) if duration > LONGEST => Err("nothing waits longer than `24h`".to_owned()),
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a duration must be longer than zero".to_owned()),
    }
}
