//! Containers without processes: the library half of the binary, called with what a container would be given.

use std::ffi::OsString;
use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result};
use node_annotator::exit::Exit as Code;
use node_annotator::{cli, process::stop};
use node_annotator_core::Registry;
use tokio::sync::oneshot;

use super::runtime::{ContainerSpec, Exit, Running, Runtime, Stop};

/// Runs each container as a task of the test's own process: thousands of nodes cost what their requests cost.
///
/// Everything that the process would do is done, but printing.
#[derive(Debug, Clone, Copy)]
pub struct InProcess;

impl Runtime for InProcess {
    fn start(&self, spec: ContainerSpec) -> Result<Running> {
        self.start_of(&Registry::from_inventory()?, &spec)
    }
}

impl InProcess {
    /// Starts a container of a binary that has these collectors: another version of ours, or that of somebody
    /// else.
    pub fn start_of(self, registry: &Registry, spec: &ContainerSpec) -> Result<Running> {
        let arguments = spec.command.iter().skip(1).map(OsString::from);
        let environment = spec.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (sender, exited) = oneshot::channel();
        let job = match cli::job(registry, as_options(&spec.env).chain(arguments), environment) {
            Ok(job) => job,
            Err(error) => {
                fs::write(&spec.stderr, error.to_string())
                    .context("cannot write what is wrong with the arguments")?;
                let _ = sender.send(ended(Code::Usage));
                return Ok(Running::new(None, exited, Arc::new(|_| ())));
            }
        };
        let (stopper, stop) = stop::channel();
        let run = tokio::spawn(async move {
            let code = job.until_done(&stop, |_| Ok(())).await.unwrap_or(Code::Unexpected);
            let _ = sender.send(ended(code));
        });
        let stopper = move |how| match how {
            Stop::Terminate => stopper.stop(),
            Stop::Kill => run.abort(),
        };
        Ok(Running::new(None, exited, Arc::new(stopper)))
    }
}

/// The variables that a container has for options with a value. Those of this process are not the
/// container's.
fn as_options(environment: &[(String, String)]) -> impl Iterator<Item = OsString> {
    environment.iter().filter_map(|(name, value)| {
        let flag = match name.as_str() {
            "NODE_NAME" => "node-name".to_owned(),
            "KUBECONFIG" => "kubeconfig".to_owned(),
            name => name.strip_prefix("NODE_ANNOTATOR_")?.to_lowercase().replace('_', "-"),
        };
        Some(format!("--{flag}={value}").into())
    })
}

fn ended(code: Code) -> Exit {
    Exit { code: i32::from(code.code()), signal: None }
}
