//! `doctor`: checks an installation.

use clap::Args;
use node_annotator_deploy::Installation;

use crate::app::App;
use crate::cli::options::{CLUSTER, ClusterOptions, KeyOptions, OutputOptions};
use crate::cluster;
use crate::exit::{self, Exit};
use crate::operator::doctor::{Settings, diagnose, render};
use crate::output::print;
use crate::process;

#[derive(Debug, Args)]
#[command(after_help = notes())]
pub(crate) struct DoctorCommand {
    /// The namespace that it is installed in, as given to `manifests`
    #[arg(long, env = "NODE_ANNOTATOR_NAMESPACE", default_value_t, help_heading = CLUSTER)]
    namespace: Installation,
    #[command(flatten)]
    cluster: ClusterOptions,
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    output: OutputOptions,
}

fn notes() -> String {
    let notes = "\
It needs the rights of an administrator. Nothing is written: what is tried in the name of the service accounts is a
dry run.";
    format!("{notes}\n\n{}", exit::help("doctor"))
}

impl DoctorCommand {
    pub(super) fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let Self { namespace, cluster, keys, output } = self;
        let settings = Settings { installation: namespace.clone(), prefix: keys.prefix.clone(), app: *app };
        let diagnosis = process::block_on(async {
            diagnose(
                cluster::configuration(cluster.kubeconfig.as_deref(), &app.user_agent()).await,
                &settings,
            )
            .await
        })?;
        print(&render(&diagnosis, output.output))?;
        Ok(diagnosis.exit())
    }
}
