//! One run as its flags and environment ask for it: what the process does, and what whoever embeds the library half calls.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::{BoolishValueParser, Resettable, TypedValueParser as _};
use clap::{Arg, ArgAction, CommandFactory, FromArgMatches};
use node_annotator_core::{Context, Environment, Registry};

use super::Cli;
use super::options::RunOptions;
use crate::cluster;
use crate::exit::Exit;
use crate::output::Format;
use crate::run::{Finished, Settings, linger, run};
use crate::stop::Stop;
use crate::termination;

/// One run, ready to start.
#[derive(Debug)]
pub struct Invocation {
    pub(super) settings: Settings,
    pub(super) output: Format,
    pub(super) termination_message_path: PathBuf,
    kubeconfig: Option<PathBuf>,
    context: Arc<Context>,
}

impl Invocation {
    /// What a container with these arguments (without the program's name) and this environment would run.
    ///
    /// The environment of this process is not looked at. The error is a usage message.
    pub fn parse(arguments: &[String], environment: &BTreeMap<String, String>) -> Result<Self, String> {
        let command = Cli::command().args_override_self(true);
        let from_environment: Vec<_> =
            command.get_opts().filter_map(|option| to_argument(option, environment)).collect();
        let matches = command
            .mut_args(|option| option.env(Resettable::Reset))
            .try_get_matches_from(
                ["node-annotator".to_owned()].iter().chain(&from_environment).chain(arguments),
            )
            .map_err(|error| error.to_string())?;
        let options = Cli::from_arg_matches(&matches).map_err(|error| error.to_string())?.run;
        let registry = Registry::from_inventory().map_err(|error| error.to_string())?;
        let kubeconfig = environment.get("KUBECONFIG").map(PathBuf::from);
        let variables = environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let invocation = Self::new(&options, variables.collect(), &registry)?;
        Ok(Self { kubeconfig: invocation.kubeconfig.or(kubeconfig), ..invocation })
    }

    /// Holds the flags against each other and against the registry; the error is a usage message.
    pub(super) fn new(
        options: &RunOptions,
        environment: Environment,
        registry: &Registry,
    ) -> Result<Self, String> {
        Ok(Self {
            settings: options.settings(registry)?,
            output: options.output,
            termination_message_path: options.termination_message_path.clone(),
            kubeconfig: options.kubeconfig.clone(),
            context: Arc::new(options.context(environment)),
        })
    }

    /// Collects, publishes, and writes the termination message.
    pub(super) async fn run(&self, stop: &Stop) -> Finished {
        let connect = async || cluster::configuration(self.kubeconfig.as_deref()).await;
        let finished = run(&self.settings, Arc::clone(&self.context), connect, stop).await;
        let message = termination::message(finished.exit, finished.error.as_ref(), finished.report.as_ref());
        termination::write(&self.termination_message_path, &message);
        finished
    }

    /// Waits to be taken away, if that was asked for and the run was a success.
    pub(super) async fn linger(&self, exit: Exit, stop: &Stop) {
        if let (Exit::Done, Some(limit)) = (exit, self.settings.linger) {
            linger(limit, stop).await;
        }
    }

    /// Does all that the process would do but printing, and returns its exit code.
    pub async fn run_to_end(&self, stop: &Stop) -> Exit {
        let exit = self.run(stop).await.exit;
        self.linger(exit, stop).await;
        exit
    }
}

/// The option as an argument, if its variable is set to something.
fn to_argument(option: &Arg, environment: &BTreeMap<String, String>) -> Option<String> {
    let value = environment.get(option.get_env()?.to_str()?).filter(|value| !value.trim().is_empty())?;
    let flag = option.get_long()?;
    if !matches!(option.get_action(), ArgAction::SetTrue) {
        return Some(format!("--{flag}={value}"));
    }
    let is_true = BoolishValueParser::new().parse_ref(&Cli::command(), Some(option), value.as_ref());
    is_true.unwrap_or(true).then(|| format!("--{flag}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn variables_stand_behind_arguments() {
        let variables = environment(&[
            ("NODE_NAME", "n1"),
            ("NODE_ANNOTATOR_LINGER", "1"),
            ("NODE_ANNOTATOR_DRY_RUN", "false"),
            ("NODE_ANNOTATOR_PREFIX", "facts.example.com"),
            ("NODE_ANNOTATOR_GENERATION", " "),
            ("KUBECONFIG", "/pod/kubeconfig"),
        ]);
        let arguments = ["--prefix".to_owned(), "other.example.com".to_owned()];
        // Without a registered collector nothing can be selected; everything before that is what is tried here.
        let options = Invocation::parse(&arguments, &variables);
        assert!(options.unwrap_err().contains("no collector is linked"));
        let argument = |flag: &str| {
            let command = Cli::command();
            command
                .get_opts()
                .find(|option| option.get_long() == Some(flag))
                .and_then(|option| to_argument(option, &variables))
        };
        assert_eq!(argument("node-name").as_deref(), Some("--node-name=n1"));
        assert_eq!(argument("linger").as_deref(), Some("--linger"));
        assert_eq!(argument("dry-run"), None);
        assert_eq!(argument("generation"), None);
        assert_eq!(argument("deadline"), None);
    }
}
