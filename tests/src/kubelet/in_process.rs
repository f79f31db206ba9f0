//! Containers without processes: the library half of the binary, called with what a container would be given.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result};
use node_annotator::Invocation;
use node_annotator::exit::Exit as Code;
use node_annotator::stop;
use tokio::sync::oneshot;

use super::runtime::{ContainerSpec, Exit, Running, Runtime, Stop};

/// Runs each container as a task of the test's own process: thousands of nodes cost what their requests cost.
///
/// Everything that the process would do is done, but printing.
#[derive(Debug, Clone, Copy)]
pub struct InProcess;

impl Runtime for InProcess {
    fn start(&self, spec: ContainerSpec) -> Result<Running> {
        let environment = spec.env.into_iter().collect();
        let arguments = spec.command.get(1..).unwrap_or_default();
        let (sender, exited) = oneshot::channel();
        let invocation = match Invocation::parse(arguments, &environment) {
            Ok(invocation) => invocation,
            Err(message) => {
                fs::write(&spec.stderr, message).context("cannot write what is wrong with the arguments")?;
                let _ = sender.send(ended(Code::Usage));
                return Ok(Running::new(None, exited, Arc::new(|_| ())));
            }
        };
        let (stopper, stop) = stop::channel();
        let run = tokio::spawn(async move {
            let code = invocation.run_to_end(&stop).await;
            let _ = sender.send(ended(code));
        });
        let stopper = move |how| match how {
            Stop::Terminate => stopper.stop(),
            Stop::Kill => run.abort(),
        };
        Ok(Running::new(None, exited, Arc::new(stopper)))
    }
}

fn ended(code: Code) -> Exit {
    Exit { code: i32::from(code.code()), signal: None }
}
