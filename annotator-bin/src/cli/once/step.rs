//! `once-step`: runs the command of a container of the operator.
//!
//! Its options have no variables: those of the container are the operator's.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::options::duration;
use crate::exit::Exit;
use crate::node::once::step::{Role, Step};
use crate::process::logging::{LogFormat, LogLevel};
use crate::process::{self, logging};

#[derive(Debug, Args)]
pub(crate) struct StepCommand {
    /// The name of the step
    #[arg(long, value_name = "NAME")]
    step: String,

    /// The directory with the records of all steps
    #[arg(long, value_name = "DIR")]
    state: PathBuf,

    /// The directory in which the command puts files of facts
    #[arg(long, value_name = "DIR")]
    facts: PathBuf,

    /// A fact that the command may write; may be repeated
    #[arg(long, value_name = "NAME")]
    fact: Vec<String>,

    /// A step that has to have succeeded; may be repeated
    #[arg(long, value_name = "NAME")]
    after: Vec<String>,

    /// How long a try may take
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Duration,

    /// How often the command is tried
    #[arg(long, value_name = "NUMBER")]
    tries: u32,

    /// The command tells whether there is nothing to do
    #[arg(long, conflicts_with = "ends")]
    check: bool,

    /// End with the step, for an init container
    #[arg(long)]
    ends: bool,

    /// Keep nothing of what a command has printed that failed
    #[arg(long)]
    no_output: bool,

    /// The command
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl StepCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        logging::start(LogFormat::Text, LogLevel::Info);
        let step = Step {
            name: self.step.clone(),
            state: self.state.clone(),
            facts: self.facts.clone(),
            declared: self.fact.clone(),
            after: self.after.clone(),
            timeout: self.timeout,
            tries: self.tries,
            role: match (self.check, self.ends) {
                (true, _) => Role::Check,
                (false, true) => Role::Init,
                (false, false) => Role::Main,
            },
            hides_output: self.no_output,
            command: self.command.clone(),
        };
        process::block_on(async move { step.run().await })?
    }
}
