//! The command line, and the process around a run.

mod doctor;
mod invocation;
mod manifests;
mod options;

use std::panic::{UnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use node_annotator_core::{Collector, Prefix, Registry};

use self::doctor::DoctorOptions;
pub use self::invocation::Invocation;
use self::manifests::ManifestOptions;
use self::options::{LogOptions, RunOptions, process_environment, with_tame_variables};
use crate::exit::Exit;
use crate::output::{Format, print, render};
use crate::run::Failure;
use crate::stop::Stop;
use crate::watchdog::{LastWords, Watchdog};
use crate::{catalogue, logging, termination};

/// Reads facts about this node once, and writes them on the Node in one request.
///
/// The facts become annotations: `PREFIX/COLLECTOR` and `PREFIX/COLLECTOR.FACT`. In the same request each collector that is
/// done sets its done label `PREFIX/COLLECTOR`; one that failed sets the annotation `PREFIX/COLLECTOR.error` instead, and
/// leaves what an earlier run wrote.
///
/// A DaemonSet whose nodeAffinity excludes nodes with the done label then takes the pod away: run once per node, nothing
/// left running. Remove the label from a node, and it runs there again.
///
/// Every option is an environment variable too; one that is set to nothing counts as unset.
#[derive(Debug, Parser)]
#[command(
    name = "node-annotator",
    version,
    args_conflicts_with_subcommands = true,
    after_help = EXAMPLES,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunOptions,
    #[command(flatten)]
    log: LogOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the collectors
    List {
        /// What to print
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Format,
        /// The domain that all keys begin with, as shown in JSON
        #[arg(long, env = "NODE_ANNOTATOR_PREFIX", default_value_t)]
        prefix: Prefix,
    },
    /// Explain a collector: its facts, their keys, what it needs
    Explain {
        /// The collector's name, as `list` shows it
        name: String,
        /// What to print
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Format,
        /// The domain that all keys begin with
        #[arg(long, env = "NODE_ANNOTATOR_PREFIX", default_value_t)]
        prefix: Prefix,
    },
    /// Print the Kubernetes manifests for a choice of collectors
    Manifests(ManifestOptions),
    /// Check an installation in its cluster: policy, rights, DaemonSets
    Doctor(DoctorOptions),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

const EXAMPLES: &str = "\
Examples:
  node-annotator --dry-run                            this machine's facts, no cluster asked
  node-annotator --dry-run -o json --collectors all,-kernel
  node-annotator --collectors kernel --node-name worker-1
  node-annotator list                                 all collectors
  node-annotator explain cpu-model                    its facts, their keys, what it needs

Exit codes:
  0  done, and written on the Node unless --dry-run
  1  unexpected: a defect, or an output that cannot be written
  2  the command line is wrong; nothing was run
  3  written, but some collectors failed or timed out
  4  nothing was written on the Node";

/// The definition of the command line, for its reference.
pub fn command() -> clap::Command {
    with_tame_variables(Cli::command())
}

/// The whole of the binary: reads the command line, does what it says, and returns the exit code.
pub fn main() -> ExitCode {
    guarded(|| execute(&Cli::read())).into()
}

/// A defect has an exit code, too: what panicked has been said by the panic hook, and a collector's panic does not come this far.
fn guarded(work: impl FnOnce() -> anyhow::Result<Exit> + UnwindSafe) -> Exit {
    catch_unwind(work).unwrap_or(Ok(Exit::Unexpected)).unwrap_or_else(|error| {
        // The last resort, and perhaps before logging has begun.
        eprintln!("error: {error:#}");
        Exit::Unexpected
    })
}

impl Cli {
    fn read() -> Self {
        let mut command = command();
        let matches = command.get_matches_mut();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

fn execute(cli: &Cli) -> anyhow::Result<Exit> {
    let Cli { command, run, log } = cli;
    let registry = Registry::from_inventory()?;
    let text = match command {
        None => return start(run, log, &registry),
        Some(Command::List { output, prefix }) => catalogue::list(&registry, prefix, *output),
        Some(Command::Explain { name, output, prefix }) => {
            catalogue::explain(named(name, &registry), prefix, *output)
        }
        Some(Command::Manifests(options)) => {
            manifests::render(options, &registry).unwrap_or_else(|message| usage(&message))
        }
        Some(Command::Doctor(options)) => return doctor::start(options),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), own_name(), &mut script);
            String::from_utf8(script).context("the completion script is not text")?
        }
    };
    print(&text).context("cannot write to stdout")?;
    Ok(Exit::Done)
}

