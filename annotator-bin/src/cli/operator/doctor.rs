//! `doctor`: checks an installation.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use node_annotator_deploy::Installation;

use crate::app::App;
use crate::cli::options::{CLUSTER, ClusterOptions, KeyOptions, OutputOptions, duration};
use crate::cluster;
use crate::exit::{self, Exit};
use crate::operator::doctor::{Diagnosis, Settings, diagnose, nothing_checked, render, too_late};
use crate::output::print;
use crate::process;

/// How much later than its deadline a diagnosis may come before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(after_help = notes())]
pub(crate) struct DoctorCommand {
    /// The namespace that it is installed in, as given to `manifests`
    #[arg(long, env = "NODE_ANNOTATOR_NAMESPACE", default_value_t, help_heading = CLUSTER)]
    namespace: Installation,
    #[command(flatten)]
    cluster: ClusterOptions,
    /// End by then; what is not checked is skipped
    #[arg(
        long,
        env = "NODE_ANNOTATOR_DEADLINE",
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration,
        help_heading = CLUSTER
    )]
    deadline: Duration,
    /// Try nothing in the name of the service accounts: what only an administrator may do is left out
    ///
    /// What is left reads objects, and needs the ClusterRole in `deploy/rbac/checking.yaml`. It does not show
    /// that the policy refuses what it has to.
    #[arg(long, env = "NODE_ANNOTATOR_NO_IMPERSONATION", value_parser = BoolishValueParser::new(), help_heading = CLUSTER)]
    no_impersonation: bool,
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    output: OutputOptions,
}

fn notes() -> String {
    let notes = "\
It needs the rights of an administrator, but for --no-impersonation. Nothing is written: what is tried in the name of the
service accounts is a dry run.

What no check can promise: who steals a token of ours can read every Node whose name it knows,
whole, since errors that come before admission quote it. After a policy is applied it takes up to
a second until it is in force, and a right is in force at once: to repair an installation whose
pods are there, delete its ClusterRoleBinding first.";
    format!("{notes}\n\n{}", exit::help("doctor"))
}

impl DoctorCommand {
    pub(super) fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let Self { namespace, cluster, deadline, no_impersonation, keys, output } = self;
        let settings = Settings {
            installation: namespace.clone(),
            prefix: keys.prefix.clone(),
            no_impersonation: *no_impersonation,
            expire: None,
            app: *app,
        };
        let diagnosis = in_time(&settings, cluster.kubeconfig.clone(), *deadline)?;
        print(&render(&diagnosis, output.output))?;
        Ok(diagnosis.exit())
    }
}

/// On a thread of its own, since a kubeconfig that hangs, such as a named pipe, stops the timers of the
/// runtime.
fn in_time(
    settings: &Settings,
    kubeconfig: Option<PathBuf>,
    deadline: Duration,
) -> anyhow::Result<Diagnosis> {
    let (sender, receiver) = channel();
    let of_thread = settings.clone();
    let thread = thread::spawn(move || {
        let diagnosis = process::block_on(async {
            let config = cluster::configuration(kubeconfig.as_deref(), &of_thread.app.user_agent()).await;
            diagnose(config, &of_thread, deadline).await
        });
        // Nobody listens once it is too late.
        let _ = sender.send(diagnosis);
    });
    match receiver.recv_timeout(deadline + PATIENCE) {
        Ok(diagnosis) => diagnosis,
        Err(RecvTimeoutError::Timeout) => Ok(nothing_checked(&too_late(), settings)),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => Err(anyhow::anyhow!("the diagnosis ended without a result")),
        },
    }
}
