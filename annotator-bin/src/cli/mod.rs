//! The command line, and the process around a run.

mod options;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use node_annotator_core::{Collector, Prefix, Registry, Selection};
use tracing::error;

use self::options::{LogOptions, RunOptions};
use crate::exit::Exit;
use crate::output::{Format, print, render};
use crate::run::{Settings, linger, run};
use crate::stop::Stop;
use crate::watchdog::Watchdog;
use crate::{catalogue, cluster, logging, termination};

/// Reads facts about this node once, and writes them on the Node in one request.
///
/// The facts become annotations and each collector that is done gets a label, all in one PATCH. A DaemonSet whose nodeAffinity
/// excludes nodes with that label then takes the pod away: run once per node, nothing left running.
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
    },
    /// Explain a collector: its facts, their keys, what it needs
    Explain {
        /// The collector's name, as `list` shows it
        name: String,
        /// The prefix of all keys
        #[arg(long, env = "NODE_ANNOTATOR_PREFIX", default_value_t)]
        prefix: Prefix,
        /// What to print
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Format,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

const EXAMPLES: &str = "\
Examples:
  node-annotator --dry-run                         this machine's facts, no cluster asked
  node-annotator --collectors all,-kernel -o json --dry-run
  node-annotator --collectors kernel --node-name worker-1
  node-annotator explain cpu-model

Exit codes:
  0  done
  1  unexpected
  2  the command line is wrong
  3  written, but some collectors failed or timed out
  4  the Node was not written";

/// The whole of the binary: reads the command line, does what it says, and returns the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match execute(cli) {
        Ok(exit) => exit,
        Err(error) => {
            // The last resort, and perhaps before logging has begun.
            eprintln!("error: {error:#}");
            Exit::Unexpected
        }
    };
    exit.into()
}

fn execute(cli: Cli) -> anyhow::Result<Exit> {
    let Cli { command, run, log } = cli;
    let registry = Registry::from_inventory()?;
    let text = match command {
        None => return start(&run, &log, &registry),
        Some(Command::List { output }) => catalogue::list(&registry, output),
        Some(Command::Explain { name, prefix, output }) => {
            catalogue::explain(named(&name, &registry), &prefix, output)
        }
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "node-annotator", &mut script);
            String::from_utf8(script).context("the completion script is not text")?
        }
    };
    print(&text).context("cannot write to stdout")?;
    Ok(Exit::Done)
}

/// The collector of that name, or a usage error.
fn named(name: &str, registry: &Registry) -> &'static Collector {
    registry.get(name).unwrap_or_else(|| match Selection::parse(name, registry) {
        Err(error) => usage(&error.to_string()),
        Ok(_) => usage(&format!("`{name}` is not the name of one collector")),
    })
}

/// Ends the process as clap does for everything else that is wrong with the command line.
fn usage(message: &str) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, message).exit()
}

/// Starts the runtime, runs, and leaves without waiting for threads that may never end.
fn start(options: &RunOptions, log: &LogOptions, registry: &Registry) -> anyhow::Result<Exit> {
    let settings = options.settings(registry).unwrap_or_else(|message| usage(&message));
    logging::start(log.format, log.level);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let exit = runtime.block_on(supervise(options, &settings));
    runtime.shutdown_background();
    exit
}

async fn supervise(options: &RunOptions, settings: &Settings) -> anyhow::Result<Exit> {
    let stop = Stop::on_signals().context("cannot handle signals")?;
    let path = options.termination_message_path.clone();
    let watchdog = Watchdog::start(settings.deadline + OVERTIME, move || {
        let message = "stuck: a collector blocks the runtime thread, and the deadline has passed";
        termination::write(&path, &termination::message(Exit::NotPublished, Some(message), None));
        error!("{message}");
        Exit::NotPublished.code()
    });
    let cx = Arc::new(options.context());
    let connect = async || cluster::configuration(options.kubeconfig.as_deref()).await;
    let finished = run(settings, cx, connect, &stop).await;
    drop(watchdog);

    let error = finished.error.as_ref().map(|(message, _)| message.as_str());
    let message = termination::message(finished.exit, error, finished.report.as_ref());
    termination::write(&options.termination_message_path, &message);
    print(&render(&finished, settings, options.output))
        .map_err(|error: io::Error| anyhow!(error).context("cannot write to stdout"))?;
    if let (Exit::Done, Some(limit)) = (finished.exit, settings.linger) {
        linger(limit, &stop).await;
    }
    Ok(finished.exit)
}

/// The run ends itself by its deadline; the watchdog is for the case that it cannot.
const OVERTIME: std::time::Duration = std::time::Duration::from_millis(500);