/// What this binary is called: with collectors of its own it may have a name of its own.
fn own_name() -> String {
    let path = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_name().map_or_else(|| "node-annotator".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The collector of that name, or a usage error.
fn named(name: &str, registry: &Registry) -> &'static Collector {
    registry.find(name).unwrap_or_else(|error| usage(&error.to_string()))
}

/// Ends the process as clap does for everything else that is wrong with the command line.
fn usage(message: &str) -> ! {
    let text = format!("{message}\n\nFor more information, try '--help'.\n");
    clap::Error::raw(ErrorKind::ValueValidation, text).exit()
}

/// Starts the runtime, runs, and leaves without waiting for threads that may never end.
fn start(options: &RunOptions, log: &LogOptions, registry: &Registry) -> anyhow::Result<Exit> {
    let invocation = Invocation::new(options, process_environment(), registry);
    let invocation = invocation.unwrap_or_else(|message| usage(&message));
    logging::start(log.format, log.level);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let exit = runtime.block_on(supervise(&invocation));
    runtime.shutdown_background();
    exit
}

async fn supervise(invocation: &Invocation) -> anyhow::Result<Exit> {
    let stop = Stop::on_signals().context("cannot handle signals")?;
    // Set once the termination message is out: from then on only the output can be stuck.
    let ended = Arc::new(OnceLock::new());
    let watchdog = Watchdog::start(invocation.settings.deadline + OVERTIME, {
        let (ended, path) = (Arc::clone(&ended), invocation.termination_message_path.clone());
        move || last_words(ended.get().copied(), &path)
    });
    let finished = invocation.run(&stop).await;
    ended.set(finished.exit).expect("a run ends once");
    print(&render(&finished, &invocation.settings, invocation.output)).context("cannot write to stdout")?;
    drop(watchdog);
    invocation.linger(finished.exit, &stop).await;
    Ok(finished.exit)
}

/// The run ends itself by its deadline; the watchdog is for the case that it cannot.
const OVERTIME: Duration = Duration::from_millis(500);

/// What is left to do for a process that is stuck.
fn last_words(ended: Option<Exit>, path: &Path) -> LastWords {
    if let Some(exit) = ended {
        return LastWords { code: exit.code(), message: "stuck: nobody reads what is written to stdout" };
    }
    let failure = Failure {
        message: "stuck: the deadline has passed, and the runtime does not answer".to_owned(),
        hint: "a collector, or the credential plugin of a kubeconfig, blocks the thread on which everything else waits",
    };
    let text = termination::message(Exit::NotPublished, Some(&failure), None);
    termination::write(path, &text);
    LastWords {
        code: Exit::NotPublished.code(),
        message: "stuck: a collector or a credential plugin blocks the runtime",
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_defect_is_unexpected_and_not_the_exit_code_of_a_panic() {
        assert_eq!(guarded(|| panic!("a defect")), Exit::Unexpected);
        assert_eq!(guarded(|| Err(anyhow!("a full disk"))), Exit::Unexpected);
        assert_eq!(guarded(|| Ok(Exit::SomeFailed)), Exit::SomeFailed);
    }

    #[test]
    fn every_option_of_a_run_has_a_variable_named_after_it() {
        let command = Cli::command();
        command.clone().debug_assert();
        let mut options = 0;
        for option in command.get_opts() {
            let flag = option.get_long().expect("no option is short alone");
            let variable = match flag {
                "node-name" => "NODE_NAME".to_owned(),
                flag => format!("NODE_ANNOTATOR_{}", flag.to_uppercase().replace('-', "_")),
            };
            assert_eq!(option.get_env().and_then(|name| name.to_str()), Some(variable.as_str()), "--{flag}");
            options += 1;
        }
        assert!(options >= 14, "{options}");
    }
}
