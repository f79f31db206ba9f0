//! The command line: a file for each command, and the groups of options that they share.

mod identity;
mod once;
#[cfg(feature = "operator")]
mod operator;
mod options;
mod run;
mod variables;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use node_annotator_core::{Environment, Registry};

use crate::app::App;
use crate::exit::Exit;
use crate::node::job::Job;
use crate::process;
use crate::trouble::Trouble;

/// Reads facts about this node once, and writes them on the Node in one request.
///
/// The facts become annotations: `PREFIX/COLLECTOR` and `PREFIX/COLLECTOR.FACT`. In the same request each
/// collector that is done sets its done label `PREFIX/COLLECTOR`; one that failed sets the annotation
/// `PREFIX/COLLECTOR.error` instead, and leaves what an earlier run wrote.
///
/// A DaemonSet whose nodeAffinity excludes nodes with the done label then takes the pod away: run once per
/// node, nothing left running. Remove the label from a node, and it runs there again.
///
/// Without a command it runs: `node-annotator --dry-run` is `node-annotator run --dry-run`. Every option is
/// an environment variable too; one that is set to nothing counts as unset.
#[derive(Debug, Parser)]
#[command(name = App::STOCK.name, version = App::STOCK.long_version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Collect on this node, and write the Node
    Run(Box<run::RunCommand>),
    #[command(flatten)]
    Once(once::OnceCommand),
    #[cfg(feature = "operator")]
    #[command(flatten)]
    Operator(operator::OperatorCommand),
}

/// The definition of the stock binary's command line, for its reference.
pub fn command() -> clap::Command {
    command_of(&App::STOCK)
}

/// The definition of a binary's command line.
fn command_of(app: &App) -> clap::Command {
    let command = identity::of_app(Cli::command(), app);
    variables::without_empty_variables(command)
}

impl App {
    /// The whole of the binary: reads the command line, does what it says, and returns the exit code.
    pub fn main(&self) -> ExitCode {
        process::guarded(|| match Cli::read(self, std::env::args_os()).map(|cli| cli.execute(self)) {
            Ok(Err(error)) => error.downcast::<Usage>().map(|usage| usage.into_clap().tell()),
            Ok(done) => done,
            Err(error) => Ok(error.tell()),
        })
        .into()
    }
}

/// What a container with these collectors, arguments (without the program's name) and this environment would
/// run.
pub fn job(
    registry: &Registry,
    arguments: impl IntoIterator<Item = OsString>,
    environment: Environment,
) -> Result<Job, clap::Error> {
    let cli = Cli::read(&App::STOCK, std::iter::once(App::STOCK.name.into()).chain(arguments))?;
    match cli.command {
        Command::Run(run) => run.job(environment, registry, &App::STOCK).map_err(Usage::into_clap),
        Command::Once(_) => {
            Err(Usage(Trouble::plain("a container of a task runs in a pod alone")).into_clap())
        }
        #[cfg(feature = "operator")]
        Command::Operator(_) => Err(Usage(Trouble::plain("a container of ours runs `run`")).into_clap()),
    }
}

impl Cli {
    fn read(app: &App, arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut arguments: Vec<_> = arguments.into_iter().collect();
        if arguments.is_empty() {
            arguments.push(app.name.into());
        }
        let is_bare = is_bare(arguments.get(1));
        if is_bare {
            arguments.insert(1, "run".into());
        }
        let mut command = command_of(app);
        let matches = command.try_get_matches_from_mut(arguments);
        let matches =
            matches.map_err(|error| if is_bare { with_command_first(app, error) } else { error })?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }

    fn execute(&self, app: &App) -> anyhow::Result<Exit> {
        let registry = Registry::from_inventory()?;
        match &self.command {
            Command::Run(command) => command.run(&registry, app),
            Command::Once(command) => command.run(&registry, app),
            #[cfg(feature = "operator")]
            Command::Operator(command) => command.run(&registry, app),
        }
    }
}

/// Whether no command is named. DaemonSets and shells may give the options of `run` alone.
fn is_bare(first: Option<&OsString>) -> bool {
    first.is_none_or(|first| {
        first.as_encoded_bytes().starts_with(b"-")
            && !["-h", "--help", "-V", "--version"].iter().any(|about| first == about)
    })
}

/// Says where the command belongs, if one was given behind options.
fn with_command_first(app: &App, error: clap::Error) -> clap::Error {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) if Cli::command().find_subcommand(argument).is_some() => {
            let what = format!("the command `{argument}` comes after options");
            let hint = format!("put it first: {} {argument} [OPTIONS]", own_name(app));
            Usage(Trouble::new(what, hint)).into_clap()
        }
        _ => error,
    }
}

/// What this binary is called: with collectors of its own it may have a name of its own.
fn own_name(app: &App) -> String {
    let path = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_name().map_or_else(|| app.name.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The options contradict each other, or the registry.
#[derive(Debug)]
struct Usage(Trouble);

impl Usage {
    /// In the form in which clap tells of everything else that is wrong with the command line.
    fn into_clap(self) -> clap::Error {
        let text = format!("{}\n\nFor more information, try '--help'.\n", self.0);
        clap::Error::raw(ErrorKind::ValueValidation, text)
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Usage {}

/// What clap has to say: help, the version, or an error.
trait Tell {
    /// Prints it, and returns the exit code.
    fn tell(&self) -> Exit;
}

impl Tell for clap::Error {
    fn tell(&self) -> Exit {
        // A reader that has gone away is not an error.
        let _ = self.print();
        if self.use_stderr() { Exit::Usage } else { Exit::Done }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_every_command_has_a_variable_named_after_it() {
        let command = Cli::command();
        command.clone().debug_assert();
        let options = check(&command);
        assert!(options >= 16, "{options}");
    }

    /// Checks a command and those below it, and counts their options.
    fn check(command: &clap::Command) -> usize {
        let mut options = 0;
        // The variables of its container are the operator's, and steer nothing of ours.
        if command.get_name() == "once-step" {
            assert!(command.get_opts().all(|option| option.get_env().is_none()));
            return options;
        }
        for option in command.get_opts() {
            let flag = option.get_long().expect("no option is short alone");
            // The image of `once` is another than that of `manifests`.
            if (command.get_name(), flag) == ("once", "image") {
                assert!(option.get_env().is_none());
                continue;
            }
            let variable = match flag {
                "node-name" => "NODE_NAME".to_owned(),
                flag => format!("NODE_ANNOTATOR_{}", flag.to_uppercase().replace('-', "_")),
            };
            let named = option.get_env().and_then(|name| name.to_str());
            assert_eq!(named, Some(variable.as_str()), "{} --{flag}", command.get_name());
            options += 1;
        }
        options + command.get_subcommands().map(check).sum::<usize>()
    }
}
